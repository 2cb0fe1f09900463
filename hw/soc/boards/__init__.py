"""Boards: what stands around the NPU there, with the part's own primitives."""
