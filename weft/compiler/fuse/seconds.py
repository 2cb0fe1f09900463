"""ADD, SUB and MUL go into the output stage of a step that makes an operand: the other operand is its second."""

from dataclasses import replace

from hw.npu.interface.isa import Opcode, Second
from weft.compiler.fuse.uses import NotSeen, Uses, changes_nothing, is_copy, seen_as
from weft.compiler.steps import Network, Step, swapped

HOSTS = (Opcode.DEPTHWISE, Opcode.INTERPOLATE, Opcode.MATMUL, Opcode.SUM)


def fuse_seconds(network: Network) -> Network:
    """Each goes into the maker with more arithmetic, whose output stage has time to spare."""
    uses, fused, gone = Uses(network), {}, set()
    place = {step.name: index for index, step in enumerate(network.steps)}
    for step in network.steps:
        if step.second is None or not is_copy(step) or not changes_nothing(step):
            continue
        found = [fusion for swap in (False, True) for fusion in _fusions(uses, step, swap) if fusion[0].name not in gone]
        found = [(host, made) for host, made in found if host.name not in fused]
        if found:
            host, made = max(found, key=lambda each: (each[0].macs, place[each[0].name]))
            fused[step.name] = made
            gone.add(host.name)
    # the fused step stands where the other stood: there both operands are surely made
    steps = tuple(fused.get(step.name, step) for step in network.steps if step.name not in gone)
    return replace(network, steps=steps)


def _fusions(uses, step, swap) -> list[tuple[Step, Step]]:
    """The maker of the first operand, or of the second, and what becomes of it; none where it cannot take the step."""
    if swap and (step.constant is not None or step.add["operation"] == Second.SUB):
        return []
    name, view, other, other_view = step.source, step.source_view, step.second, step.second_view
    if swap:
        name, view, other, other_view = other, other_view, name, view
    makers = uses.made_for(name, step)
    if view is not None or len(makers) != 1:
        return []
    (host,) = makers
    if host.opcode not in HOSTS or host.second is not None or host.output_view is not None:
        return []
    try:
        second_view, output_view = (seen_as(each, step.result, host.result) for each in (other_view, step.output_view))
        seen_as(None, step.result, host.result)
    except NotSeen:
        return []
    add = swapped(step.add) if swap else step.add
    views = {"second_view": second_view, "output_view": output_view}
    made = replace(host, op=f"{host.op}+{step.op}", output=step.output, second=other, constant=step.constant, add=add, **views)
    return [(host, made)]
