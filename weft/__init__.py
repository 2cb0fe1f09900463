"""Weft: generates an NPU, compiles quantized networks for it, and says what they cost on it."""

from hw.version import VERSION as __version__

__all__ = ["__version__"]
