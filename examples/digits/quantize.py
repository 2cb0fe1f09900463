"""Full int8 quantization of the digits network as TFLite does it (quantization specification of TensorFlow Lite).

Weights symmetric, by output channel in convolutions and by tensor in the fully connected layer; biases int32 with the
product of the input's and the weight's scale; activations asymmetric with the range seen on the training images.
"""

import numpy as np
import tflite
from tflite_writer import Operator, Tensor, write_tflite

INPUT_SCALE = 1 / 255
INPUT_ZERO_POINT = -128
SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = 1 / 256, -128
"""Fixed by the specification for an int8 SOFTMAX."""


def activation_range(values) -> tuple[float, int]:
    """Scale and zero point that map the values' range, zero included, on -128 to 127."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = float(np.float32((high - low) / 255))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def symmetric_weights(weights, *, by_channel) -> tuple[np.ndarray, np.ndarray]:
    """``int8`` weights ``[Cout, ...]`` in -127 to 127 and their scales, one for each output channel or one for all."""
    axes = tuple(range(1, weights.ndim)) if by_channel else None
    scales = np.atleast_1d(np.abs(weights).max(axes) / 127).astype(np.float32)
    spread = scales.reshape(-1, *[1] * (weights.ndim - 1))
    return np.clip(np.round(weights / spread), -127, 127).astype(np.int8), scales


def quantized_network(parameters, activations, convolutions) -> bytes:
    """The `.tflite` file.

    Parameters
    ----------
    parameters : dict
        Trained weights and biases (`network.initial_parameters`).
    activations : dict
        Activations on the training images (`network.forward`): they give the ranges.
    convolutions : tuple
        The table `network.CONVOLUTIONS`.
    """
    ranges = {name: activation_range(activations[name]) for name in ("first", "down", "block_a", "block_b", "sum", "logits")}
    ranges |= {"input": (INPUT_SCALE, INPUT_ZERO_POINT), "pool": ranges["sum"], "flat": ranges["sum"]}
    ranges["softmax"] = (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)
    shapes = {name: (1, *activations[name].shape[1:]) for name in ("input", "first", "down", "block_a", "block_b", "sum")}
    channels = shapes["sum"][-1]
    classes = activations["logits"].shape[-1]
    shapes |= {"pool": (1, 1, 1, channels), "flat": (1, channels), "logits": (1, classes), "softmax": (1, classes)}
    tensors = [Tensor(name, shape, (ranges[name][0],), ranges[name][1]) for name, shape in shapes.items()]

    def add_weights(name, source, weights, bias, by_channel):
        quantized, scales = symmetric_weights(weights, by_channel=by_channel)
        tensors.append(Tensor(f"{name}.w", weights.shape, tuple(scales), 0, quantized))
        bias_scales = scales * np.float32(ranges[source][0])
        values = np.round(bias / bias_scales).astype(np.int32)
        tensors.append(Tensor(f"{name}.b", bias.shape, tuple(bias_scales), 0, values, "int32"))

    operators = []
    source = "input"
    for name, _, _, stride in convolutions:
        weights = parameters[f"{name}.w"].transpose(3, 0, 1, 2)
        add_weights(name, source, weights, parameters[f"{name}.b"], by_channel=True)
        relu = tflite.ActivationFunctionType.NONE if name == "block_b" else tflite.ActivationFunctionType.RELU
        options = (
            ("Padding", tflite.Padding.SAME),
            ("StrideW", stride),
            ("StrideH", stride),
            ("DilationWFactor", 1),
            ("DilationHFactor", 1),
            ("FusedActivationFunction", relu),
        )
        operators.append(Operator("CONV_2D", (source, f"{name}.w", f"{name}.b"), (name,), "Conv2DOptions", options))
        source = name
    add_weights("classes", "flat", parameters["classes.w"].T, parameters["classes.b"], by_channel=False)
    operators += _tail(shapes)
    return write_tflite(tensors, operators, inputs=["input"], outputs=["softmax"], description="digits: scikit-learn's handwritten digits")


def _tail(shapes):
    """From the residual sum to the probabilities."""
    height, width = shapes["sum"][1:3]
    pool = (
        ("Padding", tflite.Padding.VALID),
        ("StrideW", width),
        ("StrideH", height),
        ("FilterWidth", width),
        ("FilterHeight", height),
        ("FusedActivationFunction", tflite.ActivationFunctionType.NONE),
    )
    relu = (("FusedActivationFunction", tflite.ActivationFunctionType.RELU),)
    none = (("FusedActivationFunction", tflite.ActivationFunctionType.NONE),)
    return [
        Operator("ADD", ("down", "block_b"), ("sum",), "AddOptions", relu),
        Operator("AVERAGE_POOL_2D", ("sum",), ("pool",), "Pool2DOptions", pool),
        Operator("RESHAPE", ("pool",), ("flat",), "ReshapeOptions", (("NewShape", shapes["flat"]),)),
        Operator("FULLY_CONNECTED", ("flat", "classes.w", "classes.b"), ("logits",), "FullyConnectedOptions", none),
        Operator("SOFTMAX", ("logits",), ("softmax",), "SoftmaxOptions", (("Beta", 1.0),)),
    ]
