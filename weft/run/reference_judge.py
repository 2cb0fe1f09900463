"""What the reference interpreter says of the golden operators: the first tensor in which they differ, and how many were compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.reference_process import ReferenceRun, Stop
from sim.compare import element_name
from weft.compiler.frontends.tflite import file_tensor_names
from weft.compiler.graph import Graph
from weft.report.report import ReferenceVerdict


@dataclass(frozen=True)
class ReferenceMismatch:
    """The first difference between the golden operators and the reference interpreter.

    Attributes
    ----------
    layer, tensor : str
    what : str
        The element, in words.
    expected, got : int, float or str
        By the interpreter and by the golden operators.
    wrong, total : int
        Elements that differ, of so many of the tensor.
    blame : str
    """

    layer: str
    tensor: str
    what: str
    expected: object
    got: object
    wrong: int
    total: int
    blame: str = "golden operators"

    def __str__(self):
        return (
            f"the golden operators differ from the reference interpreter, first at layer {self.layer}\n"
            f"  {self.what}: expected {self.expected}, got {self.got} ({self.wrong} of {self.total} differ)"
        )


def judge(
    graph: Graph, model: Path, run: ReferenceRun, computed: Mapping[str, np.ndarray]
) -> tuple[ReferenceVerdict, ReferenceMismatch | None]:
    """Compare every tensor that the golden operators computed and the interpreter reached.

    Parameters
    ----------
    graph : Graph
    model : Path
        The file of the graph.
    run : ReferenceRun
        Of that file.
    computed : mapping of str to ndarray
        Of `weft.compiler.evaluate`.
    """
    names = file_tensor_names(model, graph.subgraph)
    reached = {names[index]: value for index, value in run.tensors.items() if index < len(names)}  # behind are temporaries
    compared, mismatch = 0, None
    makers = {name: operator.title for operator in graph.operators for name in operator.outputs}
    makers |= {name: "constant" for name in graph.outputs if graph.tensors[name].constant}
    for name, layer in makers.items():
        if name not in reached:
            continue
        compared += 1
        mismatch = mismatch or _difference(layer, name, reached[name], graph.in_file(name, computed[name]))
    if run.stop is None:
        return ReferenceVerdict(run.version, compared), mismatch
    return ReferenceVerdict(run.version, compared, _title(graph, names, run.stop), run.stop.reason), mismatch


def judge_stream(
    graph: Graph, model: Path, runs: Sequence[ReferenceRun], computed: Sequence[Mapping[str, np.ndarray]]
) -> list[tuple[ReferenceVerdict, ReferenceMismatch | None]]:
    """`judge` for each step that the interpreter reached; where it stopped, the verdict of a stream names the step."""
    found = [judge(graph, model, run, values) for run, values in zip(runs, computed)]
    verdict, mismatch = found[-1]
    if len(computed) > 1 and verdict.stopped_at is not None:
        found[-1] = replace(verdict, stopped_at=f"step {len(found) - 1}, {verdict.stopped_at}"), mismatch
    return found


def _title(graph, names, stop: Stop) -> str:
    """The layer at which the interpreter stopped; of an operator that the graph has no more, its number in the file."""
    name = names[stop.tensor] if stop.tensor >= 0 else None
    titles = (operator.title for operator in graph.operators if name in operator.outputs)
    return next(titles, f"operator {stop.operator} of the file")


def _difference(layer, name, expected, got) -> ReferenceMismatch | None:
    if expected.shape != got.shape or expected.dtype != got.dtype:
        kinds = [f"{values.dtype} {list(values.shape)}" for values in (expected, got)]
        return ReferenceMismatch(layer, name, f"type and shape of {name}", kinds[0], kinds[1], got.size, got.size)
    same = (expected == got) | ((expected != expected) & (got != got))  # what is no number equals itself here
    wrong = np.flatnonzero(~same)
    if not len(wrong):
        return None
    first = int(wrong[0])
    wanted, found = (array.reshape(-1)[first].item() for array in (expected, got))
    return ReferenceMismatch(layer, name, element_name(name, got.shape, first), wanted, found, len(wrong), got.size)
