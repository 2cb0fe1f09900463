"""Bands of rows: in which order the steps of a segment compute them, and how many rows of each tensor must be held.

Steps of a segment are cascaded: each computes as many rows as the next ones need soon, so that tensors between them are
rings of a few rows. What is computed one band ahead hides the pipeline: a band never waits for the one just before it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from weft.compiler.steps import Network, rows_as_they_are


@dataclass(frozen=True)
class Band:
    """Rows ``y .. y + rows - 1`` of a step's result.

    Attributes
    ----------
    step : int
        Index into `Network.steps`.
    """

    step: int
    y: int
    rows: int


def cascade(network: Network, first: int, end: int, rows_of: Callable[[int], int]) -> list[Band]:
    """Bands of steps ``first .. end - 1`` in their order.

    Parameters
    ----------
    rows_of : callable
        Rows of a band of a step.
    """
    steps, root = network.steps, network.root
    makers: dict[str, list[int]] = {}
    for index in range(first, end):
        makers.setdefault(root[steps[index].output], []).append(index)
    read = {root[name] for index in range(first, end) for name in steps[index].reads}
    heights = {index: steps[index].result.height for index in range(first, end)}
    strange = {index: _strange_tensors(network, steps[index]) for index in range(first, end)}
    done, bands = dict.fromkeys(range(first, end), 0), []

    def make_before(index, name, high, ahead):
        """What earlier steps make of a tensor's rows below one that a step of its own names; `ahead`: and a band more."""
        made = root[name]
        for maker in makers.get(made, ()):
            if maker >= index:
                return  # makers are in their order
            if done[maker] < heights[maker]:
                until = network.extents[made].height if name in strange[index] else high
                until = heights[maker] if steps[maker].output in strange[maker] else _rows_until(steps[maker].output_view, until)
                make(maker, until + (rows_of(maker) if ahead else 0))

    def make(index, wanted):
        """Bands of a step until it has the wanted rows."""
        step = steps[index]
        while done[index] < min(wanted, heights[index]):
            y, rows = done[index], min(rows_of(index), heights[index] - done[index])
            for name, (_, high) in operands(step, y, rows):
                make_before(index, name, high, True)  # one band ahead, but for what is read whole
            make_before(index, step.output, step.rows_written(y, rows)[1], False)  # a fill, before what is put into it
            done[index] += rows
            bands.append(Band(index, y, rows))

    for index in range(first, end):
        made = root[steps[index].output]
        if (made not in read and index == makers[made][-1]) or index == end - 1:
            make(index, heights[index])
    for index in range(first, end):
        make(index, heights[index])  # rows that nobody reads
    return bands


def _strange_tensors(network, step) -> set[str]:
    """Tensors of a step that it sees in other rows than those that they have in memory."""
    places = [(step.source, step.image, step.source_view), (step.output, step.result, step.output_view)]
    if step.second is not None:
        places.append((step.second, step.result, step.second_view))
    return {
        name
        for name, extent, view in places
        if name in network.root and not rows_as_they_are(extent, view, network.extents[network.root[name]])
    }


def _rows_until(view, high) -> int:
    """Result rows a step must have made so that its output's rows below `high` are written, where it sees these as they are."""
    if view is None:
        return high
    return -(-(high - view.y) // view.dy) if view.dy else high


def operands(step, y: int, rows: int, taps: tuple[int, int] | None = None) -> list[tuple[str, tuple[int, int]]]:
    """Tensors that a band reads, or a work that covers some of the kernel's rows, with their rows."""
    found = [(step.source, step.rows_read(y, rows, taps))]
    if step.second is not None and step.constant is None:
        found.append((step.second, step.rows_second(y, rows)))
    return found


class Progress:
    """Rows of a tensor that are whole while its makers go on, band by band.

    Parameters
    ----------
    network : Network
    makers : iterable of int
        The steps that still make it.
    height : int
        Rows of the tensor.
    """

    def __init__(self, network: Network, makers: Iterable[int], height: int):
        self.network, self.height = network, height
        self.following = {index: self._row(index, 0) for index in makers}

    def _row(self, index, done) -> int:
        """The tensor's row that a step writes after so many of its own."""
        step = self.network.steps[index]
        return self.height if done >= step.result.height else step.rows_written(done, 1)[0]

    def note(self, band: Band):
        """A band is made."""
        self.following[band.step] = self._row(band.step, band.y + band.rows)

    @property
    def whole(self) -> int:
        """Rows below which all are made."""
        return min(self.following.values())


@dataclass(frozen=True)
class Touch:
    """What a band reads and writes of one tensor: ranges of its rows, None where it does not."""

    band: Band
    read: tuple[int, int] | None
    written: tuple[int, int] | None


def touches(network: Network, bands: list[Band]) -> dict[str, list[Touch]]:
    """For each root tensor the bands that touch it, in their order."""
    found: dict[str, list[Touch]] = {}
    for band in bands:
        step, read = network.steps[band.step], {}
        for name, (low, high) in operands(step, band.y, band.rows):
            if high > low:
                root = network.root[name]
                before = read.get(root, (low, high))
                read[root] = min(low, before[0]), max(high, before[1])
        made = network.root[step.output]
        written = step.rows_written(band.y, band.rows)
        for root in dict.fromkeys((*read, made)):
            found.setdefault(root, []).append(Touch(band, read.get(root), written if root == made else None))
    return found


def rows_held(network: Network, touched: list[Touch], height: int, *, loaded: bool, stored: bool) -> int:
    """Rows of a tensor that a ring must hold so that no row is overwritten that is still needed.

    Parameters
    ----------
    touched : list of Touch
        Of the tensor, from `touches`.
    height : int
        Its rows.
    loaded : bool
        It comes from DDR: the next band's rows are loaded while the present one computes.
    stored : bool
        It goes to DDR: a band's rows are stored while the next one computes.
    """
    needed, lowest = [], height
    for touch in reversed(touched):
        lowest = min(lowest, touch.read[0]) if touch.read else lowest
        needed.append(lowest)
    needed.reverse()
    if loaded:
        return max(1, min(_rows_loaded(touched, needed), height))
    held, highest, before = 0, 0, 0
    progress = Progress(network, {touch.band.step for touch in touched if touch.written is not None}, height)
    for touch, least in zip(touched, needed):
        if touch.written is not None:
            highest = max(highest, touch.written[1])
            oldest = min(least, before) if stored else least
            held = max(held, highest - min(oldest, touch.written[0]))
            before = progress.whole
            progress.note(touch.band)
        else:
            held = max(held, highest - least)
    return max(1, min(held, height))


def _rows_loaded(touched, needed) -> int:
    """The same of a tensor that comes from DDR."""
    reads = [(touch.read[1], least) for touch, least in zip(touched, needed) if touch.read]
    following = [high for high, _ in reads[1:]] + [high for high, _ in reads[-1:]]
    return max((max(high, ahead) - least for (high, least), ahead in zip(reads, following)), default=0)
