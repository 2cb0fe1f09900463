"""Sizes and paddings of windows that move over an image (TFLite ``lite/kernels/padding.h``)."""


def effective_size(kernel: int, dilation: int = 1) -> int:
    """Pixels that a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def output_size(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Output pixels along one axis (``ComputeOutSize``).

    Parameters
    ----------
    padding : {'SAME', 'VALID'}
    size : int
        Input pixels along the axis.
    kernel, stride, dilation : int

    Returns
    -------
    int
        0 or less where the kernel does not fit the image.
    """
    if padding == "SAME":
        return (size + stride - 1) // stride
    return (size + stride - effective_size(kernel, dilation)) // stride


def padding_before_after(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding pixels before and after an image along one axis (``ComputePaddingWithOffset``); the odd one goes behind.

    Parameters
    ----------
    padding : {'SAME', 'VALID'}
    size : int
        Input pixels along the axis.
    kernel, stride, dilation : int

    Returns
    -------
    before, after : int
        Zero for VALID. `after` counts the pixels that some window touches.
    """
    if padding == "VALID":
        return 0, 0
    total = max(0, (output_size(padding, size, kernel, stride, dilation) - 1) * stride + effective_size(kernel, dilation) - size)
    return total // 2, total - total // 2
