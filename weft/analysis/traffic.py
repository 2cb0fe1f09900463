"""Bytes between chip and DDR for one inference, by part, with and without on-chip memory: the textbooks' question, and this NPU's answer.

Four cases:

``no_reuse``
    Nothing is kept anywhere: each multiply-accumulate reads its weight, its activation and its partial sum from DDR and writes the sum
    back, four accesses: the worst case of data movement in V. Sze, Y.-H. Chen, T.-J. Yang, J. Emer, Efficient Processing of Deep Neural
    Networks: A Tutorial and Survey, Proc. IEEE 105(12), 2017, section V. Sums have 32 bits. Operators without MACs count as in ``once``.
``once``
    No memory between the layers, all reuse within one: each operator of the file reads its inputs, whole, and its weights once and
    writes its results once.
``ideal``
    A memory on the chip that holds whatever is needed again: each weight once, and the inputs and outputs of the network; where the
    host runs a part of it, those of each program between the host's steps.
``program``
    This configuration: counted on the commands of the compiled program, in whole beats of the bus, as the NPU's records count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from golden.program import Program
from hw.npu.interface.axi import BOUNDARY
from hw.npu.interface.isa import EXECUTE, Command, Opcode, Region
from weft.analysis.tensors import Tensors, computed_inputs, merged, tensor_bytes, tensors_of
from weft.analysis.timing.dma import bursts_of
from weft.analysis.timing.work import command_bytes, transfer_of
from weft.compiler.driver import Compiled
from weft.compiler.graph import Graph, Operator
from weft.compiler.parameters import WEIGHTED, bias_tensor
from weft.compiler.select import ALIASES

SUM_BYTES = 4
"""Of a partial sum: TFLite's accumulators are int32."""
"""Operators whose multiply-accumulates are those of their second input, the weights."""


@dataclass(frozen=True)
class Parts:
    """Bytes on DDR, by part.

    Attributes
    ----------
    weights : int
        Weights and their parameters: in the file the biases, in the program also multipliers, tables and whatever fills rows.
    activations_in, activations_out : int
        Read and written.
    partial_sums : int
        Read and written.
    commands : int
        The program's own.
    """

    weights: int = 0
    activations_in: int = 0
    activations_out: int = 0
    partial_sums: int = 0
    commands: int = 0

    @property
    def total(self) -> int:
        """All parts."""
        return sum(getattr(self, field.name) for field in fields(self))

    def __add__(self, other):
        return Parts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


PARTS = tuple(field.name for field in fields(Parts))
"""Names of the parts."""


@dataclass(frozen=True)
class LayerTraffic:
    """An operator of the network.

    Attributes
    ----------
    name, op : str
    shape : tuple of int
        Of the first output.
    macs : int
        Padding included, as the field counts them.
    no_reuse, once, program : Parts
        `program` counts with an operator what was fused into it; nothing of that stands with the operators that were.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    macs: int
    no_reuse: Parts
    once: Parts
    program: Parts


@dataclass(frozen=True)
class Traffic:
    """A network on a configuration.

    Attributes
    ----------
    network, config : str
    layers : tuple of LayerTraffic
        Operators of the NPU in the order of execution.
    no_reuse, once, ideal, program : Parts
        Of the whole network.
    spilled_out, spilled_in : int
        Bytes of intermediate tensors that the program writes to DDR and reads from there; part of `program`.
    tensors : Tensors
    """

    network: str
    config: str
    layers: tuple[LayerTraffic, ...]
    no_reuse: Parts
    once: Parts
    ideal: Parts
    program: Parts
    spilled_out: int
    spilled_in: int
    tensors: Tensors

    @property
    def macs(self) -> int:
        """Of the whole network."""
        return sum(layer.macs for layer in self.layers)

    @property
    def cases(self) -> dict[str, Parts]:
        """The four cases by name, from the most bytes to what a chip can reach at best, and this one."""
        return {"no_reuse": self.no_reuse, "once": self.once, "ideal": self.ideal, "program": self.program}


def intensity(macs: int, parts: Parts) -> float:
    """Arithmetic intensity: multiply-accumulates for each byte on DDR; 0 without bytes."""
    return macs / parts.total if parts.total else 0.0


def traffic(compiled: Compiled) -> Traffic:
    """Count the bytes of a compiled network; what the host computes is not in it, its results are inputs."""
    graph, program = compiled.graph, compiled.program
    hosts = {host.operator.name for host in compiled.host_ops}
    operators = [operator for operator in graph.operators if operator.name not in hosts]
    inputs = [place.tensor for place in (*program.inputs, *(state.old for state in program.states))]
    outputs = [place.tensor for place in (*program.outputs, *(state.new for state in program.states))]
    moved, macs = _by_operator(program)
    assert moved.keys() <= {operator.name for operator in operators}, "a layer of the program that no operator answers for"
    layers = tuple(
        _layer(graph, operator, macs[operator.name], moved.get(operator.name, Parts()))
        for operator in operators
        if operator.op not in ALIASES or operator.name in moved
    )
    constants = {name for operator in operators for name in _constants(graph, operator)}
    loaded, stored = (sum(tensor_bytes(graph.tensors[name]) for name in names) for names in (inputs, outputs))
    spilled = _spilled(program)
    return Traffic(
        network=program.network,
        config=program.config.name,
        layers=layers,
        no_reuse=_sum(layer.no_reuse for layer in layers),
        once=_sum(layer.once for layer in layers),
        ideal=Parts(sum(tensor_bytes(graph.tensors[name]) for name in constants), loaded, stored),
        program=_sum(layer.program for layer in layers),
        spilled_out=spilled.activations_out,
        spilled_in=spilled.activations_in,
        tensors=tensors_of(graph, operators, inputs, outputs),
    )


def summed(programs: Sequence[Traffic]) -> Traffic:
    """The bytes of a network's programs, which run one after another.

    An ideal memory keeps nothing from one to the next: what the host takes from the one and gives to the other goes through the DDR.
    """
    first, *others = programs
    if not others:
        return first
    return replace(
        first,
        layers=tuple(layer for each in programs for layer in each.layers),
        no_reuse=_sum(each.no_reuse for each in programs),
        once=_sum(each.once for each in programs),
        ideal=_sum(each.ideal for each in programs),
        program=_sum(each.program for each in programs),
        spilled_out=sum(each.spilled_out for each in programs),
        spilled_in=sum(each.spilled_in for each in programs),
        tensors=merged([each.tensors for each in programs]),
    )


def _layer(graph: Graph, operator: Operator, macs: int, moved: Parts) -> LayerTraffic:
    once = Parts()
    if operator.op not in ALIASES:
        once = Parts(
            sum(tensor_bytes(graph.tensors[name]) for name in _constants(graph, operator)),
            sum(tensor_bytes(graph.tensors[name]) for name in computed_inputs(graph, operator)),
            sum(tensor_bytes(graph.tensors[name]) for name in operator.outputs),
        )
    no_reuse = _each_mac(graph, operator, macs) if macs and operator.op in WEIGHTED else once
    return LayerTraffic(operator.name, operator.op, tuple(map(int, graph.output(operator).shape)), macs, no_reuse, once, moved)


def _each_mac(graph, operator, macs) -> Parts:
    """Each MAC reads a weight, an activation and a sum and writes the sum; the last sum is the result."""
    weights = graph.input(operator, 1)
    return Parts((macs + 1) // 2 if weights.dtype == "int4" else macs, macs, 0, 2 * SUM_BYTES * macs)


def _constants(graph, operator) -> list[str]:
    """Constants that an operator computes with; shapes, axes and paddings are part of what it does."""
    bias = bias_tensor(graph, operator) if operator.op in WEIGHTED else None
    tensors = [graph.tensors[name] for name in dict.fromkeys(operator.inputs) if name is not None]
    return [tensor.name for tensor in tensors if tensor.constant and (tensor.quantization is not None or tensor is bias)]


def _by_operator(program: Program) -> tuple[dict[str, Parts], Counter[str]]:
    """Bytes and MACs of the program's layers, by the operator that they are named for."""
    names = [layer.name.split("/")[0] for layer in program.layers]
    moved: dict[str, Parts] = {name: Parts() for name in names}
    macs: Counter[str] = Counter()
    for name, layer in zip(names, program.layers):
        macs[name] += int(layer.macs)
    for planned in program.commands:
        name = names[planned.layer]
        moved[name] += Parts(commands=command_bytes(planned.command)) + _transferred(planned.command, program.config.axi_bytes)
    return moved, macs


def _transferred(command: Command, axi_bytes: int) -> Parts:
    """What a LOAD or a STORE moves; rows that begin or end within a beat take all of it."""
    if command.opcode in EXECUTE:
        return Parts()
    size = axi_bytes * sum(bursts_of(transfer_of(command, (0, 0)), BOUNDARY, axi_bytes))
    if command.opcode == Opcode.STORE:
        return Parts(activations_out=size)
    return Parts(weights=size) if command["dma"]["region"] == Region.MODEL else Parts(activations_in=size)


def _spilled(program: Program) -> Parts:
    """Transfers of tensors that are neither inputs nor outputs nor states. Each tensor has a place of its own in region ARENA."""
    edges = *program.inputs, *program.outputs, *(state.old for state in program.states)
    spans = [(place.address, place.address + place.rows * place.row_pitch) for place in edges]

    def inner(command):
        dma = command["dma"]
        return dma["region"] == Region.ARENA and not any(first <= dma["ddr_offset"] < end for first, end in spans)

    moves = (planned.command for planned in program.commands if planned.command.opcode not in EXECUTE)
    return _sum(_transferred(command, program.config.axi_bytes) for command in moves if inner(command))


def _sum(parts: Iterable[Parts]) -> Parts:
    return sum(parts, Parts())
