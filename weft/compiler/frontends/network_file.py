"""A network as its file has it, before anybody decides what of it can run where."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from hw.npu.errors import Finding
from weft.compiler.findings import Findings
from weft.compiler.frontends.variables import Variables, with_states
from weft.compiler.graph import Graph
from weft.compiler.islands import with_islands

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
    content : bytes
        The file itself.
    variables : Variables
    """

    graph: Graph
    broken: dict[str, Finding]
    findings: Findings
    numbers: dict[str, int]
    content: bytes
    variables: Variables
    _known: dict[frozenset[str], Graph] = field(default_factory=dict)

    def rewritten(self, kept: Set[str] = frozenset(), bound: Mapping[str, str] | None = None) -> Graph:
        """The graph with operators of bytes in place of islands of float operators, and states in place of variables.

        Parameters
        ----------
        kept : set of str
            Operators by name that stay what they are in the file, and with them the islands that need them.
        bound : mapping of str to str
            Variables by name that stay what they are in the file, and why.

        Raises
        ------
        WeftError
            As `weft.compiler.islands.with_islands`.
        """
        if not self._known:
            self._known[frozenset()] = with_islands(self.graph, self.content, frozenset(self.broken))
        members = {name for operator in self._known[frozenset()].operators for name in operator.members}
        key = frozenset(kept & members)
        if key not in self._known:
            self._known[key] = with_islands(self.graph, self.content, frozenset(self.broken), key)
        variables = replace(self.variables, refused=self.variables.refused | dict(bound or {}))
        return with_states(self._known[key], frozenset(self.broken), variables)[0]

    def variable_of(self, name: str) -> str | None:
        """The variable that an operator of the file reads or assigns."""
        if name not in self.numbers:
            return None
        operator = self.graph.operators[self.numbers[name]]
        handle = operator.inputs[0] if operator.op in ("ASSIGN_VARIABLE", "READ_VARIABLE") and operator.inputs else None
        return self.variables.handles.get(handle) if handle is not None else None
