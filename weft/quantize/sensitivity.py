"""``--auto``: which layers in 4 bits gain most for a loss that the user allows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from weft.quantize.judge import Judge
from weft.quantize.narrow import Narrowed, with_layers

SMALLEST_NOISE = 1e-9
"""Of the results, over their signal: below it a layer costs nothing."""


@dataclass(frozen=True)
class Sensitivity:
    """One layer alone in 4 bits, on the training half.

    Attributes
    ----------
    loss : float
        Percentage points.
    noise : float
        Of the results, over their signal (`Judge.noise`).
    """

    loss: float
    noise: float


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    layers : tuple of Narrowed
        As they are written.
    alone : dict of str to Sensitivity
        Of every layer, by name.
    refused, returned : tuple of str
        Layers that would have lost too much on the training half; those that were taken and given back for the judging half.
    """

    layers: tuple[Narrowed, ...]
    alone: dict[str, Sensitivity]
    refused: tuple[str, ...]
    returned: tuple[str, ...]


def sensitivities(layers: Sequence[Narrowed], train: Judge, advance: Callable[[], object]) -> dict[str, Sensitivity]:
    """Each layer alone."""
    alone = {}
    for layer in layers:
        answers = train.answers(with_layers(train.batches.graph, [layer]))
        alone[layer.name] = Sensitivity(train.loss(answers), train.noise(answers))
        advance()
    return alone


def by_worth(layers: Sequence[Narrowed], alone: Mapping[str, Sensitivity], cycles_saved: Mapping[str, int]) -> list[Narrowed]:
    """The layers, those first that save most cycles for their noise; those that save none behind them, by bytes.

    Noise, not loss: losses of a few samples are coarse, and the noises of several layers add up while their losses do not.
    """

    def worth(layer):
        noise = max(alone[layer.name].noise, SMALLEST_NOISE)
        return max(cycles_saved.get(layer.name, 0), 0) / noise, layer.values.size / noise

    return sorted(layers, key=worth, reverse=True)  # stable: those of equal worth stay in the network's order


def choose(
    layers: Sequence[Narrowed],
    cycles_saved: Mapping[str, int],
    train: Judge,
    judging: Judge,
    max_loss: float,
    refine: Callable[[Sequence[Narrowed]], Sequence[Narrowed]],
    advance: Callable[[], object] = lambda: None,
) -> Choice:
    """Take all layers, or layer after layer, the most worthy first, where the loss on the training half stays within `max_loss`.

    Those are refined. The judging half is looked at when that is done. If it loses more, layers are given back, the last one first,
    until it does not.

    Parameters
    ----------
    layers : sequence of Narrowed
        Each by itself.
    cycles_saved : mapping of str to int
        By each layer's name.
    train, judging : Judge
        On samples of their own.
    max_loss : float
        Percentage points.
    refine : callable
        Makes of layers better ones: together, in the network's order. If those lose more than `max_loss` on the training half, it is left.
    advance : callable
        Called for each layer at most twice.
    """
    alone = sensitivities(layers, train, advance)
    taken, refused = _taken(by_worth(layers, alone, cycles_saved), train, max_loss, advance)
    returned: list[str] = []
    while True:
        refined = refine(taken)
        final = refined if _loss(train, refined) <= max_loss else taken
        if not taken or _loss(judging, final) <= max_loss:
            return Choice(tuple(final), alone, tuple(refused), tuple(returned))
        returned.append(taken.pop().name)


def _taken(layers, train, max_loss, advance) -> tuple[list[Narrowed], list[str]]:
    """The layers that stay within the loss together, and the names of the others."""
    if _loss(train, layers) <= max_loss:
        return list(layers), []
    taken: list[Narrowed] = []
    refused: list[str] = []
    for layer in layers:
        if _loss(train, [*taken, layer]) <= max_loss:
            taken.append(layer)
        else:
            refused.append(layer.name)
        advance()
    return taken, refused


def _loss(judge: Judge, layers) -> float:
    return judge.loss(judge.answers(with_layers(judge.batches.graph, layers)))
