"""Pass: fewer steps. PAD goes into the windows that read it, ADD into the output stage of a step that makes an operand."""

from dataclasses import replace

from hw.npu.isa import Opcode
from weft.compiler.steps import Network, Step

ADD_SWAP = {
    "first_zero_point": "zero_point",
    "first_multiplier": "multiplier",
    "first_shift": "shift",
    "zero_point": "first_zero_point",
    "multiplier": "first_multiplier",
    "shift": "first_shift",
}
"""Fields of an ADD that change places with its operands."""


def fuse(network: Network) -> Network:
    """Both fusions, PAD first."""
    return _fuse_adds(_fuse_pads(network))


def _readers(network):
    readers = {}
    for step in network.steps:
        for name in step.reads:
            readers.setdefault(network.root[name], []).append(step)
    return readers


def _takes_pad(pad: Step, step: Step) -> bool:
    """The step's own window never leaves its image, or leaves it with the same value, and it reads no alias."""
    alike = (step.pad == (0, 0) and not _overhangs(step)) or (step.pad_value == pad.pad_value and not step.average)
    windowed = step.op in {"CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
    return windowed and step.source == pad.output and alike


def _overhangs(step):
    """Whether some window reaches below or to the right of the image."""
    sizes = (step.result.height, step.result.width), (step.image.height, step.image.width)
    return any((sizes[0][i] - 1) * step.stride[i] + (step.kernel[i] - 1) * step.dilation[i] >= sizes[1][i] for i in (0, 1))


def _fuse_pads(network: Network) -> Network:
    readers = _readers(network)
    pads = {}
    for step in network.steps:
        into = readers.get(step.output, ())
        if step.op == "PAD" and step.output not in network.outputs and into and all(_takes_pad(step, each) for each in into):
            pads[step.output] = step
    steps = []
    for step in network.steps:
        if step.output in pads:
            continue
        pad = pads.get(step.source)
        if pad is not None:
            step = replace(
                step,
                op=f"PAD+{step.op}",
                source=pad.source,
                image=pad.image,
                pad=(step.pad[0] + pad.pad[0], step.pad[1] + pad.pad[1]),
                pad_value=pad.pad_value,
                average_counts_padding=True,
            )
        steps.append(step)
    return replace(network, steps=tuple(steps))


def _hosts(network, readers, made, step, place) -> list:
    """Steps that could take an ADD with its first or second operand: its one reader is the ADD, and it is a MATMUL."""
    candidates = []
    for swap, name in ((False, step.source), (True, step.second)):
        maker = made.get(name)
        single = len(readers.get(name, ())) == 1 and name not in network.outputs and network.root[name] == name
        if maker is not None and single and maker.opcode == Opcode.MATMUL and maker.second is None and maker.result == step.result:
            candidates.append((maker.macs, place[maker.name], swap, maker))
    return candidates


def _fuse_adds(network: Network) -> Network:
    readers, fused, gone = _readers(network), {}, set()
    made = {step.output: step for step in network.steps}
    place = {step.name: index for index, step in enumerate(network.steps)}
    for step in network.steps:
        if step.op != "ADD" or step.source == step.second:
            continue
        candidates = _hosts(network, readers, made, step, place)
        if not candidates:
            continue
        # into the step with more arithmetic: its output stage has time to spare
        *_, swap, host = max(candidates, key=lambda each: each[:2])
        add = {ADD_SWAP.get(name, name) if swap else name: value for name, value in step.add.items()}
        second = step.source if swap else step.second
        fused[step.name] = replace(host, op=f"{host.op}+ADD", output=step.output, second=second, add=add)
        gone.add(host.name)
    # the fused step stands where the ADD stood: there both operands are surely made
    steps = tuple(fused.get(step.name, step) for step in network.steps if step.name not in gone)
    return replace(network, steps=steps)
