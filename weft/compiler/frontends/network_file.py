"""A network as its file has it, before anybody decides what of it can run where."""

from dataclasses import dataclass

from hw.npu.errors import Finding
from weft.compiler.findings import Findings
from weft.compiler.graph import Graph

SHAPE = "shape"
"""Kind of the findings of tensors whose shape is not fixed."""


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """What a frontend reads.

    Attributes
    ----------
    graph : Graph
        Every operator of the file, in its order; nothing is folded.
    broken : dict of str to Finding
        Tensors that the NPU cannot hold, and why. The graph has one of the type, without value and quantization, in their place; where
        only `shape_signature` leaves a shape open, the tensor as it stands.
    findings : Findings
        What is to be said of them if the whole network is to run on the NPU.
    numbers : dict of str to int
        Which operator of the file each of the graph's is, by its name.
    """

    graph: Graph
    broken: dict[str, Finding]
    findings: Findings
    numbers: dict[str, int]
