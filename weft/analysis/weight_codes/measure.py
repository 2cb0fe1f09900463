"""Weights of a compiled network under each code: bytes in DDR, bytes loaded, and the cycles if a decoder stood in the load path."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Opcode, Target
from weft.analysis.search import search
from weft.analysis.timing import DdrParameters, replay
from weft.analysis.weight_codes.codes import CODES, Code, entropy_bits
from weft.compiler.graph import Graph
from weft.compiler.parameters import WEIGHTED

"""Operators whose second input is weights."""
Piece = tuple[int, int]
"""First byte in region MODEL, and bytes: what one LOAD brings."""


@dataclass(frozen=True)
class Measured:
    """One network on one configuration.

    Attributes
    ----------
    network : str
    weights : int
        int8 weights of the network's own tensors.
    entropy, layer_entropy : float
        Zero-order, bits a weight: over all weights, and with each layer's own frequencies.
    zeros : float
        Part of the weights that are 0.
    image, loaded : int
        Bytes in DDR that LOADs bring: each once, and as often as they are brought.
    pieces : int
        LOADs of weights.
    coded : dict of str to int
        Bytes in DDR under each code, each piece with its best k or as it is; ``best``: each piece with its best decodable code.
    bound : int
        Bytes in DDR if each piece took its zero-order entropy.
    cycles : dict of str to int
        On the timing model: ``plain``, under each code, ``best``, ``bound``, and ``free``: weights arrive at a row a cycle.
    choices : dict of str to dict of int to int
        How many bytes of the image each code would keep at each k.
    """

    network: str
    weights: int
    entropy: float
    layer_entropy: float
    zeros: float
    image: int
    loaded: int
    pieces: int
    coded: dict[str, int]
    bound: int
    cycles: dict[str, int]
    choices: dict[str, dict[int, int]]


def pieces_of(program: Program) -> list[Piece]:
    """What the LOADs of weights bring, in their order."""
    return [(dma.get("ddr_offset", 0), dma["row_bytes"]) for planned in program.commands if (dma := _weights(planned.command))]


def _weights(command: Command) -> dict | None:
    dma = command.fields.get("dma", {}) if command.opcode == Opcode.LOAD else {}
    return dma if dma.get("target", 0) == Target.WEIGHTS else None


def rows_of(program: Program, piece: Piece) -> np.ndarray:
    """A piece as rows, int8[rows, C]; zeros behind its last byte."""
    offset, size = piece
    content = program.constants[offset : offset + size]
    return np.frombuffer(content + bytes(-size % program.config.cols), np.int8).reshape(-1, program.config.cols)


def with_sizes(program: Program, sizes: dict[Piece, int], ddr: DdrParameters) -> Program:
    """The program as the timing model would see it with shorter pieces in DDR, one behind the other.

    A beat of the bus brings coded bytes, but no more than C bytes a cycle leave the decoder: a piece takes at least as long as its rows.
    The decoder's own latency, a few cycles a LOAD, is left out. A program like this has times, but no meaning.
    """
    beat = program.config.axi_bytes
    arrive = min(beat, ddr.bytes_per_cycle)  # bytes a cycle
    offsets: dict[Piece, int] = {}
    end = 0
    commands = []
    for planned in program.commands:
        dma = _weights(planned.command)
        if dma is not None:
            piece = (dma.get("ddr_offset", 0), dma["row_bytes"])
            least = min(piece[1], -(-piece[1] * arrive // program.config.cols))
            size = -(-max(min(sizes[piece], piece[1]), least) // beat) * beat
            if piece not in offsets:
                offsets[piece] = end
                end += size
            fields = planned.command.fields | {"dma": dma | {"ddr_offset": offsets[piece], "row_bytes": size}}
            planned = replace(planned, command=Command(Opcode.LOAD, fields))
        commands.append(planned)
    return replace(program, commands=tuple(commands))


def _weight_tensors(graph: Graph) -> list[np.ndarray]:
    found = [graph.input(operator, 1) for operator in graph.operators if operator.op in WEIGHTED]
    return [np.ascontiguousarray(tensor.data).view(np.int8).reshape(-1) for tensor in found if tensor.data is not None]


def measure(graph: Graph, config: NpuConfig, *, ddr: DdrParameters | None = None, codes: Sequence[Code] = CODES) -> Measured:
    """Compile a network as ``weft run`` does and code what it loads; the schedule stays that of the plain weights.

    Parameters
    ----------
    graph : Graph
    config : NpuConfig
    ddr : DdrParameters, optional
        Behind which the cycles are counted; the reference DDR if not given.
    codes : sequence of Code
    """
    ddr = ddr or DdrParameters()
    program = search(graph, config).compiled.program
    loads = pieces_of(program)
    pieces = list(dict.fromkeys(loads))
    sizes: dict[str, dict[Piece, int]] = {name: {} for name in (*(code.name for code in codes), "best", "bound")}
    choices: dict[str, dict[int, int]] = {code.name: {} for code in codes}
    for piece in pieces:
        rows = rows_of(program, piece)
        for code in codes:
            bits, k = code.best(rows)
            sizes[code.name][piece] = _beats(bits, piece, config)
            if k is not None:
                choices[code.name][k] = choices[code.name].get(k, 0) + piece[1]
        sizes["best"][piece] = min(sizes[code.name][piece] for code in codes if not code.serial)
        sizes["bound"][piece] = _beats(entropy_bits(rows), piece, config)
    sizes_in_time = {"plain": {piece: piece[1] for piece in pieces}, **sizes, "free": dict.fromkeys(pieces, 0)}
    weights = _weight_tensors(graph)
    whole = np.concatenate(weights)
    return Measured(
        network=graph.name,
        weights=len(whole),
        entropy=entropy_bits(whole) / len(whole),
        layer_entropy=sum(entropy_bits(layer) for layer in weights) / len(whole),
        zeros=float((whole == 0).mean()),
        image=sum(size for _, size in pieces),
        loaded=sum(size for _, size in loads),
        pieces=len(loads),
        coded={name: sum(found.values()) for name, found in sizes.items() if name != "bound"},
        bound=sum(sizes["bound"].values()),
        cycles={name: replay(with_sizes(program, found, ddr), ddr).cycles for name, found in sizes_in_time.items()},
        choices=choices,
    )


def _beats(bits, piece, config):
    """Bytes of a coded piece: whole beats of the bus, and never more than it has plain."""
    return min(piece[1], -(-int(np.ceil(bits / 8)) // config.axi_bytes) * config.axi_bytes)
