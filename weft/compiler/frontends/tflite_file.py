"""Bytes of a TFLite file as the schema's tables, never trusting a length or an offset that the file gives.

The generated accessors check nothing; what goes wrong in them raises one of `CORRUPTION`, which the caller turns into
one message. `Reader` adds what they cannot notice: counts that would keep a loop busy for hours, and names and buffers
that run over the end of the file.
"""

import struct
from pathlib import Path

import numpy as np
import tflite
from flatbuffers.number_types import Uint32Flags

from hw.npu.errors import WeftError

CORRUPTION = (struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, MemoryError)
"""What the accessors raise on a file that is not what it says."""

IDENTIFIER = b"TFL3"
MAX_RANK = 8
MAX_ELEMENTS = (1 << 31) - 1
NEWER_TYPES = {19: "int2", 20: "uint4", 21: "float8_e4m3fn", 22: "float8_e5m2"}
"""Element types that the schema has had since the one that is installed: a file with one is refused by its name."""
TYPE_NAMES = NEWER_TYPES | {value: name.lower() for name, value in vars(tflite.TensorType).items() if not name.startswith("_")}
"""Names of the schema's element types."""
ITEM_TYPES = {name: np.dtype(name) for name in ("int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bool")}
"""The element types that numpy has too."""
INT4 = "int4"
"""The one that numpy lacks: two values a byte, the first in its lower half; `stored_values` gives them as int8, one a byte."""
DETAILS = {2: "blockwise", 3: "multi-axis"}
"""Kinds of quantization that stand beside the scales, by their number among the schema's ``QuantizationDetails``; 1 is a custom one,
which the interpreter does not look at."""
_FIELD_EXTERNAL_BUFFER = 24
"""Where a tensor's table of offsets has its field ``external_buffer``, the 11th, which the installed schema does not know."""


def load_bytes(path) -> bytes:
    """The contents of a file that has TFLite's identifier.

    Raises
    ------
    WeftError
        If it cannot be read or is not a TFLite file.
    """
    path = Path(path)
    if not path.exists():
        raise WeftError("no such file", file=path, remedy="give the path of a .tflite file")
    if not path.is_file():
        raise WeftError("is not a regular file", file=path, remedy="give the path of a .tflite file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeftError(f"cannot be read: {error.strerror}", file=path) from None
    if not content:
        raise WeftError("is empty", file=path, remedy="convert or download the network again")
    if content[4:8] != IDENTIFIER:
        raise WeftError(
            f"is truncated or not a TFLite file: bytes 4 to 7 are {content[4:8]!r}, not {IDENTIFIER!r}",
            file=path, remedy="give a .tflite file made by the TensorFlow Lite converter",
        )  # fmt: skip
    return content


class Reader:
    """Checked access to the tables of one file.

    Parameters
    ----------
    content : bytes

    Attributes
    ----------
    model : tflite.Model
    """

    def __init__(self, content: bytes):
        self._content = content
        self._budget = len(content)  # an honest file spends four bytes on each item of a vector
        self.model = tflite.Model.GetRootAs(content, 0)

    def items(self, table, name: str) -> list:
        """All items of a vector of tables, strings or numbers.

        Raises
        ------
        ValueError
            If the vectors read so far claim more items than the file has bytes.
        """
        count = getattr(table, name + "Length")()
        self._budget -= count
        if self._budget < 0:
            raise ValueError(f"{count} items in {name}")
        item = getattr(table, name)
        return [item(i) for i in range(count)]

    def numbers(self, table, name: str) -> tuple:
        """All numbers of a vector, as Python numbers; empty where it is absent."""
        if getattr(table, name + "IsNone")():
            return ()
        self._budget -= getattr(table, name + "Length")()
        if self._budget < 0:
            raise ValueError(f"too many items in {name}")
        return tuple(getattr(table, name + "AsNumpy")().tolist())

    @staticmethod
    def is_external(tensor) -> bool:
        """Whether a tensor's value stands in another file."""
        offset = tensor._tab.Offset(_FIELD_EXTERNAL_BUFFER)
        return bool(offset) and tensor._tab.Get(Uint32Flags, tensor._tab.Pos + offset) > 0

    @staticmethod
    def name(table) -> str:
        """A table's name (its field 3 in the schema), in one printable line; empty where it is absent."""
        offset = table._tab.Offset(10)
        if not offset:
            return ""
        raw = table.Name()
        if len(raw) != table._tab.VectorLen(offset):
            raise ValueError("a name runs over the end of the file")
        return printable(raw)

    def buffer(self, index: int) -> np.ndarray | None:
        """The bytes of a buffer, a read-only ``uint8[n]`` view of the file; None where it is empty."""
        if not 0 <= index < self.model.BuffersLength():
            raise ValueError(f"there is no buffer {index}")
        table = self.model.Buffers(index)
        if table.Offset() > 1:  # data behind the tables, as in files above 2 GiB
            return np.frombuffer(self._content, np.uint8, table.Size(), table.Offset())
        if table.DataIsNone() or not table.DataLength():
            return None
        return table.DataAsNumpy()


def stored_bytes(dtype: str, count: int) -> int:
    """Bytes of a constant of so many elements."""
    return (count + 1) // 2 if dtype == INT4 else ITEM_TYPES[dtype].itemsize * count


def stored_values(content: np.ndarray, dtype: str, count: int) -> np.ndarray:
    """The elements of a constant, in a row; of an int4 one int8 from -8 to 7.

    Parameters
    ----------
    content : uint8[stored_bytes(dtype, count)]
    dtype : str
        A key of `ITEM_TYPES`, or `INT4`.
    count : int
    """
    if dtype == INT4:
        pairs = content.view(np.int8)
        nibbles = np.stack([np.left_shift(pairs, 4) >> 4, pairs >> 4], axis=1)  # shifts of int8 to the right keep the sign
        return nibbles.reshape(-1)[:count]
    item = ITEM_TYPES[dtype].newbyteorder("<")
    return np.frombuffer(content.tobytes(), item) if item.itemsize > 1 else content.view(item)  # a copy is aligned


def printable(raw: bytes) -> str:
    """A name as one line of text."""
    return "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))
