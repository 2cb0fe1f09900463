"""Weft: generates an NPU, compiles quantized networks for it, and says what they cost on it."""

__version__ = "0.1.0"
