"""Reads waveforms: VCD, and FST as far as Verilator writes it. Shares nothing with the writer.

FST: GTKWave's `block_format.txt` (github.com/gtkwave/libfst/blob/main/docs); LZ4: lz4_Block_format.md of its repository; what says it
is deflated goes to Python's zlib.
"""

import itertools
import zlib
from collections import defaultdict

HEADER, GEOMETRY, CHANGES, HIERARCHY = 0, 3, 8, 6
"""Types of blocks; each is followed by its length in eight bytes, which count."""
ATTRIBUTE, END_ATTRIBUTE, SCOPE, UPSCOPE = 252, 253, 254, 255
"""Tags in the hierarchy; a variable's is its type, below these."""


class Cursor:
    """Bytes that are read from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, count):
        """The next bytes."""
        assert self.at + count <= len(self.data), "the data end too early"
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count=1, order="big"):
        """The next bytes as an integer."""
        return int.from_bytes(self.take(count), order)

    def varint(self, signed=False):
        """LEB128."""
        value = shift = 0
        while True:
            byte = self.number()
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value - (1 << shift) if signed and byte & 64 else value

    def text(self):
        """Up to the next zero byte."""
        end = self.data.index(0, self.at)
        return (self.take(end - self.at), self.take(1))[0].decode()


def unlz4(block, size):
    """Bytes of an LZ4 block, which are `size`; the rules of its end are checked too."""
    block, out = Cursor(block), bytearray()

    def length(nibble):
        while nibble >= 15 and (more := block.number()) == 255:
            nibble += 255
        return nibble + more if nibble >= 15 else nibble

    while True:
        token = block.number()
        out += (literals := block.take(length(token >> 4)))
        if not block:
            break
        start, offset = len(out), block.number(2, "little")
        end = start + length(token & 15) + 4
        assert 0 < offset <= start, f"a match {offset} back, {start} from the start"
        assert start <= size - 12, f"a match starts {size - start} bytes before the end"
        while len(out) < end:
            out += out[-offset:][: end - len(out)]
    assert len(out) == size, f"{len(out)} bytes, not {size}"
    assert size < 13 or len(literals) >= 5, f"only {len(literals)} literals at the end"
    return bytes(out)


def inflate(data, size):
    """What was deflated unless that would not have made it smaller."""
    return data if len(data) == size else zlib.decompress(data)


def read_fst(path):
    """``{"scope.name": [(time, bits), ...]}``, where bits is a text of 0, 1, x and z; changes only."""
    file, blocks = Cursor(path.read_bytes()), defaultdict(list)
    while file:
        kind = file.number()
        blocks[kind].append(file.take(file.number(8) - 8) if file else b"")
    assert set(blocks) <= {HEADER, GEOMETRY, CHANGES, HIERARCHY}, f"blocks {sorted(blocks)}"
    widths = _widths(*blocks[GEOMETRY])
    changes = [[] for _ in widths]
    for block in blocks[CHANGES]:
        _read_changes(block, widths, changes)
    return {name: changes[handle] for name, handle in _names(*blocks[HIERARCHY]).items()}


def _widths(block):
    block = Cursor(block)
    size, count = block.number(8), block.number(8)
    widths = Cursor(inflate(block.data[16:], size))
    return [widths.varint() for _ in range(count)]


def _names(block):
    size, block = int.from_bytes(block[:8], "big"), block[8:]
    tags, scopes, names, handles = Cursor(unlz4(block, size)), [], {}, 0
    while tags:
        kind = tags.number()
        if kind == SCOPE:
            tags.take(1)
            scopes.append(tags.text())
            tags.text()
        elif kind == UPSCOPE:
            scopes.pop()
        elif kind == ATTRIBUTE:
            tags.take(2)
            tags.text()
            tags.varint()
        elif kind != END_ATTRIBUTE:
            tags.take(1)
            name = tags.text().partition(" ")[0]
            tags.varint()
            alias = tags.varint()
            handles += not alias
            names[".".join([*scopes, name])] = (alias or handles) - 1
    return names


def _read_changes(block, widths, changes):
    cursor = Cursor(block)
    start = cursor.number(8)
    cursor.take(16)
    size, stored, _ = cursor.varint(), cursor.varint(), cursor.varint()
    first = Cursor(inflate(cursor.take(stored), size))
    assert cursor.varint() == len(widths)
    waves = cursor.at  # positions count from here
    assert cursor.take(1) == b"4", "changes are packed with something else than LZ4"
    count, packed, size = (int.from_bytes(block[len(block) - at :][:8], "big") for at in (8, 16, 24))
    time_start = len(block) - 24 - packed
    deltas = Cursor(inflate(block[time_start : time_start + packed], size))
    times = [0]
    for _ in range(count):
        times.append(times[-1] + deltas.varint())
    times = times[1:]
    places = time_start - 8 - int.from_bytes(block[time_start - 8 : time_start], "big")
    data = _wave_data(block, waves, places, time_start - 8, len(widths))
    for width, signal, wave in zip(widths, changes, data):
        _append(signal, start, first.take(width).decode())
        now = 0
        wave = Cursor(wave)
        while wave:
            step, bits = _change(wave, width)
            now += step
            _append(signal, times[now], bits)


def _append(signal, time, bits):
    if signal and signal[-1][0] == time:  # FST starts with x
        signal.pop()
    if not signal or signal[-1][1] != bits:
        signal.append((time, bits))


def _change(wave, width):
    """How many times later, and the value."""
    head = wave.varint()
    if width == 1:
        return (head >> 4, "xzhuwl-?"[head >> 1 & 7]) if head & 1 else (head >> 2, str(head >> 1 & 1))
    assert not head & 1, "a value with x"
    size = -(-width // 8)
    return head >> 1, format(wave.number(size) >> (8 * size - width), f"0{width}b")


def _wave_data(block, waves, places, end, count):
    """The coded changes of each signal."""
    cursor, at, starts, alias = Cursor(block[:end]), waves, [], None
    cursor.at = places
    while cursor:
        if not block[cursor.at] & 1:
            starts += [None] * (cursor.varint() >> 1)
            continue
        value = cursor.varint(signed=True) >> 1
        if value > 0:
            at += value
            starts.append(at)
        else:
            alias = -value - 1 if value else alias
            starts.append(starts[alias])
    assert len(starts) == count
    bounds = [*sorted({start for start in starts if start is not None}), places]
    ends = dict(itertools.pairwise(bounds))
    for start in starts:
        if start is None:
            yield b""
            continue
        cursor = Cursor(block[start : ends[start]])
        size = cursor.varint()
        rest = cursor.data[cursor.at :]
        yield unlz4(rest, size) if size else rest


def read_vcd(path):
    """As `read_fst`."""
    scopes, names, widths, changes, now = [], {}, {}, defaultdict(list), 0
    for line in path.read_text().splitlines():
        match line.split():
            case ["$scope", _, name, "$end"]:
                scopes.append(name)
            case ["$upscope", "$end"]:
                scopes.pop()
            case ["$var", _, width, code, name, *_]:
                names[".".join([*scopes, name])] = code
                widths[code] = int(width)
            case [time] if time[0] == "#":
                now = int(time[1:])
            case [value, code] if value[0] == "b":
                _append(changes[code], now, value[1:].zfill(widths[code]))
            case [change] if change[0] in "01xz":
                _append(changes[change[1:]], now, change[0])
    return {name: changes[code] for name, code in names.items()}
