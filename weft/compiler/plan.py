"""The plan: which steps run together, in which bands, and which tensors stay in the activation scratchpad."""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.compiler.bands import Band
from weft.compiler.conflicts import pitches
from weft.compiler.steps import Extent, Network, rows_as_they_are
from weft.compiler.tile import StepTiler


@dataclass(frozen=True)
class Segment:
    """Consecutive steps that run together.

    Attributes
    ----------
    first, end : int
        Steps ``first .. end - 1``.
    bands : tuple of Band
        In the order in which they are computed.
    rings : dict of str to int
        Rows that a tensor's buffer holds during the segment, for tensors that are not whole in the scratchpad.
    loaded, stored : frozenset of str
        Tensors that come from DDR, and that go there, while the segment runs.
    kept : bool
        The weight scratchpad holds the weights of all its steps at a time.
    overwritten : str or None
        The second operand whose bytes the result takes.
    cycles, traffic : int
        Estimates: cycles, and bytes to and from DDR.
    window_rows : int
        Kernel rows that a work covers, where the rows of one window are more than the scratchpad holds: its sums are continued
        from work to work, while the source goes by in a ring. 0: works cover whole windows.
    """

    first: int
    end: int
    bands: tuple[Band, ...]
    rings: dict[str, int]
    loaded: frozenset[str]
    stored: frozenset[str]
    kept: bool
    overwritten: str | None
    cycles: int
    traffic: int
    window_rows: int = 0

    @property
    def whole(self) -> bool:
        """One step, computed at one go."""
        return len(self.bands) == 1


@dataclass(frozen=True)
class RunnerUp:
    """The second-best way on from where a segment begins.

    Attributes
    ----------
    segment : Segment
        What would have been there.
    cycles : int
        By how many cycles the estimate of the whole network would have been higher.
    """

    segment: Segment
    cycles: int


@dataclass(frozen=True)
class Plan:
    """The network in segments.

    Attributes
    ----------
    segments : tuple of Segment
    runners_up : tuple of (RunnerUp or None)
        For each segment; None where there was no choice.
    resident : dict of str to (int, int)
        Tensors that are whole in the scratchpad, with the first and last segment during which they are.
    """

    segments: tuple[Segment, ...]
    runners_up: tuple[RunnerUp | None, ...]
    resident: dict[str, tuple[int, int]]

    @property
    def spilled(self) -> frozenset[str]:
        """Tensors that go to DDR."""
        return frozenset(name for segment in self.segments for name in segment.stored)


@dataclass(frozen=True)
class Life:
    """A root tensor's bytes and its life.

    Attributes
    ----------
    name : str
    height, row_bytes : int
        Rows, and bytes of each.
    pitch : int
        Bytes from row to row in the scratchpad, where all banks are used alike.
    first, last : int
        First step that touches it, and the last.
    made : int
        The last step that makes it; -1 where it is an input of the network.
    output : bool
        It is an output of the network.
    ringable : bool
        All steps see its rows as they are, so that a part of them can be held.
    in_pieces : bool
        Several steps make it, or one that does not make its rows one after the other.
    """

    name: str
    height: int
    row_bytes: int
    pitch: int
    first: int
    last: int
    made: int
    output: bool
    ringable: bool
    in_pieces: bool

    @property
    def size(self) -> int:
        """Bytes as a whole."""
        return self.height * self.pitch


def touched(step):
    """Tensors of a step, each with the extent as which it sees it, and its view."""
    yield step.source, step.image, step.source_view
    yield step.output, step.result, step.output_view
    if step.second is not None and step.constant is None:
        yield step.second, step.result, step.second_view


def extent_in_memory(network: Network, root: str) -> Extent:
    """How a root tensor's bytes are laid out: rows of pixels."""
    return network.extents[root]


def lives(network: Network, config: NpuConfig, tilers: list[StepTiler]) -> dict[str, Life]:
    """Every root tensor; constants apart."""
    first, last, made, strange, pieces = {}, {}, {}, set(), set()
    for index, step in enumerate(network.steps):
        for name, extent, view in touched(step):
            root = network.root[name]
            first.setdefault(root, index)
            last[root] = index
            if not rows_as_they_are(extent, view, extent_in_memory(network, root)):
                strange.add(root)
        root = network.root[step.output]
        if root in made or step.output_view is not None:
            pieces.add(root)
        made[root] = index
    outputs = {network.root[name] for name in network.outputs}
    extents = {root: extent_in_memory(network, root) for root in first}
    rows = {root: extent.row_bytes for root, extent in extents.items() if root not in strange and extent.height > 1}
    readers: dict[str, list[StepTiler]] = {}
    for tiler in tilers:
        readers.setdefault(network.root[tiler.step.source], []).append(tiler)
    sums = [step for step in network.steps if step.second is not None and step.constant is None]
    alike = [(network.root[step.second], network.root[step.output]) for step in sums]
    pitch = {root: extent.row_bytes for root, extent in extents.items()} | pitches(rows, readers, alike, config)
    return {
        root: Life(
            root,
            extent.height,
            extent.row_bytes,
            pitch[root],
            first[root],
            last[root],
            made.get(root, -1),
            root in outputs,
            root not in strange,
            root in pieces,
        )
        for root, extent in extents.items()
    }
