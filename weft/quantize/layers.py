"""Which layers can be in 4 bits, and which of them the user means."""

from collections.abc import Callable
from dataclasses import dataclass

from hw.npu.errors import WeftError
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator
from weft.compiler.limits.weights import TAKES_NIBBLES
from weft.compiler.parameters import WEIGHTED

ALL, INNER = "all", "inner"


@dataclass(frozen=True)
class Layer:
    """An operator with weights.

    Attributes
    ----------
    operator : Operator
    obstacle : str
        Why its weights stay as they are; empty where they can be in 4 bits.
    """

    operator: Operator
    obstacle: str = ""

    @property
    def name(self) -> str:
        """The operator's short name."""
        return self.operator.name


def layers_of(graph: Graph, is_stored: Callable[[str], bool]) -> list[Layer]:
    """All layers with weights, in their order.

    Parameters
    ----------
    graph : Graph
    is_stored : callable
        Whether the tensor of a name has its value in the file, rather than being computed there from others.
    """
    readers = graph.consumers()
    return [Layer(operator, _obstacle(graph, operator, readers, is_stored)) for operator in graph.operators if operator.op in WEIGHTED]


def _obstacle(graph, operator, readers, is_stored) -> str:
    weights, bias = graph.input(operator, 1), parameters.bias_tensor(graph, operator)
    if operator.op not in TAKES_NIBBLES:
        return f"{operator.op} takes no int4 weights"
    if weights.dtype == "int4":
        return "int4 already"
    if weights.dtype == "uint8":
        return "its weights are uint8, with a zero point"
    for tensor in (weights, bias):
        others = [] if tensor is None else [other.name for other in readers[tensor.name] if other is not operator]
        if others:
            return f"shares {tensor.name} with {', '.join(others)}"
        if tensor is not None and not is_stored(tensor.name):
            return f"{tensor.name} is computed"
    return ""


def chosen_layers(graph: Graph, layers: list[Layer], text: str) -> list[Layer]:
    """The layers of an option ``--layers``.

    Parameters
    ----------
    text : str
        ``all``; ``inner``: all but the first and the last; or names or labels of layers, with commas between them.

    Raises
    ------
    WeftError
        If it names a layer that does not exist or cannot be in 4 bits, or if none is left.
    """
    if text in (ALL, INNER):
        chosen = [layer for layer in (layers if text == ALL else layers[1:-1]) if not layer.obstacle]
    else:
        chosen = [_named(graph, layers, name.strip()) for name in text.split(",")]
        chosen = [layer for layer in layers if layer in chosen]
    if not chosen:
        reasons = "; ".join(f"{layer.name}: {layer.obstacle}" for layer in layers if layer.obstacle)
        raise WeftError(
            f"--layers {text}: no layer is left whose weights could be int4" + (f" ({reasons})" if reasons else ""), file=graph.file
        )
    return chosen


def _named(graph, layers, name) -> Layer:
    for layer in layers:
        if name in (layer.operator.name, layer.operator.label):
            if layer.obstacle:
                raise WeftError(f"its weights cannot become int4: {layer.obstacle}", file=graph.file, layer=layer.operator.title)
            return layer
    names = ", ".join(layer.name for layer in layers)
    raise WeftError(f"--layers: there is no layer {name!r}", file=graph.file, remedy=f"those with weights are {names}")
