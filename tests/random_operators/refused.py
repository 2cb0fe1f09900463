"""Which random operators the compiler may refuse, and why."""

REFUSED = {
    "DEQUANTIZE": ("the NPU computes none of its operators",),
    "QUANTIZE": ("the NPU computes none of its operators",),
    "MEAN": ("does not sum dimensions",),
    "REDUCE_MAX": ("does not compare dimensions",),
    "REDUCE_MIN": ("does not compare dimensions",),
    "SQUARED_DIFFERENCE": ("steps of the larger scale, the limit is 255", "the output's scale is so small"),
    "SUM": ("does not sum dimensions",),
    "RESIZE_BILINEAR": ("which are not bytes", "steps of the NPU, the limit is 1024"),
    "MUL": ("is above 2^14",),
    "PRELU": ("is above 2^14",),
}
"""What an operator may be refused for, by parts of the messages."""

ALWAYS_REFUSED = frozenset({"DEQUANTIZE"})
"""Operators to real numbers run on the host, and a network of nothing else is none for the NPU."""

MOST_REFUSED = 0.9
"""Share of a dozen draws. Of the random ratios of a RESIZE_BILINEAR, about one half have weights that are no bytes."""


def assert_refused_for_its_reason(op, message):
    """One line, which gives the reason that the table allows this operator."""
    assert "\n" not in message, message
    assert any(reason in message for reason in REFUSED.get(op, ())), f"{op}: refused for another reason than the table's: {message}"
