"""A TFLite file as a tree of its tables, to be changed and written again: every field stays that nobody touches, bit for bit.

A flatbuffer's tables are a few numbers and offsets with a list (the vtable) of where each field stands among them. A table's own bytes are
kept as they are, at the same alignment; only its offsets are set anew when it is written. So the numbers in it need no schema, and
those of a newer one are kept.
"""

import struct
from dataclasses import dataclass, field

from weft.quantize.schema import DATA_ALIGNMENT, ITEM_BYTES, OPTIONS, OPTIONS_KIND, SCHEMA, STRING, UNSUPPORTED

ALIGNMENT = 8
"""The largest alignment of a number in a table."""
IDENTIFIER = b"TFL3"


class UnknownField(ValueError):
    """A field that leads where `weft.quantize.schema` does not know."""


@dataclass(eq=False)
class Block:
    """A string or a vector of numbers.

    Attributes
    ----------
    raw : bytes
        Without the count, and without a string's zero.
    item : int
        Bytes of an item.
    alignment : int
        Bytes, of the first item.
    string : bool
    """

    raw: bytes
    item: int
    alignment: int
    string: bool = False


@dataclass(eq=False)
class Vector:
    """A vector of tables."""

    items: list["Table"]


@dataclass(eq=False)
class Table:
    """A table.

    Attributes
    ----------
    kind : str
        Its name in the schema.
    inline : bytearray
        Its own bytes: 4 for the distance to the vtable, then its fields; offsets among them mean nothing here.
    slots : list of int
        Of each field its place in `inline`; 0: it is absent and has its default.
    phase : int
        The table's address modulo `ALIGNMENT`.
    children : dict of int to node
        By field: what the offsets lead to.
    """

    kind: str
    inline: bytearray = field(default_factory=lambda: bytearray(4))
    slots: list[int] = field(default_factory=list)
    phase: int = 0
    children: dict[int, "Node"] = field(default_factory=dict)

    def number(self, slot: int, code: str, default=0):
        """A field that is a number; `code` as in `struct`."""
        place = self.slots[slot] if slot < len(self.slots) else 0
        return struct.unpack_from("<" + code, self.inline, place)[0] if place else default

    def set_number(self, slot: int, code: str, value):
        """Give a field that is a number a value."""
        struct.pack_into("<" + code, self.inline, self._place(slot, struct.calcsize(code)), value)

    def set_child(self, slot: int, child: "Node"):
        """Give a field that is an offset what it leads to."""
        self._place(slot, 4)
        self.children[slot] = child

    def _place(self, slot, size) -> int:
        """Where a field stands; an absent one gets a place behind the others."""
        self.slots += [0] * (slot + 1 - len(self.slots))
        if not self.slots[slot]:
            self.inline += bytes(-(self.phase + len(self.inline)) % size)
            self.slots[slot] = len(self.inline)
            self.inline += bytes(size)
        return self.slots[slot]


Node = Table | Vector | Block


def read_tables(content: bytes) -> Table:
    """The tree of a file; what two offsets lead to is one node in it.

    Raises
    ------
    UnknownField
        If it has fields that cannot be carried over.
    struct.error, ValueError
        If it is damaged.
    """
    return _Reading(content).table(struct.unpack_from("<I", content)[0], "Model")


class _Reading:
    """One reading of one file."""

    def __init__(self, content: bytes):
        self._content = content
        self._tables: dict[tuple[int, str], Table] = {}
        self._vectors: dict[tuple[int, str], Vector] = {}
        self._blocks: dict[tuple[int, str], Block] = {}

    def table(self, place: int, kind: str) -> Table:
        if (place, kind) in self._tables:
            return self._tables[place, kind]
        (distance,) = struct.unpack_from("<i", self._content, place)
        vtable = place - distance
        if vtable < 0:
            raise ValueError(f"{kind} has its list of fields before the file")
        size, inline = struct.unpack_from("<HH", self._content, vtable)
        slots = list(struct.unpack_from(f"<{(size - 4) // 2}H", self._content, vtable + 4))
        if inline < 4 or place + inline > len(self._content) or max(slots, default=0) >= inline:
            raise ValueError(f"{kind} reaches over the file's end, or its fields over its own")
        made = Table(kind, bytearray(self._content[place : place + inline]), slots, place % ALIGNMENT)
        self._tables[place, kind] = made
        known, offsets = SCHEMA.get(kind, (len(slots), {}))
        for slot, inside in enumerate(slots):
            if not inside:
                continue
            target = offsets.get(slot)
            if slot >= known or target == UNSUPPORTED:
                raise UnknownField(f"{kind} has field {slot} of the schema")
            if target == "BuiltinOptions":
                number = made.number(OPTIONS_KIND, "B")
                if number not in OPTIONS:
                    raise UnknownField(f"{kind} has options of kind {number}")
                target = OPTIONS[number]
            if target is not None:
                made.children[slot] = self._node(place + inside, target, kind)
        return made

    def _node(self, field_place, target, parent) -> Node:
        place = field_place + struct.unpack_from("<I", self._content, field_place)[0]
        if target == STRING or target in ITEM_BYTES:
            return self._block(place, target, parent)
        if target.startswith("["):
            return self._vector(place, target)
        return self.table(place, target)

    def _vector(self, place, target) -> Vector:
        if (place, target) not in self._vectors:
            (count,) = struct.unpack_from("<I", self._content, place)
            offsets = struct.unpack_from(f"<{count}I", self._content, place + 4)
            tables = [self.table(place + 4 * (1 + i) + offset, target[1:-1]) for i, offset in enumerate(offsets)]
            self._vectors[place, target] = Vector(tables)
        return self._vectors[place, target]

    def _block(self, place, target, parent) -> Block:
        if (place, target) not in self._blocks:
            item = ITEM_BYTES.get(target, 1)
            (count,) = struct.unpack_from("<I", self._content, place)
            end = place + 4 + count * item
            if end > len(self._content):
                raise ValueError(f"a vector or string of {parent} reaches over the file's end")
            alignment = DATA_ALIGNMENT if parent == "Buffer" else item
            self._blocks[place, target] = Block(self._content[place + 4 : end], item, alignment, target == STRING)
        return self._blocks[place, target]


def write_tables(root: Table) -> bytes:
    """The file of a tree: the lists of fields, each once, then every node behind those that lead to it."""
    nodes = _parents_first(root)
    content = bytearray(struct.pack("<I4s", 0, IDENTIFIER))
    vtables: dict[bytes, int] = {}
    for node in nodes:
        if isinstance(node, Table):
            vtable = struct.pack(f"<HH{len(node.slots)}H", 4 + 2 * len(node.slots), len(node.inline), *node.slots)
            if vtable not in vtables:
                vtables[vtable] = len(content)
                content += vtable
    places: dict[int, int] = {}
    for node in nodes:
        places[id(node)] = _append(content, node)
    for node in nodes:
        _link(content, node, places, vtables)
    struct.pack_into("<I", content, 0, places[id(root)])
    return bytes(content)


def _parents_first(root) -> list[Node]:
    """Every node once, behind all that lead to it: offsets point forwards only."""
    order: list[Node] = []
    seen: set[int] = set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for child in reversed(_children(node)):
                visit(child)
            order.append(node)

    visit(root)
    return order[::-1]


def _children(node) -> list[Node]:
    if isinstance(node, Table):
        return [node.children[slot] for slot in sorted(node.children)]
    return list(node.items) if isinstance(node, Vector) else []


def _append(content, node) -> int:
    """Write a node without its offsets; its address."""
    if isinstance(node, Table):
        content += bytes((node.phase - len(content)) % ALIGNMENT)
        place = len(content)
        content += node.inline
        return place
    alignment = max(4, node.alignment) if isinstance(node, Block) else 4
    content += bytes(-(len(content) + 4) % alignment)
    place = len(content)
    if isinstance(node, Vector):
        content += struct.pack("<I", len(node.items)) + bytes(4 * len(node.items))
    else:
        content += struct.pack("<I", len(node.raw) // node.item) + node.raw + bytes(node.string)
    return place


def _link(content, node, places, vtables):
    """Set a node's offsets."""
    place = places[id(node)]
    if isinstance(node, Table):
        vtable = struct.pack(f"<HH{len(node.slots)}H", 4 + 2 * len(node.slots), len(node.inline), *node.slots)
        struct.pack_into("<i", content, place, place - vtables[vtable])
        links = [(place + node.slots[slot], child) for slot, child in node.children.items()]
    elif isinstance(node, Vector):
        links = [(place + 4 * (1 + i), item) for i, item in enumerate(node.items)]
    else:
        links = []
    for at, child in links:
        struct.pack_into("<I", content, at, places[id(child)] - at)
