"""The way through a graph in the order of execution: what each real tensor is a function of, and which operators of bytes make it.

A real tensor is a function of a *base*, element by element. The base is a tensor of bytes (what was dequantized, or what a movement of
such bytes gives: dequantizing can as well be done behind it), or a real tensor of which nothing better is known. Where that is made by a
movement that could not be done on bytes, because its inputs are different functions or one is a constant, the QUANTIZE and all that
stands in front of it goes before the movement.
"""

from dataclasses import replace

import numpy as np

from golden.operators.lookup import all_bytes
from hw.npu.errors import WeftError
from weft.compiler import movement
from weft.compiler.fold import fold
from weft.compiler.graph import BYTES, Graph, Operator, Quantization, Tensor
from weft.compiler.islands.elementwise import BINARY, is_elementwise, one_value
from weft.compiler.islands.expressions import Expressions, Node
from weft.compiler.islands.interpreted import plain_value
from weft.compiler.limits import LIMITS, first_broken
from weft.compiler.limits.movement import MOVEMENT_LIMITS
from weft.compiler.limits.tensors import is_quantized, keeps_shape, takes_one_input

MOVEMENTS = frozenset({*MOVEMENT_LIMITS, "RESIZE_NEAREST_NEIGHBOR"})
RENAMES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
"""Movements that leave the bytes where they are: a table goes in front of them, to the operator that makes the bytes."""
ADDED_ZEROS = ("PAD", "SPACE_TO_BATCH_ND")
"""Movements that put zeros beside what they move: of bytes the zero point."""
REAL = "float32"


def ends_island(graph: Graph, operator: Operator) -> bool:
    """A QUANTIZE of computed real numbers to bytes."""
    if operator.op != "QUANTIZE" or not _keeps((takes_one_input, keeps_shape, is_quantized), graph, operator):
        return False
    source, result = graph.input(operator, 0), graph.output(operator)
    return source.dtype == REAL and result.dtype in BYTES and not source.constant and source.name not in graph.inputs


def _keeps(limits, graph, operator) -> bool:
    return first_broken(limits, graph, operator) is None


class Walk:
    """The operators of a graph, and beside them those of bytes.

    Parameters
    ----------
    graph, broken, kept
        As of `weft.compiler.islands.with_islands`.

    Attributes
    ----------
    expressions : Expressions
    functions : dict of str to int
        For each LOOKUP, by name, the expression of its table.
    constants : dict of str to (int, float32[n])
        For each new constant its expression and what that is given; until it is filled in, zeros are there.
    """

    def __init__(self, graph: Graph, broken: frozenset[str], kept: frozenset[str]):
        self.expressions = Expressions()
        self.functions: dict[str, int] = {}
        self.constants: dict[str, tuple[int, np.ndarray]] = {}
        self._untouched = {each.name for each in graph.operators if broken.intersection((*each.inputs, *each.outputs))} | kept
        self._file = graph
        self._known = self._with_constants(graph)  # and the new tensors
        self._graph = replace(graph, tensors=self._known)
        self._makers = {name: operator for operator in graph.operators for name in operator.outputs}
        self._names = {operator.name for operator in graph.operators}
        self._done: list[Operator] = []
        self._bases: dict[str, tuple[str, int]] = {}  # of a real tensor its base and its expression
        self._sources: dict[str, tuple[str, ...]] = {}  # the DEQUANTIZEs that could as well stand behind a tensor of bytes
        self._renamed: dict[str, Operator] = {}  # makers of tensors that are others in another shape
        self._looked_up: dict[tuple[str, int], str] = {}
        self._moved: dict[tuple[str, int], dict[str, str] | None] = {}
        self._called: dict[str, Operator] = {}  # a new tensor, and the QUANTIZE whose output it is

    def operators(self) -> list[Operator]:
        """All operators, new ones that nobody reads too, in an order in which they can be executed."""
        for position, operator in enumerate(self._file.operators):
            free = operator.name not in self._untouched
            if free and ends_island(self._graph, operator) and self._end(operator):
                continue
            self._done.append(operator)
            if free:
                self._note(position, operator)
        return [self._named(operator) if operator.members else operator for operator in self._done]

    def tensors(self, operators: list[Operator]) -> dict[str, Tensor]:
        """The tensors of the graph, and the new ones that some operators use."""
        used = [name for operator in operators for name in (*operator.inputs, *operator.outputs) if name is not None]
        return self._file.tensors | {name: self._known[name] for name in used if name not in self._file.tensors}

    def _with_constants(self, graph) -> dict[str, Tensor]:
        """The tensors of the file; those that folding will compute with their values."""
        free = tuple(operator for operator in graph.operators if operator.name not in self._untouched)
        try:
            return graph.tensors | fold(replace(graph, operators=free, outputs=tuple(graph.tensors))).tensors
        except WeftError:  # whoever folds for good says so
            return dict(graph.tensors)

    def _named(self, operator) -> Operator:
        """A new operator with the file's names of its tensors; it stands for the QUANTIZEs that gave them, too."""
        also = [name for made in operator.outputs if made in self._called for name in self._plain_members(made)]

        def names(given):
            return tuple(self._called[name].outputs[0] if name in self._called else name for name in given)

        members = tuple(dict.fromkeys((*operator.members, *also)))
        return replace(operator, inputs=names(operator.inputs), outputs=names(operator.outputs), members=members)

    def _plain_members(self, made) -> tuple[str, ...]:
        return *self._sources.get(made, ()), self._called[made].name

    def _note(self, position, operator):
        """Remember of which function of which base an operator's real outputs are; make the bytes that it moves."""
        if operator.op == "DEQUANTIZE":
            self._note_bytes(operator)
        elif any(self._known[name].dtype != REAL or self._known[name].constant for name in operator.outputs):
            return
        elif is_elementwise(operator):
            self._note_function(position, operator)
        elif self._is_movement(operator):
            self._note_movement(operator)

    def _is_movement(self, operator) -> bool:
        """A movement of real numbers that has the inputs that it needs."""
        if operator.op not in MOVEMENTS or operator.name in self._untouched or not _keeps(LIMITS[operator.op][:1], self._graph, operator):
            return False
        return all(tensor.dtype == REAL for tensor in movement.moved(self._graph, operator))

    def _note_bytes(self, operator):
        if not _keeps((takes_one_input, keeps_shape), self._graph, operator):
            return
        source, result = self._graph.input(operator, 0), self._graph.output(operator)
        right = source.dtype in BYTES and result.dtype == REAL and not source.constant
        if right and _keeps((is_quantized,), self._graph, operator):
            leaf = self.expressions.add(Node("bytes", (source.dtype, source.scale, source.zero_point)))
            self._bases[result.name] = source.name, leaf
            self._sources[source.name] = (*self._sources.get(source.name, ()), operator.name)

    def _base(self, name) -> tuple[str, int]:
        """Base and expression of a real tensor."""
        return self._bases.get(name, (name, self.expressions.argument))

    def _note_function(self, position, operator):
        result, bases, operands = self._graph.output(operator), set(), []
        for place, name in enumerate(operator.inputs):
            if name is None:
                return
            number = one_value(self._known[name])
            if number is not None and operator.op in BINARY and (operator.op, place) != ("PRELU", 0):
                operands.append(self.expressions.number(number))
            elif self._known[name].constant or self._known[name].shape != result.shape or self._known[name].dtype != REAL:
                return
            else:
                base, expression = self._base(name)
                bases.add(base)
                operands.append(expression)
        if len(bases) == 1:
            self._bases[result.name] = bases.pop(), self.expressions.add(Node("operator", (position,), tuple(operands)))

    def _note_movement(self, operator):
        """Where all that it moves is the same function of bytes, move the bytes: what it gives is that function of them."""
        found = {tensor.name: self._base(tensor.name) for tensor in movement.moved(self._graph, operator)}
        expressions = {expression for _, expression in found.values()}
        if len(expressions) != 1 or any(self._known[base].dtype not in BYTES for base, _ in found.values()):
            return
        (expression,) = expressions
        if operator.op in ADDED_ZEROS and self.expressions[expression].kind != "bytes":
            return  # a PADV2's number is none of bytes either: its limits say so
        bases = {name: base for name, (base, _) in found.items()}
        made = self._move(operator, bases, next(self._known[base] for base in bases.values()))
        if made is None:
            return
        for name, new in made.items():
            self._bases[name] = new, expression
            self._sources[new] = tuple(dict.fromkeys(source for base in bases.values() for source in self._sources[base]))
            if operator.op in RENAMES:
                self._renamed[new] = self._done[-1]

    def _move(self, operator, bases: dict[str, str], like: Tensor) -> dict[str, str] | None:
        """The operator on bytes: its new outputs by those of the file; None where Weft does not support it so."""
        made = {name: self._fresh(name, like) for name in operator.outputs}
        new = replace(
            operator, name=self._unused(operator.name), inputs=tuple(bases.get(name, name) for name in operator.inputs),
            outputs=tuple(made.values()), members=(operator.name,),
        )  # fmt: skip
        if not _keeps(LIMITS[new.op], self._graph, new):
            return None
        self._done.append(new)
        return made

    def _fresh(self, name, like: Tensor) -> str:
        """A new tensor of the shape of another, and of `like`'s type and quantization."""
        stem, number = name.partition("#bytes")[0], 1
        while f"{stem}#bytes{number}" in self._known:
            number += 1
        fresh = f"{stem}#bytes{number}"
        self._known[fresh] = Tensor(fresh, self._known[name].shape, like.dtype, like.quantization)
        return fresh

    def _unused(self, stem) -> str:
        """A new operator's name."""
        name, number = f"{stem}_bytes", 1
        while name in self._names:
            name, number = f"{stem}_bytes{number}", number + 1
        self._names.add(name)
        return name

    def _end(self, operator) -> bool:
        """Make the bytes that a QUANTIZE gives from bytes; whether that was possible."""
        result = self._graph.output(operator)
        node = Node("quantize", (result.dtype, result.scale, result.zero_point), (self.expressions.argument,))
        made = self._bytes(operator.inputs[0], self.expressions.add(node), operator.label)
        if made is None:
            return False
        if made in self._file.tensors or made in self._called or self._known[made].quantization != result.quantization:
            members = (*self._sources.get(made, ()), operator.name)
            self._done.append(Operator(self._unused("reshape"), "RESHAPE", (made,), (result.name,), {}, operator.label, members))
        else:
            self._called[made] = operator
        return True

    def _bytes(self, name, function, label) -> str | None:
        """The tensor of bytes that a function of a real tensor is, a QUANTIZE its outermost; None where there is none."""
        if self._known[name].constant:
            return self._constant(self._known[name], function)
        base, expression = self._base(name)
        function = self.expressions.after(function, expression)
        if self._known[base].dtype in BYTES:
            return self._lookup(base, function, label)
        maker = self._makers.get(base)
        if maker is None or not self._is_movement(maker):
            return None
        if (maker.name, function) not in self._moved:
            self._moved[maker.name, function] = self._moved_behind(maker, function)
        made = self._moved[maker.name, function]
        return None if made is None else made[base]

    def _type(self, function) -> Tensor:
        """The type and quantization of what a function gives."""
        dtype, scale, zero_point = self.expressions[function].value
        return Tensor("", (), dtype, Quantization((scale,), (zero_point,)))

    def _constant(self, constant: Tensor, function) -> str:
        fresh = self._fresh(constant.name, self._type(function))
        empty = np.zeros(constant.shape, self._known[fresh].dtype)
        self._known[fresh] = replace(self._known[fresh], shape=constant.shape, data=empty)
        self.constants[fresh] = function, np.ascontiguousarray(constant.data).reshape(-1)
        return fresh

    def _moved_behind(self, operator, function) -> dict[str, str] | None:
        """A movement of what a function gives for each thing that it moves."""
        bases: dict[str, str] = {}
        for tensor in movement.moved(self._graph, operator):
            made = self._bytes(tensor.name, function, operator.label)
            if made is None or operator.op == "SPACE_TO_BATCH_ND":
                return None
            bases[tensor.name] = made
        if operator.op in ("PAD", "PADV2"):
            value = np.zeros(1, np.float32) if operator.op == "PAD" else one_value(self._graph.input(operator, 2))
            if value is None:
                return None
            around = self._constant(Tensor(operator.outputs[0], (1,), REAL, data=np.reshape(value, 1)), function)
            operator = replace(operator, op="PADV2", inputs=(*operator.inputs[:2], around))
        return self._move(operator, bases, self._type(function))

    def _changes_nothing(self, function) -> bool:
        """Dequantized bytes quantized to the same."""
        node = self.expressions[function]
        inner = self.expressions[node.operands[0]]
        return inner.kind == "bytes" and inner.value == node.value and np.array_equal(
            plain_value(self.expressions, function, None), all_bytes(node.value[0])
        )  # fmt: skip

    def _lookup(self, base, function, label) -> str:
        """A tensor of bytes through a table; itself where that changes nothing."""
        if self._changes_nothing(function):
            return base
        if (base, function) not in self._looked_up:
            self._looked_up[base, function] = self._new_lookup(base, function, label)
        return self._looked_up[base, function]

    def _new_lookup(self, base, function, label) -> str:
        maker = self._renamed.get(base)
        if maker is not None:
            source = self._lookup(maker.inputs[0], function, label)
            made = self._fresh(base, self._type(function))
            inputs = (source, *maker.inputs[1:])
            self._done.append(replace(maker, name=self._unused(maker.members[0]), inputs=inputs, outputs=(made,)))
            return made
        made = self._fresh(base, self._type(function))
        members = (*self._sources[base], *(self._file.operators[position].name for position in self.expressions.positions(function)))
        new = Operator(self._unused("lookup"), "LOOKUP", (base,), (made,), {}, label, tuple(dict.fromkeys(members)))
        self.functions[new.name] = function
        self._done.append(new)
        return made
