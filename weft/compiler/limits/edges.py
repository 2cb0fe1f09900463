"""Limits of QUANTIZE and DEQUANTIZE, the operators at a network's edges."""

from weft.compiler.graph import BYTES, label_of


def reads_bytes_or_input(graph, operator):
    """It must read int8, uint8, or a float32 input of the network"""
    source = graph.input(operator, 0)
    allowed = source.dtype in BYTES or (source.dtype == "float32" and source.name in graph.inputs)
    return None if allowed else f"{label_of(source.name)} of {source.dtype}"


def writes_bytes(graph, operator):
    """Its output must be int8 or uint8"""
    return None if graph.output(operator).dtype in BYTES else graph.output(operator).dtype


def reads_bytes(graph, operator):
    """Its input must be int8 or uint8"""
    return None if graph.input(operator, 0).dtype in BYTES else graph.input(operator, 0).dtype


def writes_float_output(graph, operator):
    """Its output must be float32 and be read by no other operator"""
    result = graph.output(operator)
    readers = graph.consumers()[result.name]
    return None if result.dtype == "float32" and not readers else f"{result.dtype}, read by {', '.join(r.title for r in readers) or 'none'}"
