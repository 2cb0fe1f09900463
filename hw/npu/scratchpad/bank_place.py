"""Where an access stands among the banks of the activation scratchpad."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import part_layout


@dataclass(frozen=True)
class BankGeometry:
    """Banks of words, interleaved by the low-order address of a word.

    Attributes
    ----------
    banks, word, depth : int
        Banks, bytes of a word (powers of two), words of a bank.
    """

    banks: int
    word: int
    depth: int

    @property
    def layout(self) -> data.StructLayout:
        """An access: ``offset`` of its byte 0 in its word, that word's bank and row, and the row behind it; ``low`` and ``high``: the bank
        of its first word and of the one behind it, one-hot, or 0 where no byte of that word counts.
        """
        return data.StructLayout({
            "offset": range(self.word),
            "bank": range(self.banks),
            "row": range(self.depth),
            "next_row": range(self.depth),
            "low": self.banks,
            "high": self.banks,
        })


def split(address, place, geometry):
    """Assignments of offset, bank and rows of ``place`` from a byte address."""
    used = (geometry.word - 1).bit_length() + (geometry.banks - 1).bit_length() + len(place.row)
    return [
        Cat(place.offset, place.bank, place.row).eq(address[:used]),
        place.next_row.eq(Mux(place.row == geometry.depth - 1, 0, place.row + 1)),
    ]


def one_hot(m, bank, geometry, *, begins, crosses, place, name):
    """Sets ``low`` and ``high`` of ``place``: the word of byte 0 counts, and the word behind it."""
    mask = Signal(geometry.banks, name=f"{name}_one_hot")
    m.d.comb += [
        mask.eq(1 << bank),
        place.low.eq(Mux(begins, mask, 0)),
        place.high.eq(Mux(crosses, Cat(mask[-1], mask[:-1]), 0)),
    ]


def rotated(m, value, offset, *, left, name):
    """A word whose bytes are moved up (``left``) or down by ``offset``, and around."""
    for bit, moves in enumerate(offset):
        turned = Signal(len(value), name=f"{name}_rotated_{bit}")
        m.d.comb += turned.eq(Mux(moves, value.rotate_left(8 << bit) if left else value.rotate_right(8 << bit), value))
        value = turned
    return value


class BankPlace(wiring.Component):
    """Finds the banks of a part of a vector. Combinational.

    Parameters
    ----------
    width : int
        Bytes of the vector, at most a word.
    geometry : BankGeometry
        Of the scratchpad.

    Members
    -------
    part : In(part_layout(width))
        Address of byte 0, and the bytes that count.
    place : Out(geometry.layout)
        Where they stand.
    """

    def __init__(self, *, width, geometry):
        if width > geometry.word:
            raise ValueError(f"BankPlace width {width} must be at most a word of {geometry.word} bytes")
        self.geometry = geometry
        super().__init__({"part": In(part_layout(width)), "place": Out(geometry.layout)})

    def elaborate(self, platform):
        m, part, place = Module(), self.part, self.place
        m.d.comb += split(part.address, place, self.geometry)
        begins, crosses = place.offset + part.first < self.geometry.word, place.offset + part.end > self.geometry.word
        one_hot(m, place.bank, self.geometry, begins=begins, crosses=crosses, place=place, name="first")
        return m
