"""A copy to its place in a larger tensor goes: the step that makes the bytes puts them there itself."""

from dataclasses import replace

from hw.npu.interface.isa import Opcode
from weft.compiler.fuse.uses import NotSeen, Uses, changes_nothing, is_copy, seen_as
from weft.compiler.steps import Extent, Network, Step, View, extent_of


def fuse_joins(network: Network) -> Network:
    """Copies of whole tensors that are made for them only, by one step or by several."""
    for name in [step.name for step in network.steps]:
        step = next((each for each in network.steps if each.name == name), None)
        if step is not None and step.second is None and step.source_view is None and is_copy(step) and changes_nothing(step):
            network = _into_maker(network, step)
    return network


def _into_maker(network: Network, step: Step) -> Network:
    makers = Uses(network).made_for(step.source, step)
    memory = extent_of(network.graph.tensors[step.source].shape)
    if not makers or any(maker.opcode == Opcode.SOFTMAX for maker in makers):
        return network
    try:
        made = [
            replace(maker, op=f"{maker.op}+{step.op}", output=step.output, output_view=_placed(maker, step, memory)) for maker in makers
        ]
    except NotSeen:
        return network
    # they stand where the copy stood: whatever must be in the larger tensor before is there
    gone, steps = {maker.name for maker in makers}, []
    for each in network.steps:
        if each.name not in gone:
            steps += made if each.name == step.name else [each]
    return replace(network, steps=tuple(steps))


def _placed(maker: Step, copy: Step, memory: Extent) -> View | None:
    """Where the maker of the copied tensor, or of a part of it, puts its result in the larger one."""
    inner, outer, channels = maker.output_view, copy.output_view, copy.result.channels
    if inner is None or outer is None:
        if inner is not None and copy.result != memory:
            raise NotSeen
        return inner if inner is not None else seen_as(outer, copy.result, maker.result)
    if inner.row_bytes or (copy.result.height, copy.result.row_bytes) != (memory.height, memory.row_bytes):
        raise NotSeen
    rows = {"y": outer.y + inner.y * outer.dy, "dy": inner.dy * outer.dy, "row_bytes": outer.row_bytes}
    if outer.dx == channels:  # a row's bytes stay one after the other
        return View(**rows, x=outer.x + inner.x, dx=inner.dx)
    pixel, first = divmod(inner.x, channels)
    if first + maker.result.channels > channels or (maker.result.width > 1 and inner.dx % channels):
        raise NotSeen
    return View(**rows, x=outer.x + pixel * outer.dx + first, dx=inner.dx // channels * outer.dx)
