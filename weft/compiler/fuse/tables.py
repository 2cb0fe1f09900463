"""A function of one tensor goes into the output stage of the steps that make the tensor."""

from dataclasses import replace

import numpy as np

from golden.operators.lookup import all_bytes
from hw.npu.interface.isa import Opcode
from weft.compiler.fuse.uses import Uses, is_copy
from weft.compiler.steps import Network, Step


def fuse_tables(network: Network) -> Network:
    """Functions one after the other become one table; those behind a step without a second operand become its."""
    waiting = [step.name for step in network.steps]
    for name in waiting:
        step = next((each for each in network.steps if each.name == name), None)
        if step is not None and _is_function(step):
            network = _into_makers(network, step)
    return network


def _is_function(step: Step) -> bool:
    """A copy of a whole tensor, through a table or a clamp or neither."""
    return is_copy(step) and step.second is None and step.source_view is None and step.output_view is None


def _into_makers(network: Network, step: Step) -> Network:
    makers = Uses(network).made_for(step.source, step)
    shapes = [network.graph.tensors[name].shape for name in (step.source, step.output)]
    if not makers or shapes[0] != shapes[1] or any(each.second is not None or each.opcode == Opcode.SOFTMAX for each in makers):
        return network
    names = {each.name for each in makers}
    steps = [_with_function(each, step) if each.name in names else each for each in network.steps if each.name != step.name]
    return replace(network, steps=tuple(steps))


def _with_function(maker: Step, step: Step) -> Step:
    made = replace(maker, op=f"{maker.op}+{step.op}", output=step.output)
    if not maker.table and not step.table:
        low, high = (min(max(bound, step.clamp_min), step.clamp_max) for bound in (maker.clamp_min, maker.clamp_max))
        return replace(made, clamp_min=low, clamp_max=high)
    first = np.frombuffer(maker.table, np.uint8) if maker.table else all_bytes(np.uint8)
    clamped = np.clip(all_bytes(np.int8), step.clamp_min, step.clamp_max).view(np.uint8)
    second = np.frombuffer(step.table, np.uint8)[clamped] if step.table else clamped
    return replace(made, table=second[first].tobytes())
