"""Numbers out of bytes: what a random network is made from, so that fewer and smaller bytes are a smaller network."""

BYTES_A_NUMBER = 2


class Choices:
    """A sequence of choices, each made by the next two bytes; behind the last one, and where they are zero, the first choice.

    The library that shrinks a failure makes bytes fewer and smaller. So the first of all values is the simplest one wherever
    something is chosen.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes):
        self._content, self._place = content, 0

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, both of them possible; `low` where `high` is not above it."""
        taken = self._content[self._place : self._place + BYTES_A_NUMBER]
        self._place += BYTES_A_NUMBER
        return low + int.from_bytes(taken, "big") % max(1, high - low + 1)

    def pick(self, values):
        """One of a sequence."""
        return values[self.number(0, len(values) - 1)]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred; False is the first choice."""
        return self.number(0, 99) >= 100 - percent

    def subset(self, values, percent: int) -> list:
        """Each of the values with so many of a hundred."""
        return [value for value in values if self.chance(percent)]

    def shuffled(self, values) -> list:
        """The values in any order."""
        rest = list(values)
        return [rest.pop(self.number(0, len(rest) - 1)) for _ in range(len(rest))]
