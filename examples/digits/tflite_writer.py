"""Writes a quantized network as a `.tflite` file: what the digits example needs of the format, and no more."""

from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite
from flatbuffers import number_types

TYPES = {"int8": tflite.TensorType.INT8, "int32": tflite.TensorType.INT32}
SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Tensor:
    """A tensor with its quantization; `data` makes it a constant."""

    name: str
    shape: tuple
    scale: tuple
    zero_point: int = 0
    data: np.ndarray | None = None
    dtype: str = "int8"
    axis: int = 0


@dataclass(frozen=True)
class Operator:
    """An operator: its builtin code's name, tensor names, and the fields of its options table."""

    code: str
    inputs: tuple
    outputs: tuple
    options_type: str = ""
    options: tuple = ()


VERSIONS = {"CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "AVERAGE_POOL_2D": 2, "RESHAPE": 1, "SOFTMAX": 2}
"""Operator versions that stand for int8 (TensorFlow Lite, operator version tables)."""


def write_tflite(tensors, operators, *, inputs, outputs, description) -> bytes:
    """The file's bytes; `tensors` and `operators` in order, `inputs` and `outputs` are tensor names."""
    b = flatbuffers.Builder(1 << 16)
    index = {tensor.name: position for position, tensor in enumerate(tensors)}
    codes = sorted({operator.code for operator in operators})

    def indices(names):
        return b.CreateNumpyVector(np.array([index[name] for name in names], np.int32))

    buffers = [_buffer(b, None)] + [_buffer(b, tensor.data) for tensor in tensors]
    tensor_offsets = [_tensor(b, tensor, position + 1) for position, tensor in enumerate(tensors)]
    operator_offsets = []
    for operator in operators:
        options = _options(b, operator)
        ins, outs = indices(operator.inputs), indices(operator.outputs)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, codes.index(operator.code))
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, operator.options_type))
            tflite.OperatorAddBuiltinOptions(b, options)
        operator_offsets.append(tflite.OperatorEnd(b))

    tensor_vector, operator_vector = _vector(b, tensor_offsets), _vector(b, operator_offsets)
    ins, outs, name = indices(inputs), indices(outputs), b.CreateString("main")
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensor_vector)
    tflite.SubGraphAddInputs(b, ins)
    tflite.SubGraphAddOutputs(b, outs)
    tflite.SubGraphAddOperators(b, operator_vector)
    tflite.SubGraphAddName(b, name)
    graph = tflite.SubGraphEnd(b)

    code_vector = _vector(b, [_operator_code(b, code) for code in codes])
    graph_vector, buffer_vector, text = _vector(b, [graph]), _vector(b, buffers), b.CreateString(description)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, SCHEMA_VERSION)
    tflite.ModelAddOperatorCodes(b, code_vector)
    tflite.ModelAddSubgraphs(b, graph_vector)
    tflite.ModelAddDescription(b, text)
    tflite.ModelAddBuffers(b, buffer_vector)
    b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
    return bytes(b.Output())


def _vector(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _buffer(b, data):
    content = None
    if data is not None:
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        b.StartVector(1, len(raw), 16)  # kernels expect constants aligned to 16 bytes
        b.head -= len(raw)
        b.Bytes[b.head : b.head + len(raw)] = raw.tobytes()
        content = b.EndVector()
    tflite.BufferStart(b)
    if content is not None:
        tflite.BufferAddData(b, content)
    return tflite.BufferEnd(b)


def _tensor(b, tensor, buffer):
    quantization = None
    if tensor.scale:
        scale = b.CreateNumpyVector(np.array(tensor.scale, np.float32))
        zero = b.CreateNumpyVector(np.full(len(tensor.scale), tensor.zero_point, np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, tensor.axis)
        quantization = tflite.QuantizationParametersEnd(b)
    shape, name = b.CreateNumpyVector(np.array(tensor.shape, np.int32)), b.CreateString(tensor.name)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, TYPES[tensor.dtype])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return tflite.TensorEnd(b)


def _options(b, operator):
    if not operator.options_type:
        return None
    vectors = {field: b.CreateNumpyVector(np.array(value, np.int32)) for field, value in operator.options if isinstance(value, tuple)}
    getattr(tflite, f"{operator.options_type}Start")(b)
    for field, value in operator.options:
        getattr(tflite, f"{operator.options_type}Add{field}")(b, vectors.get(field, value))
    return getattr(tflite, f"{operator.options_type}End")(b)


def _operator_code(b, code):
    number = getattr(tflite.BuiltinOperator, code)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, number_types.Int8Flags.max_val))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    tflite.OperatorCodeAddVersion(b, VERSIONS[code])
    return tflite.OperatorCodeEnd(b)
