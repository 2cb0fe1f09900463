"""TFLite files written with the schema's objects, for the reference interpreter to run: parts of a file, or another subgraph of it first.

A part has the operators that are asked for, with their options, custom ones too, and the subgraphs that they call; of the file's tensors
and values it has only those that these need.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT = 16
"""Bytes on which the interpreter wants the values of constants."""
SUBGRAPH_FIELDS = ("subgraph", "subgraphindex", "subgraphindices")
"""How the names of fields end that are numbers of subgraphs, in lower case."""


class ModelTree:
    """A TFLite file, read once, of which parts are written.

    Parameters
    ----------
    content : bytes
    subgraph : int
        Where the operators stand.
    """

    def __init__(self, content: bytes, subgraph: int = 0):
        self._tree = schema.ModelT.InitFromPackedBuf(content, 0)
        self._main = self._tree.subgraphs[subgraph]
        self._data = [_bytes_of(buffer, content) for buffer in self._tree.buffers]

    def part(
        self,
        operators: Mapping[int, Sequence[int]],
        inputs: Sequence[int],
        outputs: Sequence[int],
        constants: Mapping[int, np.ndarray] | None = None,
    ) -> bytes:
        """A file of some operators.

        Parameters
        ----------
        operators : mapping of int to sequence of int
            Their numbers in the subgraph, in the order of execution, each with the numbers of the tensors that it reads, -1 for an
            optional one that is absent.
        inputs, outputs : sequence of int
            Numbers of the subgraph's tensors.
        constants : mapping of int to ndarray, optional
            Values of tensors that operators make which are left out.
        """
        chosen = [_reading(self._main.operators[number], read) for number, read in operators.items()]
        called = self._called(chosen)
        values = _Values(self._data)
        codes: dict[int, int] = {}
        places = {number: place for place, number in enumerate(called, 1)}
        main = self._pruned(chosen, inputs, outputs, values, constants or {})
        subgraphs = [main, *(self._whole(number, values) for number in called)]
        for subgraph in subgraphs:
            subgraph.operators = [_renumbered(each, codes, places) for each in subgraph.operators or ()]
        model = schema.ModelT(
            version=self._tree.version,
            operatorCodes=[self._tree.operatorCodes[code] for code in codes],
            subgraphs=subgraphs,
            buffers=values.buffers,
        )
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _called(self, operators) -> list[int]:
        """Numbers of the subgraphs that operators call, and those that these call."""
        found: dict[int, None] = {}
        waiting = list(operators)
        while waiting:
            for number in _subgraphs_of(waiting.pop()):
                if number not in found and 0 <= number < len(self._tree.subgraphs):
                    found[number] = None
                    waiting += self._tree.subgraphs[number].operators or ()
        return list(found)

    def _pruned(self, operators, inputs, outputs, values, constants):
        """The subgraph of the operators, their tensors numbered anew."""
        lists = [indices for each in operators for indices in (each.inputs, each.outputs, each.intermediates)]
        touched = [index for indices in lists for index in _numbers(indices)]
        places = {index: place for place, index in enumerate(dict.fromkeys(i for i in (*inputs, *outputs, *touched) if i >= 0))}
        tensors = [values.tensor(self._main.tensors[index], constants.get(index)) for index in places]

        def moved(indices):
            return None if indices is None else np.array([places.get(index, -1) for index in _numbers(indices)], np.int32)

        own = []
        for each in operators:
            other = copy(each)
            other.inputs, other.outputs, other.intermediates = moved(each.inputs), moved(each.outputs), moved(each.intermediates)
            own.append(other)
        return schema.SubGraphT(
            tensors=tensors, inputs=moved(list(inputs)), outputs=moved(list(outputs)), operators=own, name=self._main.name
        )

    def _whole(self, number, values):
        """A subgraph that is called, as it stands."""
        other = copy(self._tree.subgraphs[number])
        other.tensors = [values.tensor(tensor, None) for tensor in other.tensors or ()]
        return other


def with_subgraph_first(model: bytes, number: int) -> bytes:
    """A TFLite file in which another of its subgraphs stands first, the one that an interpreter runs; its tensors keep their indices.

    Raises
    ------
    ValueError
        If values stand behind the file's tables, as in files above 2 GiB, which the rewriting would lose.
    """
    if number == 0:
        return model
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    if any(buffer.offset > 1 for buffer in tree.buffers):
        raise ValueError("only the first signature of a file whose values stand behind its tables can be run")
    tree.subgraphs[0], tree.subgraphs[number] = tree.subgraphs[number], tree.subgraphs[0]
    operators = [operator for subgraph in tree.subgraphs for operator in subgraph.operators or ()]
    _renumber([*(tree.signatureDefs or ()), *(table for each in operators for table in _options(each))], {0: number, number: 0})
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Values:
    """The buffers of a part, numbered in the order in which tensors ask for them; the first is the empty one."""

    def __init__(self, data):
        self._data, self._places = data, {}
        self.buffers = [_Buffer(None)]

    def tensor(self, tensor, value: np.ndarray | None):
        """The tensor with its value's new place."""
        other = copy(tensor)
        if value is not None:
            self.buffers.append(_Buffer(np.frombuffer(value.tobytes(), np.uint8)))
            other.buffer = len(self.buffers) - 1
        elif self._data[tensor.buffer] is None:
            other.buffer = 0
        else:
            if tensor.buffer not in self._places:
                self.buffers.append(_Buffer(self._data[tensor.buffer]))
                self._places[tensor.buffer] = len(self.buffers) - 1
            other.buffer = self._places[tensor.buffer]
        return other


class _Buffer:
    """A buffer that packs itself on whole 16 bytes, which the schema's own object does not."""

    def __init__(self, data: np.ndarray | None):
        self._data = data

    def Pack(self, builder):
        """As the schema's objects: the offset of the table."""
        data = None
        if self._data is not None:
            builder.StartVector(1, self._data.size, ALIGNMENT)
            builder.head -= self._data.size
            builder.Bytes[builder.head : builder.head + self._data.size] = self._data.tobytes()
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def _bytes_of(buffer, content) -> np.ndarray | None:
    """A buffer's bytes, uint8[n], wherever in the file they stand; None of an empty one."""
    if buffer.offset > 1:
        return np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
    return np.asarray(buffer.data, np.uint8) if buffer.data is not None and len(buffer.data) else None


def _reading(operator, indices: Sequence[int]):
    """The operator with other inputs."""
    other = copy(operator)
    other.inputs = np.array(indices, np.int32)
    return other


def _numbers(indices) -> list[int]:
    return [] if indices is None else [int(index) for index in indices]


def _options(operator) -> list:
    """Tables of an operator's options."""
    return [table for table in (operator.builtinOptions, operator.builtinOptions2) if table is not None]


def _subgraph_fields(tables: Iterable) -> Iterator[tuple[object, str, list[int]]]:
    """Tables with the names of those of their fields that are numbers of subgraphs, and these numbers."""
    for table in tables:
        for field, value in vars(table).items():
            if field.lower().endswith(SUBGRAPH_FIELDS) and value is not None:
                yield table, field, _numbers(np.atleast_1d(value))


def _subgraphs_of(operator) -> list[int]:
    """Numbers of the subgraphs that an operator calls."""
    return [number for _, _, numbers in _subgraph_fields(_options(operator)) for number in numbers]


def _renumber(tables: Iterable, places: Mapping[int, int]):
    """Give the subgraphs that tables name the numbers that they have now; one that has no place keeps its own."""
    for table, field, numbers in _subgraph_fields(tables):
        moved = [places.get(number, number) for number in numbers]
        setattr(table, field, moved[0] if np.ndim(getattr(table, field)) == 0 else moved)


def _renumbered(operator, codes: dict[int, int], places: Mapping[int, int]):
    """The operator with the numbers that its code and the subgraphs that it calls have in the part."""
    other = copy(operator)
    other.opcodeIndex = codes.setdefault(operator.opcodeIndex, len(codes))
    other.builtinOptions, other.builtinOptions2 = copy(operator.builtinOptions), copy(operator.builtinOptions2)
    _renumber(_options(other), places)
    return other
