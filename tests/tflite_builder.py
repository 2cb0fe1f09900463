"""Writes small TFLite files: what the tests feed to the reference interpreter, the frontend and the compiler.

    conv = BuilderOperator("CONV_2D", ("x", "w", "b"), ("y",), {"padding": "SAME", "stride_h": 1, "stride_w": 1})
    model = build_model([BuilderTensor("x", (1, 8, 8, 3), scale=0.1), ...], [conv], ["x"], ["y"])

Options have the names and values of `weft.compiler.graph.Operator.options`; what is not given gets TFLite's default
(strides, dilations, depth multiplier and beta: 1).
"""

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import tflite

TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "float16": tflite.TensorType.FLOAT16,
    "int32": tflite.TensorType.INT32,
    "uint8": tflite.TensorType.UINT8,
    "int64": tflite.TensorType.INT64,
    "bool": tflite.TensorType.BOOL,
    "int16": tflite.TensorType.INT16,
    "int8": tflite.TensorType.INT8,
    "int4": tflite.TensorType.INT4,
    "resource": tflite.TensorType.RESOURCE,
}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
PADDINGS = {"SAME": 0, "VALID": 1}
MIRROR_MODES = {"REFLECT": 0, "SYMMETRIC": 1}

_WINDOW = {
    "padding": ("Padding", "SAME"),
    "stride_w": ("StrideW", 1),
    "stride_h": ("StrideH", 1),
    "activation": ("FusedActivationFunction", "NONE"),
}
_DILATION = {"dilation_w": ("DilationWFactor", 1), "dilation_h": ("DilationHFactor", 1)}
_FILTER = {"filter_width": ("FilterWidth", 1), "filter_height": ("FilterHeight", 1)}
_RESIZE = {"align_corners": ("AlignCorners", False), "half_pixel_centers": ("HalfPixelCenters", False)}
_ACTIVATION = {"activation": ("FusedActivationFunction", "NONE")}
OPTIONS = {
    "CONV_2D": ("Conv2DOptions", {**_WINDOW, **_DILATION}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_WINDOW, **_DILATION, "depth_multiplier": ("DepthMultiplier", 1)}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {**_ACTIVATION, "keep_num_dims": ("KeepNumDims", False)}),
    "ADD": ("AddOptions", _ACTIVATION),
    "MUL": ("MulOptions", _ACTIVATION),
    "SUB": ("SubOptions", _ACTIVATION),
    "MAXIMUM": ("MaximumMinimumOptions", {}),
    "MINIMUM": ("MaximumMinimumOptions", {}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _WINDOW),
    "AVERAGE_POOL_2D": ("Pool2DOptions", {**_WINDOW, **_FILTER}),
    "MAX_POOL_2D": ("Pool2DOptions", {**_WINDOW, **_FILTER}),
    "SOFTMAX": ("SoftmaxOptions", {"beta": ("Beta", 1.0)}),
    "POW": ("PowOptions", {}),
    "RESHAPE": ("ReshapeOptions", {"new_shape": ("NewShape", ())}),
    "PAD": ("PadOptions", {}),
    "QUANTIZE": ("QuantizeOptions", {}),
    "DEQUANTIZE": ("DequantizeOptions", {}),
    "MEAN": ("ReducerOptions", {"keep_dims": ("KeepDims", False)}),
    "REDUCE_MAX": ("ReducerOptions", {"keep_dims": ("KeepDims", False)}),
    "REDUCE_MIN": ("ReducerOptions", {"keep_dims": ("KeepDims", False)}),
    "REVERSE_V2": ("ReverseV2Options", {}),
    "SUM": ("ReducerOptions", {"keep_dims": ("KeepDims", False)}),
    "BATCH_TO_SPACE_ND": ("BatchToSpaceNDOptions", {}),
    "CAST": ("CastOptions", {}),
    "CONCATENATION": ("ConcatenationOptions", {"axis": ("Axis", 0), **_ACTIVATION}),
    "DIV": ("DivOptions", _ACTIVATION),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"block_size": ("BlockSize", 2)}),
    "EXPAND_DIMS": ("ExpandDimsOptions", {}),
    "GATHER": ("GatherOptions", {"axis": ("Axis", 0), "batch_dims": ("BatchDims", 0)}),
    "GELU": ("GeluOptions", {"approximate": ("Approximate", False)}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": ("Alpha", 0.0)}),
    "MIRROR_PAD": ("MirrorPadOptions", {"mode": ("Mode", "REFLECT")}),
    "PACK": ("PackOptions", {"values_count": ("ValuesCount", 0), "axis": ("Axis", 0)}),
    "SHAPE": ("ShapeOptions", {"out_type": ("OutType", "int32")}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"block_size": ("BlockSize", 2)}),
    "SPLIT": ("SplitOptions", {"num_splits": ("NumSplits", 0)}),
    "SPLIT_V": ("SplitVOptions", {"num_splits": ("NumSplits", 0)}),
    "SQUEEZE": ("SqueezeOptions", {"squeeze_dims": ("SqueezeDims", ())}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {
            "begin_mask": ("BeginMask", 0), "end_mask": ("EndMask", 0), "ellipsis_mask": ("EllipsisMask", 0),
            "new_axis_mask": ("NewAxisMask", 0), "shrink_axis_mask": ("ShrinkAxisMask", 0), "offset": ("Offset", False),
        },
    ),
    "SQUARED_DIFFERENCE": ("SquaredDifferenceOptions", {}),
    "TRANSPOSE": ("TransposeOptions", {}),
    "UNPACK": ("UnpackOptions", {"num": ("Num", 0), "axis": ("Axis", 0)}),
}  # fmt: skip
"""For each operator its options table in the schema, and for each option its field there and its default."""

VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "SOFTMAX": 2,
    "PAD": 2, "DEQUANTIZE": 2, "MEAN": 2, "MUL": 2, "ABS": 2,
    "BATCH_TO_SPACE_ND": 2, "BROADCAST_TO": 2, "CONCATENATION": 2,
    "EXP": 2, "GATHER": 2, "GELU": 2, "LEAKY_RELU": 2, "LOGISTIC": 2, "MIRROR_PAD": 2, "PACK": 2, "PADV2": 2, "RELU": 2,
    "REDUCE_MAX": 2, "REDUCE_MIN": 2, "RELU6": 2, "RSQRT": 2, "SLICE": 2, "SPACE_TO_BATCH_ND": 2, "SPACE_TO_DEPTH": 2, "RESIZE_BILINEAR": 3,
    "RESIZE_NEAREST_NEIGHBOR": 3, "SUB": 2, "MAXIMUM": 2, "MINIMUM": 2, "TRANSPOSE_CONV": 4, "SPLIT": 2, "SPLIT_V": 2,
    "SQUARED_DIFFERENCE": 2, "STRIDED_SLICE": 2, "TANH": 2, "TRANSPOSE": 2, "UNPACK": 2,
}  # fmt: skip
"""Operator versions that take int8; the others are version 1."""


@dataclass(frozen=True, eq=False)
class BuilderTensor:
    """A tensor to be written.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
        A key of `TYPES`.
    scale : float, sequence of float or None
        None writes no quantization.
    zero_point : int or sequence of int
        One for all scales, or as many.
    axis : int
        Dimension of the channels where there are several scales.
    data : ndarray or None
        A constant's value; of an int4 one -8 to 7, an element each.
    shape_signature : tuple of int or None
        With -1 for each dynamic dimension.
    """

    name: str
    shape: tuple
    dtype: str = "int8"
    scale: object = None
    zero_point: object = 0
    axis: int = 0
    data: np.ndarray | None = None
    shape_signature: tuple | None = None


@dataclass(frozen=True)
class BuilderOperator:
    """An operator to be written, a custom one as ``CUSTOM:name``; None among the inputs is an absent optional tensor."""

    op: str
    inputs: tuple
    outputs: tuple
    options: dict = field(default_factory=dict)


def build_model(tensors, operators, inputs, outputs, *, name="main") -> bytes:
    """A TFLite file.

    Parameters
    ----------
    tensors : sequence of BuilderTensor
    operators : sequence of BuilderOperator
        In the order of execution; tensors are referred to by name.
    inputs, outputs : sequence of str
    name : str
        Of the subgraph.
    """
    builder = flatbuffers.Builder(1024)
    index = {tensor.name: i for i, tensor in enumerate(tensors)}
    kinds = list(dict.fromkeys(operator.op for operator in operators))
    buffers = [_buffer(builder, None), *(_buffer(builder, tensor.data, tensor.dtype) for tensor in tensors)]
    tensor_offsets = [_tensor(builder, tensor, i + 1) for i, tensor in enumerate(tensors)]
    operator_offsets = [_operator(builder, operator, kinds.index(operator.op), index) for operator in operators]
    subgraph = _table(
        builder, "SubGraph",
        Tensors=_offsets(builder, tensor_offsets), Inputs=_ints(builder, [index[n] for n in inputs]),
        Outputs=_ints(builder, [index[n] for n in outputs]), Operators=_offsets(builder, operator_offsets),
        Name=builder.CreateString(name),
    )  # fmt: skip
    model = _table(
        builder, "Model",
        Version=3, OperatorCodes=_offsets(builder, [_code(builder, kind) for kind in kinds]),
        Subgraphs=_offsets(builder, [subgraph]), Description=builder.CreateString("tflite_builder"),
        Buffers=_offsets(builder, buffers),
    )  # fmt: skip
    builder.Finish(model, b"TFL3")
    return bytes(builder.Output())


def _table(builder, table, **fields):
    """Write one table of the schema; None leaves a field out."""
    getattr(tflite, table + "Start")(builder)
    for name, value in fields.items():
        if value is not None:
            getattr(tflite, table + "Add" + name)(builder, value)
    return getattr(tflite, table + "End")(builder)


def _offsets(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _ints(builder, values):
    return builder.CreateNumpyVector(np.asarray(values, np.int32))


def _buffer(builder, data, dtype=None):
    if data is None:
        return _table(builder, "Buffer")
    raw = pack_int4(data) if dtype == "int4" else np.ascontiguousarray(data, dtype).reshape(-1).view(np.uint8)
    builder.StartVector(1, raw.size, 16)  # TFLite wants the data on 16 bytes
    builder.head -= raw.size
    builder.Bytes[builder.head : builder.head + raw.size] = raw.tobytes()
    return _table(builder, "Buffer", Data=builder.EndVector())


def pack_int4(values) -> np.ndarray:
    """Values from -8 to 7 as a file holds them, two a byte, the first in its lower half: uint8[(n + 1) // 2]."""
    values = np.asarray(values).reshape(-1)
    assert values.min(initial=0) >= -8 and values.max(initial=0) <= 7
    nibbles = np.append(values, [0] * (values.size % 2)).astype(np.int8).view(np.uint8) & 15
    return nibbles[0::2] | nibbles[1::2] << 4


def _tensor(builder, tensor, buffer):
    quantization = None
    if tensor.scale is not None:
        scales = np.atleast_1d(np.asarray(tensor.scale, np.float32))
        zeros = np.broadcast_to(np.asarray(tensor.zero_point, np.int64), scales.shape)
        quantization = _table(
            builder, "QuantizationParameters",
            Scale=builder.CreateNumpyVector(scales), ZeroPoint=builder.CreateNumpyVector(np.ascontiguousarray(zeros)),
            QuantizedDimension=tensor.axis,
        )  # fmt: skip
    signature = None if tensor.shape_signature is None else _ints(builder, tensor.shape_signature)
    return _table(
        builder, "Tensor",
        Shape=_ints(builder, tensor.shape), Type=TYPES[tensor.dtype], Buffer=buffer,
        Name=builder.CreateString(tensor.name), Quantization=quantization, ShapeSignature=signature,
    )  # fmt: skip


def _operator(builder, operator, code, index):
    options, options_type = None, None
    if operator.op in OPTIONS:
        table, fields = OPTIONS[operator.op]
        unknown = set(operator.options) - set(fields)
        assert not unknown, f"{operator.op} has no option {unknown}"
        values = {target: _value(builder, key, operator.options.get(key, default)) for key, (target, default) in fields.items()}
        options, options_type = _table(builder, table, **values), getattr(tflite.BuiltinOptions, table)
    inputs = [-1 if name is None else index[name] for name in operator.inputs]
    return _table(
        builder, "Operator",
        OpcodeIndex=code, Inputs=_ints(builder, inputs), Outputs=_ints(builder, [index[n] for n in operator.outputs]),
        BuiltinOptionsType=options_type, BuiltinOptions=options,
    )  # fmt: skip


def _value(builder, key, value):
    if key == "activation":
        return ACTIVATIONS[value]
    if key == "padding":
        return PADDINGS[value]
    if key == "mode":
        return MIRROR_MODES[value]
    if key == "out_type":
        return TYPES[value]
    return _ints(builder, value) if key in ("new_shape", "squeeze_dims") else value


def _code(builder, kind):
    op, _, name = kind.partition(":")
    code = getattr(tflite.BuiltinOperator, op)
    custom = builder.CreateString(name) if op == "CUSTOM" else None
    return _table(
        builder, "OperatorCode",
        DeprecatedBuiltinCode=min(code, 127), CustomCode=custom, Version=VERSIONS.get(kind, 1), BuiltinCode=code,
    )  # fmt: skip
