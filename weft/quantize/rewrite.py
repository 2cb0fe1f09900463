"""A file with the weights of some layers in 4 bits; all the rest of it stays as it was."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tflite

from hw.npu.errors import WeftError
from weft.compiler.frontends.tflite import tensor_names
from weft.compiler.frontends.tflite_file import CORRUPTION, load_bytes, printable
from weft.quantize.narrow import Narrowed
from weft.quantize.schema import DATA_ALIGNMENT
from weft.quantize.tables import Block, Table, UnknownField, Vector, read_tables, write_tables

VERSIONS = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 10}
"""The operator versions that take int8 with int4 weights: tensorflow/lite/tools/versioning/op_version.cc, GetBuiltinOperatorVersion.

DEPTHWISE_CONV_2D has 7 there, but the list of the reference kernels, which do take them, ends at 6 (ai-edge-litert 2.3.0: measured).
"""
MODEL_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_METADATA_BUFFERS, MODEL_METADATA = 1, 2, 4, 5, 6
SUBGRAPH_TENSORS, SUBGRAPH_OPERATORS = 0, 3
TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION = 1, 2, 3, 4
QUANTIZATION_SCALE, QUANTIZATION_ZERO_POINT, QUANTIZATION_AXIS = 2, 3, 6
OPERATOR_CODE, OPERATOR_INPUTS = 0, 1
CODE_VERSION = 2
METADATA_BUFFER = 1
BUFFER_DATA, BUFFER_OFFSET = 0, 1
"""Numbers of fields in the schema."""


def rewritten(path: Path, layers: Sequence[Narrowed], subgraph: int = 0) -> bytes:
    """A network's file with other weights in some of its layers.

    Parameters
    ----------
    path : Path
        The network as it is.
    layers : sequence of Narrowed
        Their new weights and biases; no tensor belongs to two of them.
    subgraph : int
        The network's number in the file.

    Returns
    -------
    bytes
        The same for the same arguments.

    Raises
    ------
    WeftError
        If the file has something in it that cannot be carried over.
    """
    model = _tree(path)
    _Rewriting(model, subgraph).narrow(layers)
    return write_tables(model)


def stored_tensors(path: Path, subgraph: int = 0) -> set[str]:
    """Names of the tensors of a network whose values stand in its file, which has been read before."""
    return _Rewriting(_tree(path), subgraph).stored()


def _tree(path) -> Table:
    try:
        model = read_tables(load_bytes(path))
    except UnknownField as error:
        raise WeftError(f"cannot be rewritten: {error}", file=path, remedy="convert the network again, to int8") from None
    except CORRUPTION as error:
        what = printable(str(error).encode())[:120]
        raise WeftError(
            f"is damaged ({type(error).__name__}: {what})", file=path, remedy="convert or download the network again"
        ) from error
    if any(buffer.number(BUFFER_OFFSET, "Q") > 1 for buffer in _items(model, MODEL_BUFFERS)):
        raise WeftError(
            "cannot be rewritten: it keeps values behind its tables", file=path, remedy="convert the network again, below 2 GiB"
        )
    return model


def _items(table: Table, slot: int) -> list[Table]:
    """The tables of a vector; none where it is absent."""
    child = table.children.get(slot)
    return child.items if isinstance(child, Vector) else []


class _Rewriting:
    """Changes of one of the networks in a file's tree."""

    def __init__(self, model: Table, subgraph: int):
        self.model, self.subgraph = model, _items(model, MODEL_SUBGRAPHS)[subgraph]
        self.tensors = _items(self.subgraph, SUBGRAPH_TENSORS)
        raw_names = [tensor.children.get(TENSOR_NAME) for tensor in self.tensors]
        names = tensor_names("" if raw is None else printable(raw.raw) for raw in raw_names)  # type: ignore[union-attr]
        self.index = {name: i for i, name in enumerate(names)}

    def stored(self) -> set[str]:
        """Tensors with a value."""
        buffers = _items(self.model, MODEL_BUFFERS)
        places = {name: self.tensors[i].number(TENSOR_BUFFER, "I") for name, i in self.index.items()}
        return {name for name, place in places.items() if place < len(buffers) and BUFFER_DATA in buffers[place].children}

    def narrow(self, layers: Sequence[Narrowed]):
        for layer in layers:
            tensor = self.tensors[self.index[layer.weights]]
            self._store(tensor, pack_int4(layer.values))
            tensor.set_number(TENSOR_TYPE, "b", tflite.TensorType.INT4)
            tensor.set_child(TENSOR_QUANTIZATION, _quantization(layer.scale, layer.axis))
            if layer.bias is not None:
                bias = self.tensors[self.index[layer.bias]]
                self._store(bias, layer.bias_values.astype("<i4").tobytes())
                if TENSOR_QUANTIZATION in bias.children:
                    bias.set_child(TENSOR_QUANTIZATION, _quantization(layer.bias_scale, 0))
            self._raise_version(layer)

    def _raise_version(self, layer):
        place = self.index[layer.weights].to_bytes(4, "little")
        for operator in _items(self.subgraph, SUBGRAPH_OPERATORS):
            inputs = operator.children.get(OPERATOR_INPUTS)
            if isinstance(inputs, Block) and inputs.raw[4:8] == place:
                code = _items(self.model, MODEL_CODES)[operator.number(OPERATOR_CODE, "I")]
                code.set_number(CODE_VERSION, "i", max(VERSIONS[layer.op], code.number(CODE_VERSION, "i", 1)))

    def _store(self, tensor, raw: bytes):
        """Give a tensor a value in its buffer, or in a new one where others need that."""
        buffers = _items(self.model, MODEL_BUFFERS)
        data = Block(raw, 1, DATA_ALIGNMENT)
        old = tensor.number(TENSOR_BUFFER, "I")
        if self._users(old) > 1:
            buffers.append(Table("Buffer"))
            tensor.set_number(TENSOR_BUFFER, "I", len(buffers) - 1)
            buffers[-1].set_child(BUFFER_DATA, data)
        else:
            buffers[old].set_child(BUFFER_DATA, data)

    def _users(self, buffer: int) -> int:
        """How often a buffer is used: by tensors of all networks of the file, and metadata."""
        tensors = [tensor for subgraph in _items(self.model, MODEL_SUBGRAPHS) for tensor in _items(subgraph, SUBGRAPH_TENSORS)]
        places = [tensor.number(TENSOR_BUFFER, "I") for tensor in tensors]
        places += [metadata.number(METADATA_BUFFER, "I") for metadata in _items(self.model, MODEL_METADATA)]
        old_metadata = self.model.children.get(MODEL_METADATA_BUFFERS)
        if isinstance(old_metadata, Block):
            places += np.frombuffer(old_metadata.raw, "<u4").tolist()
        return places.count(buffer)


def _quantization(scale: np.ndarray, axis: int) -> Table:
    """Symmetric quantization by channel."""
    made = Table("QuantizationParameters")
    made.set_child(QUANTIZATION_SCALE, Block(scale.astype("<f4").tobytes(), 4, 4))
    made.set_child(QUANTIZATION_ZERO_POINT, Block(bytes(8 * scale.size), 8, 8))
    if axis:
        made.set_number(QUANTIZATION_AXIS, "i", axis)
    return made


def pack_int4(values: np.ndarray) -> bytes:
    """Weights as a file holds them: two a byte, the first in its lower half, a zero behind an odd number of them.

    Parameters
    ----------
    values : int8[...]
        -8 to 7, in the tensor's order.
    """
    nibbles = values.reshape(-1).astype(np.uint8) & 15
    nibbles = np.append(nibbles, np.zeros(nibbles.size % 2, np.uint8))
    return (nibbles[0::2] | nibbles[1::2] << 4).astype(np.uint8).tobytes()
