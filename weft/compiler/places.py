"""Where each tensor can be seen whole, or piece by piece, while the program runs: what is compared with the golden operators."""

from itertools import groupby

from golden.program import Place
from weft.compiler.memory_plan import Buffer, MemoryPlan
from weft.compiler.plan import extent_in_memory
from weft.compiler.steps import Network, rows_as_they_are
from weft.compiler.transfers import Action, Load, Use


def _writers(network: Network, memory: MemoryPlan, ordered: list[Action]):
    """For each root tensor the last command that writes each of its rows, and in which segment: {root: {row: (command, segment)}}."""
    writers: dict[str, dict[int, tuple[int, int]]] = {}
    for index, action in enumerate(ordered):
        if isinstance(action, Load) and action.tensor in network.inputs:
            root, rows, segment = action.tensor, range(action.row, action.row + action.rows), action.segment
        elif isinstance(action, Use) and not action.work.partial_out:
            step, segment = network.steps[action.work.step], action.work.segment
            root = network.root[step.output]
            buffer = memory.buffers[segment, root]
            rows = range(*step.rows_written(action.work.block.y, action.work.image_rows))
            if not rows_as_they_are(step.result, step.output_view, extent_in_memory(network, root)):
                rows = range(buffer.rows)
        else:
            continue
        for row in rows:
            writers.setdefault(root, {})[row] = index, segment
    return writers


def _pieces(buffers, written):
    """Runs of rows that are complete after one command: (first row, rows, buffer, command)."""
    rows = sorted(written)

    def key(row):
        index, segment = written[row]
        buffer: Buffer = buffers[segment]
        return index, segment, row // buffer.rows

    for (index, segment, _), group in groupby(rows, key):
        run = list(group)
        yield run[0], len(run), buffers[segment], index


def _taken(network: Network, memory: MemoryPlan, actions: list[Action], root: str, buffer: Buffer) -> bool:
    """Whether some action puts bytes of another tensor where a tensor lies: nobody reads its first rows any more, and its last are made."""
    for action in actions:
        if isinstance(action, Load) and action.tensor is not None:
            other, segment = action.tensor, action.segment
        elif isinstance(action, Use):
            other, segment = network.root[network.steps[action.work.step].output], action.work.segment
        else:
            continue
        place = memory.buffers[segment, other]
        if other != root and place.address < buffer.address + buffer.size and buffer.address < place.address + place.size:
            return True
    return False


def find_places(network: Network, memory: MemoryPlan, ordered: list[Action]) -> tuple[Place, ...]:
    """Every tensor that commands complete in the scratchpad, aliases too, in the order of completion."""
    names: dict[str, list[str]] = {}
    for name, root in network.root.items():
        if name not in network.temporaries:
            names.setdefault(root, []).append(name)
    found = []
    for root, written in _writers(network, memory, ordered).items():
        height = extent_in_memory(network, root).height
        if len(written) < height:
            continue  # its bytes are not all loaded
        segments = {segment for _, segment in written.values()}
        buffers = {segment: memory.buffers[segment, root] for segment in segments}
        indices = [index for index, _ in written.values()]
        apart = len({buffer.address for buffer in buffers.values()}) > 1 or any(buffer.rows < height for buffer in buffers.values())
        if apart or _taken(network, memory, ordered[min(indices) : max(indices)], root, next(iter(buffers.values()))):
            pieces = list(_pieces(buffers, written))
        else:
            pieces = [(0, height, next(iter(buffers.values())), max(indices))]
        for name in names.get(root, ()):
            tensor = network.graph.tensors[name]
            for first, rows, buffer, index in pieces:
                place = (buffer.row_address(first), rows, buffer.row_bytes, buffer.row_pitch, None, index, first)
                found.append(Place(name, tensor.shape, tensor.dtype, *place))
    return tuple(sorted(found, key=lambda place: place.complete_after))
