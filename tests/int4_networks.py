"""Networks with int4 weights, made of ones with int8 weights by plain rounding: for bit-exactness, not for accuracy."""

from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from tests.tflite_builder import pack_int4

CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
"""Operators that take int4 weights, and the dimension of their weights that counts output channels."""
LARGEST = 7
"""Of the rounded weights; -8 would have no counterpart."""


def int4_copy(path_in, path_out, layers=None) -> list[str]:
    """Write a network again with the weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED rounded to int4.

    Each channel, or the tensor where it has one scale, gets the scale ``s4 = max|w8| s8 / 7`` and the weights ``round(w8 s8 / s4)``, ties
    to even; the bias is rounded to its new scale, input scale times s4. The file is always the same for the same input, and its tensors
    stand in the same order under the same names.

    Parameters
    ----------
    path_in, path_out : str or Path
        TFLite files of one subgraph; they may be the same.
    layers : collection of int or str, optional
        Which ones: operators by their index in the file, or by the name of their output or weight tensor. None is every one that can be.

    Returns
    -------
    list of str
        Names of the tensors that are int4 now, in the order of their operators.
    """
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    model = schema.ModelT.InitFromPackedBuf(Path(path_in).read_bytes(), 0)
    (graph,) = model.subgraphs
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    ops = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    users = [(index, operator) for index, operator in enumerate(graph.operators) if ops[operator.opcodeIndex] in CHANNEL_AXES]
    chosen = [operator for index, operator in users if layers is None or _is_meant(graph, index, operator, layers)]
    made: dict[int, np.ndarray] = {}  # of each weight tensor the ratios of its scales, old to new
    for operator in chosen:
        source, place, *bias = map(int, operator.inputs)
        weights = graph.tensors[place]
        if place not in made:
            made[place] = _round(model, weights, schema.TensorType)
        if bias and bias[0] >= 0:
            _rescale_bias(model, graph, bias[0], graph.tensors[source].quantization.scale[0], weights, made[place])
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    Path(path_out).write_bytes(bytes(builder.Output()))
    return [graph.tensors[place].name.decode() for place in made]


def _is_meant(graph, index, operator, layers):
    tensors = (operator.outputs[0], operator.inputs[1])
    return index in layers or any(graph.tensors[place].name.decode() in layers for place in tensors)


def _round(model, weights, types) -> np.ndarray:
    """Make a tensor int4; the ratio of each old scale to the new one, float64[scales]."""
    assert weights.type == types.INT8, f"the weights {weights.name.decode()} are not int8"
    values = _values(model, weights, np.int8).reshape(weights.shape).astype(np.int64)
    quantization = weights.quantization
    others = tuple(axis for axis in range(values.ndim) if len(quantization.scale) == 1 or axis != quantization.quantizedDimension)
    most = np.abs(values).max(axis=others, keepdims=True)
    most[most == 0] = LARGEST  # a channel of zeros keeps its scale
    _store(model, weights, pack_int4(np.rint(values * LARGEST / most)))
    weights.type = types.INT4
    quantization.scale = (np.asarray(quantization.scale, np.float64) * most.reshape(-1) / LARGEST).astype(np.float32)
    quantization.min = quantization.max = None
    return LARGEST / most.reshape(-1)


def _rescale_bias(model, graph, place, source_scale, weights, ratios):
    """Round a bias to the scale of its operator's sums."""
    bias = graph.tensors[place]
    values = _values(model, bias, np.int32) * ratios
    _store(model, bias, np.clip(np.rint(values), -(1 << 31), (1 << 31) - 1).astype("<i4"))
    if bias.quantization is not None:
        bias.quantization.scale = np.float32(source_scale) * weights.quantization.scale
        bias.quantization.zeroPoint = np.zeros(ratios.size, np.int64)


def _values(model, tensor, dtype):
    return np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(dtype)


def _store(model, tensor, values):
    """Give a tensor a buffer of its own."""
    buffer = type(model.buffers[0])()
    buffer.data = values.view(np.uint8)
    model.buffers.append(buffer)
    old, tensor.buffer = tensor.buffer, len(model.buffers) - 1
    if all(other.buffer != old for graph in model.subgraphs for other in graph.tensors):
        model.buffers[old].data = None
