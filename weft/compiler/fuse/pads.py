"""PAD goes into the windows that read it."""

from dataclasses import replace

from weft.compiler.fuse.uses import Uses
from weft.compiler.parameters import WINDOWS
from weft.compiler.steps import Extent, Network, Step, extent_of, rows_as_they_are

PADS = ("PAD", "PADV2")


def fuse_pads(network: Network) -> Network:
    """Steps of `WINDOWS` that read outside of the image what a PAD would have put there; the PAD goes if all its readers do."""
    uses, pads = Uses(network), {}
    for step in network.steps:
        readers = uses.readers.get(step.output, ())
        alone = step.op in PADS and step.output_view is None and step.source_view is None and step.output not in uses.leaving
        if alone and readers and all(_takes(network, step, each) for each in readers):
            pads[step.output] = step
    steps = []
    for step in network.steps:
        if step.output in pads:
            continue
        pad = pads.get(step.source)
        if pad is not None:
            step = replace(
                step,
                op=f"{pad.op}+{step.op}",
                source=pad.source,
                image=Extent(pad.image.height, pad.image.width, step.image.channels),
                pad=(step.pad[0] + pad.pad[0], step.pad[1] + pad.pad[1]),
                pad_value=pad.pad_value,
                average_counts_padding=True,
            )
        steps.append(step)
    return replace(network, steps=tuple(steps))


def _takes(network, pad: Step, step: Step) -> bool:
    """The step's own window never leaves its image, or leaves it with the same value, and it reads no alias."""
    alike = (step.pad == (0, 0) and not _overhangs(step)) or (step.pad_value == pad.pad_value and not step.average)
    memory = extent_of(network.graph.tensors[network.root[pad.source]].shape)
    rows = step.source_view is None or rows_as_they_are(pad.image, None, memory)
    return step.op in WINDOWS and step.source == pad.output and alike and rows


def _overhangs(step):
    """Whether some window reaches below or to the right of the image."""
    sizes = (step.result.height, step.result.width), (step.image.height, step.image.width)
    return any((sizes[0][i] - 1) * step.stride[i] + (step.kernel[i] - 1) * step.dilation[i] >= sizes[1][i] for i in (0, 1))
