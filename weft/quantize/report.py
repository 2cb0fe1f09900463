"""What ``weft quantize`` did, as data: the names are the keys of its JSON file."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerRow:
    """A layer with weights.

    Attributes
    ----------
    name, label, op : str
    int4 : bool
        Its weights are in 4 bits now.
    note : str
        Why they are not, or what is to be known of it.
    bytes_before, bytes_after : int
        Of its weights.
    cycles_before, cycles_after : int
        By the timing model, in INT8 and as written; 0 for a layer that runs on the host.
    signal_db : float or None
        Power of its sums over that of their error, dB, in 4 bits; None where that was not tried.
    loss_alone : float or None
        Percentage points that it alone in 4 bits costs on the training half; None without ``--auto``.
    """

    name: str
    label: str
    op: str
    int4: bool
    note: str
    bytes_before: int
    bytes_after: int
    cycles_before: int
    cycles_after: int
    signal_db: float | None
    loss_alone: float | None


@dataclass(frozen=True)
class Quality:
    """Answers on one half of the samples.

    Attributes
    ----------
    samples : int
    before, after : float
        Percent of right top classes, of the INT8 network and as written; without labels the INT8 network's are right.
    signal_db : float
        Power of the output over that of its error, dB.
    """

    samples: int
    before: float
    after: float
    signal_db: float


@dataclass(frozen=True)
class QuantizeReport:
    """All of it.

    Attributes
    ----------
    network, config : str
        Names.
    measure : str
        What `Quality` counts: ``accuracy`` or ``agreement with INT8``; empty without samples.
    train, judging : Quality or None
        The half that the weights were chosen on, and the other one.
    layers : tuple of LayerRow
    weight_bytes, file_bytes, cycles, ddr_bytes : tuple of int
        Before and after; cycles and bytes moved by the timing model, for one inference.
    notes : tuple of str
    """

    network: str
    config: str
    measure: str
    train: Quality | None
    judging: Quality | None
    layers: tuple[LayerRow, ...]
    weight_bytes: tuple[int, int]
    file_bytes: tuple[int, int]
    cycles: tuple[int, int]
    ddr_bytes: tuple[int, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict:
        """Plain values, for `json.dump`; what is infinite is None."""
        return _finite(dataclasses.asdict(self))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
