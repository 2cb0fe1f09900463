"""What a report says of the host: its steps between the NPU's programs, and how much of the network the NPU has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HostStepReport:
    """Operators that the host ran together; none of it is in the cycles.

    Attributes
    ----------
    name : str
    position : int
        How many of the NPU's layers ran before it.
    operators : tuple of str
        TFLite's names, in the order of execution.
    layers : tuple of str
        The operators' own names, in the same order.
    reasons : tuple of str
        Why the host ran them: a sentence for each kind of operator and reason.
    macs : int
        Multiply-accumulates, as the file has them.
    bytes_in, bytes_out : int
        Of the tensors that it took from the NPU or the network's inputs, and of those that it handed on.
    """

    name: str
    position: int
    operators: tuple[str, ...]
    layers: tuple[str, ...]
    reasons: tuple[str, ...]
    macs: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True)
class Shares:
    """How much of the network ran on the NPU, each from 0 to 1.

    Attributes
    ----------
    macs : float
        Of the multiply-accumulates of the file's operators with weights and matrix products; 1 where it has none.
    operators : float
        Of the operators that are left after folding.
    bytes : float
        Of the bytes that operators write.
    """

    macs: float = 1.0
    operators: float = 1.0
    bytes: float = 1.0


def counted(names: Iterable[str]) -> str:
    """Names as a list, each once, with how often it is there."""
    return ", ".join(f"{name} ({count}x)" if count > 1 else name for name, count in Counter(names).items())


def in_words(host_ops: Sequence[str], mac_share: float) -> str:
    """What the host has, and that none of it is in the figures beside which this stands."""
    if not host_ops:
        return "nothing"
    return f"{counted(host_ops)}, not counted; {100 * mac_share:.1f} % of the file's MACs are on the NPU"
