"""Makes `edge_quantizer_int4.tflite`: a network as today's quantizer writes it, int8 activations and int4 weights by channel.

In an environment of its own with ``ai-edge-quantizer==0.10.0``, ``tflite==2.18.0``, ``flatbuffers`` and ``numpy``, from the repository's
folder: ``python -m tests.unit.data.make_edge_quantizer``. The same versions write the same bytes. The quantizer knows int4 weights of
CONV_2D and FULLY_CONNECTED; those of DEPTHWISE_CONV_2D it leaves at int8.
"""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer

from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

PATH = Path(__file__).parent / "edge_quantizer_int4.tflite"
SIGNATURE = "serving_default"


def float_network() -> bytes:
    """3x3 convolution, 3x3 depthwise convolution with stride 2, 1x1 convolution, average pool, fully connected layer, softmax."""
    rng = np.random.default_rng(0)

    def image(name, *shape):
        return BuilderTensor(name, shape, "float32")

    def parameters(name, *shape, fan_in, channels):
        weights = (rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)
        bias = (rng.normal(size=channels) / 5).astype(np.float32)
        return [BuilderTensor(f"{name}_w", shape, "float32", data=weights), BuilderTensor(f"{name}_b", (channels,), "float32", data=bias)]

    tensors = [
        image("image", 1, 12, 10, 3), *parameters("conv", 13, 3, 3, 3, fan_in=27, channels=13),
        image("conv", 1, 12, 10, 13), *parameters("depthwise", 1, 3, 3, 13, fan_in=9, channels=13),
        image("depthwise", 1, 6, 5, 13), *parameters("pointwise", 16, 1, 1, 13, fan_in=13, channels=16),
        image("pointwise", 1, 6, 5, 16), image("pool", 1, 3, 2, 16), image("flat", 1, 96),
        *parameters("logits", 7, 96, fan_in=96, channels=7), image("logits", 1, 7), image("probabilities", 1, 7),
        BuilderTensor("shape", (2,), "int32", data=np.array([1, 96])),
    ]  # fmt: skip
    halves = {"filter_width": 2, "filter_height": 2, "stride_w": 2, "stride_h": 2, "padding": "VALID"}
    operators = [
        BuilderOperator("CONV_2D", ("image", "conv_w", "conv_b"), ("conv",), {"activation": "RELU"}),
        BuilderOperator(
            "DEPTHWISE_CONV_2D",
            ("conv", "depthwise_w", "depthwise_b"),
            ("depthwise",),
            {"activation": "RELU6", "stride_h": 2, "stride_w": 2},
        ),
        BuilderOperator("CONV_2D", ("depthwise", "pointwise_w", "pointwise_b"), ("pointwise",), {"activation": "RELU"}),
        BuilderOperator("AVERAGE_POOL_2D", ("pointwise",), ("pool",), halves),
        BuilderOperator("RESHAPE", ("pool", "shape"), ("flat",), {"new_shape": (1, 96)}),
        BuilderOperator("FULLY_CONNECTED", ("flat", "logits_w", "logits_b"), ("logits",)),
        BuilderOperator("SOFTMAX", ("logits",), ("probabilities",)),
    ]
    return with_signature(build_model(tensors, operators, ["image"], ["probabilities"]))


def with_signature(content) -> bytes:
    """A file with a name for its input and output, by which the quantizer calibrates."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs

    def named(index):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = graph.tensors[index].name, index
        return entry

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs = SIGNATURE, [named(graph.inputs[0])], [named(graph.outputs[0])]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main():
    """Calibrate with 50 random images, quantize, write."""
    made, ops = quantizer.Quantizer(float_network()), qtyping.TFLOperationName
    made.add_static_config(".*", ops.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for op in (ops.CONV_2D, ops.FULLY_CONNECTED):
        made.add_static_config(".*", op, activation_num_bits=8, weight_num_bits=4)
    rng = np.random.default_rng(0)
    images = [{"image": rng.normal(size=(1, 12, 10, 3)).astype(np.float32)} for _ in range(50)]
    PATH.write_bytes(made.quantize(made.calibrate({SIGNATURE: images})).quantized_model)


if __name__ == "__main__":
    main()
