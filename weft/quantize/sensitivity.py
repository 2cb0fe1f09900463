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
        In the order in which they were taken.
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
    advance: Callable[[], object] = lambda: None,
) -> Choice:
    """Take layer after layer, the most worthy first, where the loss on the training half stays within `max_loss`.

    The judging half is looked at when that is done. If it loses more, layers are given back, the last one first, until it does not.

    Parameters
    ----------
    layers : sequence of Narrowed
    cycles_saved : mapping of str to int
        By each layer's name.
    train, judging : Judge
        On samples of their own.
    max_loss : float
        Percentage points.
    advance : callable
        Called twice for each layer.
    """
    alone = sensitivities(layers, train, advance)
    taken: list[Narrowed] = []
    refused, returned = [], []
    for layer in by_worth(layers, alone, cycles_saved):
        answers = train.answers(with_layers(train.batches.graph, [*taken, layer]))
        if train.loss(answers) <= max_loss:
            taken.append(layer)
        else:
            refused.append(layer.name)
        advance()
    while taken and judging.loss(judging.answers(with_layers(judging.batches.graph, taken))) > max_loss:
        returned.append(taken.pop().name)
    return Choice(tuple(taken), alone, tuple(refused), tuple(returned))
