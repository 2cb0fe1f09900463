"""Bands of rows: in which order the steps of a segment compute them, and how many rows of each tensor must be held.

Steps of a segment are cascaded: each computes as many rows as the next ones need soon, so that tensors between them are
rings of a few rows. What is computed one band ahead hides the pipeline: a band never waits for the one just before it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from weft.compiler.steps import Network, extent_of, rows_as_they_are


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
    done, bands = dict.fromkeys(range(first, end), 0), []

    def make(index, wanted):
        """Bands of a step until it has the wanted rows."""
        step = steps[index]
        while done[index] < min(wanted, step.result.height):
            y, rows = done[index], min(rows_of(index), step.result.height - done[index])
            for name, (_, high) in operands(step, y, rows):
                for maker in makers.get(root[name], ()):
                    if maker < index:
                        # one band ahead, but for what is read whole
                        make(maker, _rows_until(network, steps[maker], _rows_of_tensor(network, step, name, high)) + rows_of(maker))
            _, high = step.rows_written(y, rows)
            for maker in makers[root[step.output]]:
                if maker < index:  # a fill, before what is put into it
                    make(maker, _rows_until(network, steps[maker], _rows_of_tensor(network, step, step.output, high)))
            done[index] += rows
            bands.append(Band(index, y, rows))

    for index in range(first, end):
        made = root[steps[index].output]
        if (made not in read and index == makers[made][-1]) or index == end - 1:
            make(index, steps[index].result.height)
    for index in range(first, end):
        make(index, steps[index].result.height)  # rows that nobody reads
    return bands


def _rows_of_tensor(network, step, name, high) -> int:
    """The tensor's own rows below which all lies that a step touches up to a row of its own."""
    memory = extent_of(network.graph.tensors[network.root[name]].shape)
    seen = [(step.source, step.image, step.source_view), (step.second, step.result, step.second_view)]
    places = [*seen, (step.output, step.result, step.output_view)]
    alike = all(rows_as_they_are(extent, view, memory) for other, extent, view in places if other == name)
    return high if alike else memory.height


def _rows_until(network, step, high) -> int:
    """Result rows a step must have made so that its output's rows below `high` are written."""
    view, memory = step.output_view, extent_of(network.graph.tensors[network.root[step.output]].shape)
    if not rows_as_they_are(step.result, view, memory):
        return step.result.height
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


def rows_held(network: Network, bands: list[Band], tensor: str, height: int, *, loaded: bool, stored: bool) -> int:
    """Rows of a tensor that a ring must hold so that no row is overwritten that is still needed.

    Parameters
    ----------
    loaded : bool
        It comes from DDR: the next band's rows are loaded while the present one computes.
    stored : bool
        It goes to DDR: a band's rows are stored while the next one computes.
    """
    reads: list[tuple[int, int] | None] = []
    writes: list[tuple[int, int] | None] = []
    for band in bands:
        step = network.steps[band.step]
        found = [span for name, span in operands(step, band.y, band.rows) if network.root[name] == tensor and span[1] > span[0]]
        reads.append((min(low for low, _ in found), max(high for _, high in found)) if found else None)
        makes = network.root[step.output] == tensor
        writes.append(step.rows_written(band.y, band.rows) if makes else None)
    needed, lowest = [], height
    for span in reversed(reads):
        lowest = min(lowest, span[0]) if span else lowest
        needed.append(lowest)
    needed.reverse()
    readers = [index for index, span in enumerate(reads) if span]
    held = 0
    if loaded:
        for place, index in enumerate(readers):
            ahead = readers[min(place + 1, len(readers) - 1)]
            held = max(held, max(reads[ahead][1], reads[index][1]) - needed[index])
    else:
        makers = {band.step for band in bands if network.root[network.steps[band.step].output] == tensor}
        progress, highest, before = Progress(network, makers, height), 0, 0
        for index, span in enumerate(writes):
            if span is not None:
                highest = max(highest, span[1])
                oldest = min(needed[index], before) if stored else needed[index]
                held = max(held, highest - min(oldest, span[0]))
                before = progress.whole
                progress.note(bands[index])
            elif reads[index] is not None:
                held = max(held, highest - needed[index])
    return max(1, min(held, height))
