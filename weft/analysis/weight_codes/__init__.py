"""What lossless codes of the weights in DDR would save: sizes, cycles, and the codes themselves. A measurement, no part of the NPU.

``python -m weft.analysis.weight_codes MODEL... [--config small]`` prints the tables of ``docs/weight_compression.md``.
"""
