"""Real functions of one value, as expressions: what stands between a DEQUANTIZE and a QUANTIZE, element by element.

An expression is a number; equal expressions have the same, so that one that is used twice (x * logistic(x)) is stored once.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Node(NamedTuple):
    """One node of an expression.

    Attributes
    ----------
    kind : str
        ``argument``: the real value that the function is given; ``bytes``: a dequantized byte; ``number``: a constant;
        ``operator``: an operator of the file; ``quantize``: an 8-bit value, always the outermost.
    value : tuple
        Of `bytes` and `quantize` type, scale and zero point; of a number its four bytes; of an operator its position in the file.
    operands : tuple of int
        The expressions that it is made from.
    """

    kind: str
    value: tuple = ()
    operands: tuple[int, ...] = ()


class Expressions:
    """All expressions of a graph, each stored once."""

    def __init__(self):
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self.argument = self.add(Node("argument"))

    def __getitem__(self, expression: int) -> Node:
        return self._nodes[expression]

    def add(self, node: Node) -> int:
        """The expression of a node."""
        if node not in self._numbers:
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[node]

    def number(self, value: np.float32) -> int:
        """A constant; zeros of different signs differ."""
        return self.add(Node("number", (np.float32(value).tobytes(),)))

    def after(self, outer: int, inner: int) -> int:
        """The function `outer` of what `inner` gives: its argument is replaced."""
        made = {self.argument: inner}
        for expression in self.parts(outer):
            node = self[expression]
            if expression not in made:
                made[expression] = self.add(node._replace(operands=tuple(made[each] for each in node.operands)))
        return made[outer]

    def parts(self, expression: int) -> list[int]:
        """Every expression that it consists of, itself last, each behind its operands."""
        found, waiting = set(), [expression]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += self[each].operands
        return sorted(found)  # a node is added after its operands

    def leaf(self, expression: int) -> int:
        """The value that it is a function of: its argument, or a dequantized byte."""
        return next(each for each in self.parts(expression) if self[each].kind in ("argument", "bytes"))

    def positions(self, expression: int) -> list[int]:
        """Where the operators that it uses stand in the file."""
        return [self[each].value[0] for each in self.parts(expression) if self[each].kind == "operator"]

    def evaluate(self, expression: int, given, apply: Callable):
        """Its value: ``apply(node, values of its operands)`` for each node, from the leaf `given` on."""
        values = {self.leaf(expression): given}
        for each in self.parts(expression):
            if each not in values:
                values[each] = apply(self[each], [values[operand] for operand in self[each].operands])
        return values[expression]
