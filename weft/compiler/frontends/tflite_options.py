"""The options of each supported operator, from the TFLite schema's tables to plain Python values."""

import tflite

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
PADDINGS = {0: "SAME", 1: "VALID"}
MIRROR_MODES = {0: "REFLECT", 1: "SYMMETRIC"}

_WINDOW = {"stride_h": "StrideH", "stride_w": "StrideW", "padding": "Padding"}
_DILATION = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}
_RESIZE = {"align_corners": "AlignCorners", "half_pixel_centers": "HalfPixelCenters"}
_ACTIVATION = {"activation": "FusedActivationFunction"}
_REDUCTION = {"keep_dims": "KeepDims"}
_BLOCK = {"block_size": "BlockSize"}
_SPLIT = {"num_splits": "NumSplits"}
_MASKS = {
    "begin_mask": "BeginMask", "end_mask": "EndMask", "ellipsis_mask": "EllipsisMask", "new_axis_mask": "NewAxisMask",
    "shrink_axis_mask": "ShrinkAxisMask", "offset": "Offset",
}  # fmt: skip
_POOL = {**_WINDOW, "filter_height": "FilterHeight", "filter_width": "FilterWidth", **_ACTIVATION}

OPTIONS = {
    "ADD": ("AddOptions", _ACTIVATION),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONCATENATION": ("ConcatenationOptions", {"axis": "Axis", **_ACTIVATION}),
    "CONV_2D": ("Conv2DOptions", {**_WINDOW, **_DILATION, **_ACTIVATION}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_WINDOW, **_DILATION, **_ACTIVATION}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", _BLOCK),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {"keep_num_dims": "KeepNumDims", "weights_format": "WeightsFormat", **_ACTIVATION}),
    "GATHER": ("GatherOptions", {"axis": "Axis", "batch_dims": "BatchDims"}),
    "GELU": ("GeluOptions", {"approximate": "Approximate"}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": "Alpha"}),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", _REDUCTION),
    "MUL": ("MulOptions", _ACTIVATION),
    "REDUCE_MAX": ("ReducerOptions", _REDUCTION),
    "REDUCE_MIN": ("ReducerOptions", _REDUCTION),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "SOFTMAX": ("SoftmaxOptions", {"beta": "Beta"}),
    "MIRROR_PAD": ("MirrorPadOptions", {"mode": "Mode"}),
    "PACK": ("PackOptions", {"values_count": "ValuesCount", "axis": "Axis"}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", _BLOCK),
    "SPLIT": ("SplitOptions", _SPLIT),
    "SPLIT_V": ("SplitVOptions", _SPLIT),
    "STRIDED_SLICE": ("StridedSliceOptions", _MASKS),
    "UNPACK": ("UnpackOptions", {"num": "Num", "axis": "Axis"}),
    "SUB": ("SubOptions", _ACTIVATION),
    "SUM": ("ReducerOptions", _REDUCTION),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {**_WINDOW, **_ACTIVATION}),
}
"""For each operator with options: its table in the schema, and the field there of each option. The others have none."""


def read_options(op: str, raw) -> dict:
    """The options of one operator.

    Parameters
    ----------
    op : str
        TFLite's name.
    raw : tflite.Operator

    Raises
    ------
    ValueError
        If the file holds no options, or another operator's, or an unknown value.
    """
    if op not in OPTIONS:
        return {}
    table_name, fields = OPTIONS[op]
    union = raw.BuiltinOptions()
    if union is None or raw.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, table_name):
        raise ValueError(f"the operator has no {table_name}")
    table = getattr(tflite, table_name)()
    table.Init(union.Bytes, union.Pos)
    return {name: _value(name, getattr(table, field)()) for name, field in fields.items()}


def _value(name, value):
    names = {"activation": ACTIVATIONS, "padding": PADDINGS, "mode": MIRROR_MODES}.get(name)
    if names is None:
        return value
    if value not in names:
        raise ValueError(f"{name} {value} is unknown")
    return names[value]
