"""Which names the modules of a design get: that of the component's class, and where a class has several modules, what each is for."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from hw.emit.identifiers import plain, unique


def snake(name) -> str:
    """``PeRow`` -> ``pe_row``, ``AXIReader`` -> ``axi_reader``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass(frozen=True)
class Place:
    """Where an instance stands: its component's name as a submodule, and that and the class of each component around it.

    Attributes
    ----------
    name : str
        As in ``m.submodules.name``.
    around : tuple of (str, str)
        ``(name, class in snake case)``, from the component around it outwards to the top.
    """

    name: str
    around: tuple = ()


def module_names(places, prefix) -> dict[str, str]:
    """The name of each module.

    A class with one module gives it its own name. Where a class has several, each has behind it the first of these that no other has:
    the name of its instances (``stream_fifo_requests``), without words of the class; the same behind the class of a component around them
    (``burst_planner_load_dma``), or behind such a component's name (``stream_fifo_execute_queue``). Of instances that share a module the
    words count that all have. A number is behind the name where nothing of all this tells two modules apart.

    Parameters
    ----------
    places : dict of str to (str, list of Place)
        By any token of a module: the class of its component in snake case, and where its instances stand.
    prefix : str
        Goes in front of every name that does not have it.
    """
    kinds = defaultdict(dict)
    for token, (kind, where) in places.items():
        kinds[kind][token] = where
    chosen, taken = {}, set()
    labels = {token: label for kind, modules in kinds.items() for token, label in _labels(kind, modules).items()}
    for token, (kind, _) in places.items():
        base = kind if kind.startswith(f"{prefix}_") else f"{prefix}_{kind}"
        chosen[token] = unique(plain("_".join(filter(None, (base, labels[token])))), taken)
        taken.add(chosen[token])
    return chosen


def _labels(kind, modules):
    """What is behind the name of each module of a class."""
    if len(modules) == 1:
        return dict.fromkeys(modules, "")
    labels, taken = {}, set()
    waiting = {token: _candidates(kind, where) for token, where in modules.items()}
    while waiting:
        offers = {token: next(candidates, None) for token, candidates in waiting.items()}
        for token, offer in offers.items():
            if offer is None or (offer and offer not in taken and list(offers.values()).count(offer) == 1):
                labels[token] = offer or next(_candidates(kind, modules[token]), "")
                del waiting[token]
        taken.update(filter(None, offers.values()))
    return labels


def _candidates(kind, where) -> Iterator[str]:
    """Labels for a module, the best first: its own name, the classes around it, the names around it."""
    known = set(kind.split("_"))
    own = "_".join(word for word in _common([place.name for place in where]) if not {word, word.removesuffix("s")} & known)
    levels = list(zip(*(place.around for place in where), strict=False))
    names = [["_".join(_common([around[part] for around in level])) for level in levels] for part in (0, 1)]
    instances, classes = names
    yield own
    for around in classes:
        yield _joined(around, own)
    for name, beyond in zip(instances, [*classes[1:], ""], strict=True):
        yield _joined(name, own)
        yield _joined(beyond, _joined(name, own))


def _joined(around, label):
    """A label behind what is around it; nothing where that is nothing, or says no more."""
    return f"{around}_{label}" if around and label and around != label else around


def _common(names):
    """The words that all names have, without numbers."""
    words = [[word for word in re.split(r"_+", name) if word and not word.isdigit()] for name in names]
    return [word for word in words[0] if all(word in others for others in words)]
