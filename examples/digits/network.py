"""The digits network in float, with its gradients: numpy and nothing else.

    8x8x1 -> conv3x3 16, relu -> conv3x3/2 32, relu -> [conv3x3 32, relu -> conv3x3 32] + shortcut, relu
          -> average of 4x4 -> fully connected 10

Tensors are ``float32[N, H, W, C]``, convolution weights ``float32[KH, KW, Cin, Cout]``, as TFLite pads SAME.
"""

import numpy as np

CONVOLUTIONS = (("first", 1, 16, 1), ("down", 16, 32, 2), ("block_a", 32, 32, 1), ("block_b", 32, 32, 1))
"""Name, channels in, channels out, stride; all 3x3, SAME."""
CLASSES = 10
KERNEL = 3


def initial_parameters(rng) -> dict:
    """He-normal weights and zero biases, by name: ``first.w``, ``first.b``, ..., ``classes.b``."""
    parameters = {}
    for name, inputs, outputs, _ in CONVOLUTIONS:
        deviation = np.sqrt(2 / (KERNEL * KERNEL * inputs))
        parameters[f"{name}.w"] = rng.normal(0, deviation, (KERNEL, KERNEL, inputs, outputs)).astype(np.float32)
        parameters[f"{name}.b"] = np.zeros(outputs, np.float32)
    channels = CONVOLUTIONS[-1][2]
    parameters["classes.w"] = rng.normal(0, np.sqrt(1 / channels), (channels, CLASSES)).astype(np.float32)
    parameters["classes.b"] = np.zeros(CLASSES, np.float32)
    return parameters


def padding(size, stride) -> tuple[int, int]:
    """Zeros before and after one axis, as TFLite pads SAME."""
    total = max((-(-size // stride) - 1) * stride + KERNEL - size, 0)
    return total // 2, total - total // 2


def _patches(x, stride):
    """Windows of the padded input, ``[N, OH, OW, KH, KW, C]``."""
    padded = np.pad(x, ((0, 0), padding(x.shape[1], stride), padding(x.shape[2], stride), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL, KERNEL), axis=(1, 2))
    return windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


def _convolution(x, w, b, stride):
    patches = _patches(x, stride)
    columns = patches.reshape(-1, w[..., 0].size)
    y = columns @ w.reshape(-1, w.shape[-1]) + b
    return y.reshape(*patches.shape[:3], -1), columns


def _convolution_gradients(grad, x, columns, w, stride):
    flat = grad.reshape(-1, grad.shape[-1])
    w_grad = (columns.T @ flat).reshape(w.shape)
    by_tap = (flat @ w.reshape(-1, w.shape[-1]).T).reshape(*grad.shape[:3], KERNEL, KERNEL, -1)
    rows, cols = padding(x.shape[1], stride), padding(x.shape[2], stride)
    padded = np.zeros((x.shape[0], x.shape[1] + sum(rows), x.shape[2] + sum(cols), x.shape[3]), np.float32)
    height, width = grad.shape[1:3]
    for ky in range(KERNEL):
        for kx in range(KERNEL):
            padded[:, ky : ky + height * stride : stride, kx : kx + width * stride : stride] += by_tap[:, :, :, ky, kx]
    x_grad = padded[:, rows[0] : rows[0] + x.shape[1], cols[0] : cols[0] + x.shape[2]]
    return x_grad, w_grad, flat.sum(0)


def forward(parameters, x) -> dict:
    """Every activation by name; ``logits`` is ``float32[N, 10]``, ``<name>.columns`` are kept for the gradients."""
    a = {"input": x}
    strides = {name: stride for name, _, _, stride in CONVOLUTIONS}

    def conv(name, source):
        y, a[f"{name}.columns"] = _convolution(a[source], parameters[f"{name}.w"], parameters[f"{name}.b"], strides[name])
        return y

    a["first"] = np.maximum(conv("first", "input"), 0)
    a["down"] = np.maximum(conv("down", "first"), 0)
    a["block_a"] = np.maximum(conv("block_a", "down"), 0)
    a["block_b"] = conv("block_b", "block_a")
    a["sum"] = np.maximum(a["down"] + a["block_b"], 0)
    a["pool"] = a["sum"].mean((1, 2))
    a["logits"] = a["pool"] @ parameters["classes.w"] + parameters["classes.b"]
    return a


def gradients(parameters, a, labels) -> dict:
    """Gradient of the mean cross-entropy by parameter name, from the activations of `forward`."""
    grads = {}
    strides = {name: stride for name, _, _, stride in CONVOLUTIONS}

    def conv(name, source, grad):
        x_grad, grads[f"{name}.w"], grads[f"{name}.b"] = _convolution_gradients(
            grad, a[source], a[f"{name}.columns"], parameters[f"{name}.w"], strides[name]
        )
        return x_grad

    exps = np.exp(a["logits"] - a["logits"].max(1, keepdims=True))
    grad = exps / exps.sum(1, keepdims=True)
    grad[np.arange(len(labels)), labels] -= 1
    grad /= len(labels)
    grads["classes.w"], grads["classes.b"] = a["pool"].T @ grad, grad.sum(0)
    pool_grad = grad @ parameters["classes.w"].T
    area = a["sum"].shape[1] * a["sum"].shape[2]
    sum_grad = np.broadcast_to(pool_grad[:, None, None] / area, a["sum"].shape) * (a["sum"] > 0)
    inner = conv("block_b", "block_a", sum_grad) * (a["block_a"] > 0)
    down_grad = (sum_grad + conv("block_a", "down", inner)) * (a["down"] > 0)
    conv("first", "input", conv("down", "first", down_grad) * (a["first"] > 0))
    return grads
