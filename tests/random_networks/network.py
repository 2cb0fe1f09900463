"""A random network with its configuration: what a failure is shrunk to, saved as, and run again from.

The bytes of a `Recipe` are all that is drawn: some for the network as a whole, some for each operator. What an operator becomes
depends on what its bytes choose among the tensors and operators that are possible there. So every sequence of bytes is a network, and
leaving out an operator's bytes leaves most of the others as they were.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hw.npu.config import NpuConfig
from tests.machine_checks import random_inputs
from tests.random_networks.adders import ADDERS, WEIGHTS, possible
from tests.random_networks.choices import BYTES_A_NUMBER, Choices
from tests.random_networks.configurations import random_config
from tests.random_networks.maker import Declined, NetworkMaker, Step
from tests.random_operators import OPERATORS
from tests.random_operators.values import scale_of, zero_point_of
from weft.analysis.search import CHOICES as TUNINGS
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph
from weft.compiler.tuning import USUAL, Tuning

HEADER_BYTES, OPERATOR_BYTES, LEAST_OPERATORS, MOST_OPERATORS = 64, 48, 4, 14
SIZES = (1500,) * 10 + (6000,) * 6 + (24_000,) * 4
"""Elements of a network's largest tensor: the last do not stay in small scratchpads."""
CONVOLUTIONAL, MOST_IN_IMAGES = 12, 40_000
"""Of a hundred networks: larger images through convolutions and sums that keep their shape, more than the scratchpad holds."""
CONVOLUTIONAL_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL", "CONCATENATION", "MAX_POOL_2D", "RELU", "PAD", "RESHAPE")
RECENT = 4
"""An operator reads one of the last tensors, more often than any other."""
SEARCHED = 2
"""Of a hundred networks: compiled as `weft run` does it, with the best of some dozen tunings."""


@dataclass(frozen=True)
class Recipe:
    """What a network is made from: bytes for its settings and inputs, and bytes for each operator."""

    header: bytes
    operators: tuple[bytes, ...]


@dataclass(frozen=True)
class Network:
    """A network, and how it is to be compiled.

    Attributes
    ----------
    content : bytes
        The TFLite file.
    ops : tuple of str
        TFLite's name of each operator.
    config : NpuConfig
    keep_tensors : bool
        Fuse nothing.
    tuning : Tuning
    searched : bool
        Compile with the search in place of the tuning.
    seed : int
        Of the inputs' values.
    inputs : tuple of str
        Names of the file's inputs.
    part : callable
        The network of some of its operators only, by their places: what the others made is an input.
    values : dict of str to ndarray, optional
        Inputs in place of random ones.
    """

    content: bytes = field(repr=False)
    ops: tuple[str, ...]
    config: NpuConfig
    keep_tensors: bool = False
    tuning: Tuning = USUAL
    searched: bool = False
    seed: int = 0
    inputs: tuple[str, ...] = ()
    part: Callable[[Sequence[int]], "Network"] = field(repr=False, compare=False, default=None)
    values: dict | None = field(repr=False, compare=False, default=None)

    def sample(self, graph: Graph) -> dict[str, np.ndarray]:
        """A value for each input of its graph."""
        return random_inputs(graph, self.seed) if self.values is None else self.values

    def graph(self, folder) -> Graph:
        """As the frontend reads it.

        Parameters
        ----------
        folder : Path
            Where the file is written for it.
        """
        path = folder / "network.tflite"
        path.write_bytes(self.content)
        return read_tflite(path)


def network_of(recipe: Recipe, config: NpuConfig | None = None) -> Network | None:
    """The network of a recipe, on a given configuration or its own; None where no operator came about."""
    choices = Choices(recipe.header)
    # of the last bytes, which few networks come to, so that nothing else of a number depends on it
    interpolation, registers = (Choices(recipe.header[-count * BYTES_A_NUMBER :]).chance(50) for count in (1, 2))
    drawn = random_config(choices).replace(interpolation=interpolation, multiplier_registers=int(registers))
    keep_tensors, seed = choices.chance(30), choices.number(0, 65535)
    searched = choices.chance(SEARCHED)
    usual = not choices.chance(30)
    tuning = USUAL if usual else Tuning(**{name: choices.pick(values) for name, values in TUNINGS.items()})
    convolutional = choices.chance(CONVOLUTIONAL)
    maker = NetworkMaker(MOST_IN_IMAGES if convolutional else choices.pick(SIZES), CONVOLUTIONAL_OPS if convolutional else None)
    if convolutional:
        drawn = drawn.replace(act_kib=choices.pick((32, 48, 64, 96, 128)))
    live = [_image(maker, choices)]
    for content in recipe.operators[:MOST_OPERATORS]:
        _grow(maker, Choices(content), live)
    outputs = _outputs(maker, choices)
    if not outputs:
        return None

    def part(places):
        operators = [maker.operators[place] for place in places]
        made = {name for operator in operators for name in operator.outputs}
        left = dict.fromkeys([name for name in outputs if name in made] + _unread(operators))
        content, inputs = maker.file(operators, outputs if len(operators) == len(maker.operators) else list(left))
        ops = tuple(operator.op for operator in operators)
        return Network(content, ops, config or drawn, keep_tensors, tuning, searched, seed, inputs, part)

    return part(range(len(maker.operators)))


def _image(maker, choices) -> str:
    """An input of the network: an image as a rule, small in all directions or long in one; sometimes of real numbers."""
    channels = choices.pick((4, 8, 3, 1, 16, 12, 24, 32, 5, 7))
    most = max(1, maker.most // channels)
    least, longest = (24, 48) if maker.ops else (1, 24 if maker.most < 5000 else 56)
    height = min(choices.number(least, longest), most)
    width = max(1, min(choices.number(least, longest), most // height))
    rng = np.random.default_rng(choices.number(0, 65535))
    quantization = {"scale": scale_of(rng, -7, -2), "zero_point": zero_point_of(rng)}
    batch = choices.number(2, 4) if maker.most >= 6 * height * width * channels and choices.chance(15) else 1
    shape = (batch, height, width, channels) if not choices.chance(15) else (height, width, channels)[choices.number(0, 2) :]
    if not choices.chance(8):
        return _input(maker, maker.tensor(shape, **quantization))
    name = maker.tensor(shape, **quantization)
    maker.operator("QUANTIZE", (_input(maker, maker.tensor(shape, dtype="float32")),), (name,))
    return name


def _input(maker, name):
    maker.inputs.append(name)
    return name


def _grow(maker, choices, live):
    """One more operator on a live tensor, or an operator of `tests.random_operators` with inputs of its own; nothing where none fits."""
    if not choices.chance(95):  # bytes of zero are no operator
        return
    kept = len(maker.operators), len(maker.inputs), dict(maker.tensors)
    try:
        if choices.chance(6) and not maker.ops:
            made = _graft(maker, choices)
        else:
            source = live[-1 - min(choices.number(0, RECENT - 1), len(live) - 1)] if not choices.chance(25) else choices.pick(live[::-1])
            step = Step(maker, choices, source, live)
            made = ADDERS[choices.pick(_weighted(step))](step)
        if sum(maker.tensors[name].dtype == "float32" for name in made):
            made = []  # nothing reads real numbers
    except Declined:
        operators, inputs, tensors = kept
        del maker.operators[operators:], maker.inputs[inputs:]
        maker.tensors = tensors
        return
    live += made


def _weighted(step) -> list[str]:
    names = [op for op in possible(step.source) if step.maker.ops is None or op in step.maker.ops]
    if not names:  # a scalar, or more dimensions than five
        raise Declined
    return [op for op in names for _ in range(WEIGHTS.get(op, 1))]


def _graft(maker, choices) -> list[str]:
    """A network of one operator beside what is there; its outputs are read as any others."""
    made = OPERATORS[choices.pick(sorted(OPERATORS.keys() - {"LOOKUP"}))](np.random.default_rng(choices.number(0, 65535)))
    largest = max(int(np.prod(tensor.shape, dtype=np.int64)) for tensor in made.tensors)
    if made.operator.op in ("QUANTIZE", "DEQUANTIZE") or largest > maker.most or any(not len(t.shape) for t in made.tensors if t.scale):
        raise Declined
    names = {tensor.name: maker.keep(tensor) for tensor in made.tensors}
    maker.inputs += [names[name] for name in made.inputs]
    inputs, outputs = ([name and names[name] for name in side] for side in (made.operator.inputs, made.operator.outputs))
    maker.operator(made.operator.op, inputs, outputs, made.operator.options)
    return outputs


def _unread(operators) -> list[str]:
    read = {name for operator in operators for name in operator.inputs}
    return [name for operator in operators for name in operator.outputs if name not in read]


def _outputs(maker, choices) -> list[str]:
    """What nothing reads (of several, sometimes not all) and some of what is read: in any order."""
    unread = _unread(maker.operators)
    left_out = choices.subset(unread[:-1][:8], 15)
    read = [name for operator in maker.operators for name in operator.outputs if name not in unread]
    also = choices.subset(read[:8], 10)
    return choices.shuffled([name for name in unread if name not in left_out] + also)[::-1]
