"""A copy to its place in a larger tensor goes: the step that makes the bytes puts them there itself."""

from dataclasses import replace

from hw.npu.isa import Opcode
from weft.compiler.fuse.uses import NotSeen, Uses, changes_nothing, is_copy, seen_as
from weft.compiler.steps import Network, Step


def fuse_joins(network: Network) -> Network:
    """Copies of whole tensors that one step makes for them."""
    for name in [step.name for step in network.steps]:
        step = next((each for each in network.steps if each.name == name), None)
        if step is not None and step.second is None and step.source_view is None and is_copy(step) and changes_nothing(step):
            network = _into_maker(network, step)
    return network


def _into_maker(network: Network, step: Step) -> Network:
    makers = Uses(network).made_for(step.source, step)
    if len(makers) != 1 or makers[0].opcode == Opcode.SOFTMAX or makers[0].output_view is not None:
        return network
    (maker,) = makers
    try:
        view = seen_as(step.output_view, step.result, maker.result)
    except NotSeen:
        return network
    made = replace(maker, op=f"{maker.op}+{step.op}", output=step.output, output_view=view)
    # it stands where the copy stood: whatever must be in the larger tensor before is there
    steps = tuple(made if each.name == step.name else each for each in network.steps if each.name != maker.name)
    return replace(network, steps=steps)
