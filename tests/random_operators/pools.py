"""Random pools."""

from golden.geometry import output_size
from tests.random_operators.values import activation_of, batch_of, one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def _pool(op, rng) -> bytes:
    kernel = [int(k) for k in rng.integers(1, 8, 2)]
    stride = [int(s) for s in rng.integers(1, 5, 2)]
    padding = str(rng.choice(["SAME", "VALID"]))
    size = [int((k if padding == "VALID" else 1) + rng.integers(0, 14)) for k in kernel]
    batch, channels = batch_of(rng), int(rng.integers(1, 40))
    out = [output_size(padding, size[i], kernel[i], stride[i]) for i in (0, 1)]
    scale, zero_point = scale_of(rng), zero_point_of(rng)
    tensors = [
        BuilderTensor("x", (batch, *size, channels), scale=scale, zero_point=zero_point),
        BuilderTensor("y", (batch, *out, channels), scale=scale, zero_point=zero_point),
    ]
    options = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1], "filter_height": kernel[0], "filter_width": kernel[1],
        "activation": activation_of(rng),
    }  # fmt: skip
    return one_operator(op, tensors, ("x",), ("y",), options)


def average_pool(rng) -> bytes:
    """AVERAGE_POOL_2D."""
    return _pool("AVERAGE_POOL_2D", rng)


def max_pool(rng) -> bytes:
    """MAX_POOL_2D."""
    return _pool("MAX_POOL_2D", rng)
