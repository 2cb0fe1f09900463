"""The main job: narrow the weights of chosen layers, judge the result, write the file, report."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph
from weft.quantize.batches import Batches, Values
from weft.quantize.costs import Cost, cost_of
from weft.quantize.judge import Judge
from weft.quantize.layers import Layer, chosen_layers, layers_of
from weft.quantize.narrow import Narrowed, with_layers
from weft.quantize.passes import Made, each_alone, in_order, without_samples
from weft.quantize.report import LayerRow, Quality, QuantizeReport
from weft.quantize.rewrite import rewritten, stored_tensors
from weft.quantize.sensitivity import Choice, choose

Stage = Callable[[str, int], AbstractContextManager]
"""Announces a stage of so many tasks and gives what counts them, as `weft.run.progress.Steps.stage` does."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The user's inputs.

    Attributes
    ----------
    inputs : sequence of dict
        At least two.
    labels : int64[samples] or None
    """

    inputs: Sequence[Values]
    labels: np.ndarray | None = None

    def half(self, first: int) -> tuple[Sequence[Values], np.ndarray | None]:
        """Every other sample: from 0 those that weights are chosen on, from 1 those that judge."""
        return self.inputs[first::2], None if self.labels is None else self.labels[first::2]


def quantize(
    graph: Graph,
    config: NpuConfig,
    *,
    layers: str = "all",
    samples: Samples | None = None,
    max_loss: float | None = None,
    signature: str | None = None,
    stage: Stage,
) -> tuple[QuantizeReport, bytes]:
    """A network with the weights of some layers in 4 bits: what that costs and saves, and the content of its file.

    Parameters
    ----------
    graph : Graph
        As read from its file, which is read again.
    config : NpuConfig
        What cycles are counted on; its `int4` is set for the new network, and not for the old one.
    layers : str
        ``--layers``: which ones, or with `max_loss` among which ones.
    samples : Samples, optional
        Without them the weights' own error is made small.
    max_loss : float, optional
        Choose the layers (``--auto``); percentage points. It takes samples.
    signature : str, optional
        With which the graph was read.
    stage : Stage

    Raises
    ------
    WeftError
        Where a layer cannot be in 4 bits, or the network does not run on the configuration.
    """
    every = layers_of(graph, stored_tensors(Path(graph.file), graph.subgraph).__contains__)
    meant = chosen_layers(graph, every, layers)
    with stage(f"timing {graph.name} in INT8", 0):
        before = cost_of(graph, config.replace(int4=False), thorough=True)
    halves = _halves(graph, samples, stage)
    operators = [layer.operator for layer in meant]
    if max_loss is None:
        made, choice = _all_of_them(graph, operators, halves, stage)
    else:
        made, choice = _chosen(graph, operators, config, halves, max_loss, stage)
    new = with_layers(graph, choice.layers)
    content = rewritten(Path(graph.file), choice.layers, graph.subgraph)
    _check(new, content, signature)
    with stage(f"timing {graph.name} in INT4", 0):
        after = cost_of(new, config.replace(int4=True), thorough=True)
    with stage("judging", len(halves)) as advance:
        qualities = [_quality(judge, new, advance) for judge in halves]
    report = QuantizeReport(
        network=graph.name, config=config.name, measure=_measure(samples),
        train=qualities[0] if qualities else None, judging=qualities[1] if qualities else None,
        layers=tuple(_row(graph, layer, made.get(layer.name), choice, before, after) for layer in every),
        weight_bytes=(_weight_bytes(graph, every), _weight_bytes(new, every)),
        file_bytes=(Path(graph.file).stat().st_size, len(content)),
        cycles=(before.cycles, after.cycles), ddr_bytes=(before.ddr_bytes, after.ddr_bytes),
        notes=tuple(_notes(choice, samples, max_loss)),
    )  # fmt: skip
    return report, content


def _measure(samples: Samples | None) -> str:
    """What the judges count; nothing without samples."""
    if samples is None:
        return ""
    return "agreement with INT8" if samples.labels is None else "accuracy"


def _halves(graph, samples, stage) -> list[Judge]:
    """The training half's judge and the other one; none without samples."""
    if samples is None:
        return []
    batches = [Batches(graph, samples.half(first)[0]) for first in (0, 1)]
    with stage(f"evaluating {graph.name} on {len(samples.inputs)} samples", sum(each.count for each in batches)) as advance:
        return [Judge(each, samples.half(first)[1], advance) for first, each in enumerate(batches)]


def _all_of_them(graph, operators, halves, stage) -> tuple[Made, Choice]:
    """Every layer that can be in 4 bits: one after another, where there are samples."""
    with stage(f"rounding {len(operators)} layers", len(graph.operators)) as advance:
        if halves:
            made = in_order(graph, operators, halves[0].batches, advance)
        else:
            made = without_samples(graph, operators, advance)
    return made, Choice(tuple(_usable(graph, made)), {}, (), ())


def _usable(graph, made: Made) -> list[Narrowed]:
    layers = [layer for layer in made.values() if isinstance(layer, Narrowed)]
    if not layers:
        raise WeftError(f"no layer is left whose weights could be int4: {next(iter(made.values()))}", file=graph.file)
    return layers


def _chosen(graph, operators, config, halves, max_loss, stage) -> tuple[Made, Choice]:
    """The search of ``--auto``: what became of each layer by itself, and the choice."""
    train, judging = halves
    with stage(f"rounding {len(operators)} layers, each alone", len(graph.operators)) as advance:
        made = each_alone(graph, operators, train.batches, advance)
    layers = _usable(graph, made)
    variants = ((graph, False), (with_layers(graph, layers), True))
    with stage("timing every layer", 0):
        usual = [cost_of(variant, config.replace(int4=int4), thorough=False).layers for variant, int4 in variants]
    saved = {layer.name: usual[0].get(layer.name, 0) - usual[1].get(layer.name, 0) for layer in layers}

    def refine(taken):
        names = {layer.name for layer in taken}
        found = in_order(graph, [operator for operator in operators if operator.name in names], train.batches, lambda: None)
        return [layer for layer in found.values() if isinstance(layer, Narrowed)]

    with stage(f"trying {len(layers)} layers, alone and together", 2 * len(layers)) as advance:
        return made, choose(layers, saved, train, judging, max_loss, refine, advance)


def _quality(judge: Judge, new: Graph, advance) -> Quality:
    answers = judge.answers(new)
    advance()
    return Quality(judge.batches.samples, judge.accuracy(), judge.accuracy(answers), judge.signal_db(answers))


def _row(graph, layer: Layer, made: Narrowed | str | None, choice: Choice, before: Cost, after: Cost) -> LayerRow:
    weights = graph.input(layer.operator, 1)
    tried = next((each for each in (*choice.layers, made) if isinstance(each, Narrowed) and each.name == layer.name), None)
    int4 = any(each.name == layer.name for each in choice.layers)
    alone = choice.alone.get(layer.name)
    old = _bytes(weights)
    note = made if isinstance(made, str) else layer.obstacle
    if layer.name in choice.refused:
        note = "loses too much"
    elif layer.name in choice.returned:
        note = "given back"
    elif int4 and layer.operator.op == "DEPTHWISE_CONV_2D":
        note = "bytes only"
    return LayerRow(
        name=layer.name, label=layer.operator.label, op=layer.operator.op, int4=int4 or weights.dtype == "int4", note=note,
        bytes_before=old, bytes_after=(weights.size + 1) // 2 if int4 else old,
        cycles_before=before.layers.get(layer.name, 0), cycles_after=after.layers.get(layer.name, 0),
        signal_db=None if tried is None else tried.signal_db, loss_alone=None if alone is None else alone.loss,
    )  # fmt: skip


def _bytes(tensor) -> int:
    return (tensor.size + 1) // 2 if tensor.dtype == "int4" else tensor.size


def _weight_bytes(graph, layers) -> int:
    """Of the layers' weights, each tensor once."""
    return sum(_bytes(graph.tensors[name]) for name in {layer.operator.inputs[1] for layer in layers})


def _notes(choice: Choice, samples, max_loss):
    if samples is None:
        yield "no inputs were given: scales make the error of the weights small, not that of the results; --data gives inputs"
    else:
        yield "weights and layers are chosen on the even samples (from 0), judged on the odd ones"
    if not choice.layers:
        yield f"no layer can be in 4 bits within a loss of {max_loss:g}: the file is the old network"
    if choice.returned:
        names = ", ".join(choice.returned)
        yield f"on the judging half the loss was above {max_loss:g}: given back {names}; so that half has had a say in the choice"
    if any(layer.op == "DEPTHWISE_CONV_2D" for layer in choice.layers):
        yield "depthwise layers with 4-bit weights compute at INT8's rate; their weights take half the bytes"
    yield "cycles and DDR bytes by the timing model: before without INT4, after with it"


def _check(meant: Graph, content: bytes, signature: str | None):
    """What a file of this content holds is what was meant."""
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        path = Path(folder) / Path(meant.file).name
        path.write_bytes(content)
        found = read_tflite(path, signature)
    for name, tensor in meant.tensors.items():
        other = found.tensors[name]
        same = (tensor.dtype, tensor.shape, tensor.quantization) == (other.dtype, other.shape, other.quantization)
        assert same and (tensor.constant == other.constant), name
        assert not tensor.constant or np.array_equal(tensor.data, other.data), name
