"""Streams of bits, least significant first."""


class BitWriter:
    """Collects fields of bits."""

    def __init__(self):
        self.value, self.length = 0, 0

    def put(self, value: int, width: int):
        """Append the low bits of a number; a negative one in two's complement."""
        self.value |= (int(value) & ((1 << width) - 1)) << self.length
        self.length += width


class BitReader:
    """Reads fields in the order in which they were put."""

    def __init__(self, writer: BitWriter):
        self.value, self.length = writer.value, writer.length

    def get(self, width: int) -> int:
        """The next field, without sign."""
        assert width <= self.length, "a decoder reads behind the end"
        field = self.value & ((1 << width) - 1)
        self.value >>= width
        self.length -= width
        return field

    def get_signed(self, width: int) -> int:
        """The next field in two's complement; 0 where it has no bits."""
        field = self.get(width)
        return field - (1 << width) if width and field >> (width - 1) else field
