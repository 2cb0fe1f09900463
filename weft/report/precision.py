"""INT8 or INT4: how the array multiplied by a layer's weights, what it could have done at most, and what the user should know of it.

A command's opcode says how it runs. The file only says for which layers somebody meant 4 bits.
"""

from collections.abc import Iterable

from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import INT4_TWIN, Command, Opcode
from weft.compiler.graph import Graph

INT8, INT4 = "int8", "int4"
"""Widths of weights in a report."""


def precision_of(commands: Iterable[Command]) -> str:
    """Of a layer's weights: `INT8` or `INT4`, both where its commands differ, and nothing where none of them has weights."""
    widths = {INT4 if command.opcode.int4 else INT8 for command in commands if command.operation in INT4_TWIN}
    return "+".join(sorted(widths))


def peak_of(command: Command, config: NpuConfig) -> int:
    """Multiply-accumulates that the array does at most in a cycle of this command.

    One in each processing element, two in a matrix product with 4-bit weights. A DEPTHWISE_INT4 does one: as a FIR filter the array
    gives a weight an element to itself.
    """
    return config.tile_depth(command.opcode == Opcode.MATMUL_INT4) * config.cols


def int4_operators(graph: Graph) -> int:
    """How many operators of a network have constants of type int4."""
    narrow = {name for name, tensor in graph.tensors.items() if tensor.dtype == INT4}
    return sum(not narrow.isdisjoint(operator.inputs) for operator in graph.operators)


def notes_on(program: Program, int4_operators: int) -> tuple[str, ...]:
    """Sentences for the report: where 4-bit weights do not gain what one might expect of them.

    Parameters
    ----------
    program : Program
    int4_operators : int
        How many operators of the file have 4-bit weights.
    """
    notes = []
    if int4_operators and not program.config.int4:
        layers = "1 layer" if int4_operators == 1 else f"{int4_operators} layers"
        notes.append(f"4-bit weights of {layers} ran as INT8, at its rate and bytes; --set int4=true runs them as INT4")
    depthwise = {planned.layer for planned in program.commands if planned.command.opcode == Opcode.DEPTHWISE_INT4}
    if depthwise:
        layers = "1 depthwise layer" if len(depthwise) == 1 else f"{len(depthwise)} depthwise layers"
        notes.append(f"{layers} with 4-bit weights computed at INT8's rate; the weights took half the bytes")
    return tuple(notes)
