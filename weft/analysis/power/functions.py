"""Logic functions as Liberty writes them, made into functions of words: a bit a cycle."""

import re
from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np

from hw.npu.errors import WeftError

Function = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Words of an output, of the words of the pins."""
ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def compiled(text: str) -> Function:
    """A Liberty function as one of words.

    Raises
    ------
    WeftError
        Where it is none.
    """
    reader = _Reader(re.findall(r"\w+|\S", text))
    found = reader.either()
    if reader.tokens:
        raise WeftError(f"the library has a function that nobody can read: {text!r}")
    return found


class _Reader:
    """Reads tokens from the first on: a method for each strength of binding, the loosest first."""

    def __init__(self, tokens):
        self.tokens = tokens

    def next(self):
        return self.tokens[0] if self.tokens else ""

    def either(self) -> Function:
        return self._joined(self.both, ("|", "+"), np.bitwise_or)

    def both(self) -> Function:
        parts = [self.exclusive()]
        while self.next() in {"&", "*", "!", "("} or self.next().isalnum():
            if self.next() in {"&", "*"}:
                self.tokens.pop(0)
            parts.append(self.exclusive())
        return _join(parts, np.bitwise_and)

    def exclusive(self) -> Function:
        return self._joined(self.single, ("^",), np.bitwise_xor)

    def _joined(self, part, operators, operation):
        parts = [part()]
        while self.next() in operators:
            self.tokens.pop(0)
            parts.append(part())
        return _join(parts, operation)

    def single(self) -> Function:
        token = self.tokens.pop(0) if self.tokens else ""
        if token == "!":
            return _inverted(self.single())
        if token == "(":
            found = self.either()
            if self.next() == ")":
                self.tokens.pop(0)
        else:
            found = _constant(token) if token in {"0", "1"} else _pin(token)
        while self.next() == "'":
            self.tokens.pop(0)
            found = _inverted(found)
        return found


def _constant(token) -> Function:
    word = np.array(ONES if token == "1" else 0, np.uint64)
    return lambda pins: word


def _pin(name) -> Function:
    return lambda pins: pins[name]


def _inverted(function) -> Function:
    return lambda pins: ~function(pins)


def _join(parts, operation) -> Function:
    return parts[0] if len(parts) == 1 else lambda pins: reduce(operation, (part(pins) for part in parts))
