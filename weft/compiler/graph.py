"""A quantized network as data: what a frontend makes and every later stage reads.

Nothing here knows a file format or the hardware. Tensors are referred to by name, names are unique, and operators
stand in an order in which they can be executed. What TFLite derives from a graph before it runs (multipliers,
paddings, clamps) is in `weft.compiler.parameters`.
"""

from dataclasses import dataclass, field

import numpy as np

BYTES = ("int8", "uint8")
"""Types of 8 bits, which the NPU computes on and keeps as states."""
HANDLES = ("resource", "variant")
"""Types of tensors that name a state, which only operators of a state or of control flow take; no value of theirs can be handed on."""
LONGEST_LABEL = 80
"""Characters of a name that a message shows."""


@dataclass(frozen=True)
class Quantization:
    """``real = scale * (value - zero_point)``.

    Attributes
    ----------
    scale : tuple of float
        One for the tensor, or one for each channel along `axis`; every value is exactly a float32.
    zero_point : tuple of int
        As many as there are scales.
    axis : int
        The dimension of the channels; 0 where there is one scale.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """More than one scale."""
        return len(self.scale) > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the network.

    Attributes
    ----------
    name : str
        Unique in its graph.
    shape : tuple of int
        Empty for a scalar. Images are NHWC.
    dtype : str
        numpy's name: ``int8``, ``uint8``, ``int32``, ...; or ``int4``, of constant weights only.
    quantization : Quantization or None
    data : ndarray or None
        The value of a constant, of `shape` and `dtype`, not writable; of an int4 one int8 from -8 to 7.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: np.ndarray | None = None

    @property
    def constant(self) -> bool:
        """Known when the network is compiled."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def scale(self) -> float:
        """The scale of a tensor that has one for all its channels."""
        (scale,) = self.quantization.scale
        return scale

    @property
    def zero_point(self) -> int:
        """The zero point of a tensor that has one for all its channels."""
        (zero_point,) = self.quantization.zero_point
        return zero_point


@dataclass(frozen=True)
class Operator:
    """One operator of the network.

    Attributes
    ----------
    name : str
        Unique and short: ``conv2d_3``.
    op : str
        TFLite's name: ``CONV_2D``.
    inputs : tuple of (str or None)
        Names of tensors, in TFLite's order; None for an optional one that is absent (a bias).
    outputs : tuple of str
    options : dict
        Plain Python values; which ones an operator has is the table in `weft.compiler.frontends.tflite_options`.
    label : str
        The layer's name as its author knows it, shown to users.
    members : tuple of str
        Names of the file's operators that it stands for, where a pass made it of others; empty is itself.
    """

    name: str
    op: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    options: dict = field(default_factory=dict)
    label: str = ""
    members: tuple[str, ...] = ()

    @property
    def stands_for(self) -> tuple[str, ...]:
        """Names of the file's operators that are gone where this one stands."""
        return self.members or (self.name,)

    @property
    def title(self) -> str:
        """How messages and reports call it: ``conv2d_3 (model/block1/conv)``."""
        return f"{self.name} ({self.label})" if self.label else self.name


@dataclass(frozen=True, eq=False)
class State:
    """A variable of the network, which keeps its value from run to run.

    Attributes
    ----------
    name : str
        The variable's own name.
    old : str
        The tensor that holds the value with which a run begins. It is no input of the network.
    new : str
        The tensor that holds the value which a run leaves, with as many bytes. It is no output of the network.
    initial : ndarray
        The value of `old` in the first run, of its shape and type, not writable.
    """

    name: str
    old: str
    new: str
    initial: np.ndarray


@dataclass(frozen=True, eq=False)
class Graph:
    """A quantized network.

    Attributes
    ----------
    name : str
        Stem of the file's name.
    file : str
        Where it was read from; printed in front of messages.
    tensors : dict of str to Tensor
    operators : tuple of Operator
        In an order in which they can be executed.
    inputs, outputs : tuple of str
        Names of tensors.
    subgraph : int
        Which of the file's subgraphs it is.
    states : tuple of State
        What it keeps from run to run; none of their tensors is among `inputs` or `outputs`.
    shifted : frozenset of str
        int8 tensors that are uint8 in the file: their bytes there are 128 above (`weft.compiler.unsigned`).
    """

    name: str
    file: str
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    subgraph: int = 0
    states: tuple[State, ...] = ()
    shifted: frozenset[str] = frozenset()

    @property
    def sources(self) -> tuple[str, ...]:
        """Tensors that are there before a run: its inputs, and the values that its states have then."""
        return (*self.inputs, *(state.old for state in self.states))

    @property
    def results(self) -> tuple[str, ...]:
        """Tensors that a run must make: its outputs, and the values that its states have afterwards."""
        return (*self.outputs, *(state.new for state in self.states))

    def in_file(self, name: str, values: np.ndarray) -> np.ndarray:
        """A tensor's values as the file has them: those of a shifted one as uint8."""
        return values.view(np.uint8) ^ np.uint8(128) if name in self.shifted else values

    def input(self, operator: Operator, index: int) -> Tensor | None:
        """An operator's input tensor, None where it is absent."""
        name = operator.inputs[index] if index < len(operator.inputs) else None
        return None if name is None else self.tensors[name]

    def output(self, operator: Operator, index: int = 0) -> Tensor:
        """An operator's output tensor."""
        return self.tensors[operator.outputs[index]]

    def consumers(self) -> dict[str, tuple[Operator, ...]]:
        """The operators that read each tensor, in order; every tensor has an entry."""
        readers = {name: [] for name in self.tensors}
        for operator in self.operators:
            for name in dict.fromkeys(operator.inputs):
                if name is not None:
                    readers[name].append(operator)
        return {name: tuple(operators) for name, operators in readers.items()}

    def __str__(self):
        """One line an operator: name, output shapes, options."""
        lines = [f"{self.name}: {len(self.operators)} operators"]
        for operator in self.operators:
            options = " ".join(f"{key}={value}" for key, value in operator.options.items() if not isinstance(value, bytes))
            shapes = " ".join(str(self.tensors[name].shape) for name in operator.outputs)
            lines.append(f"  {operator.title}: {shapes} {options}".rstrip())
        return "\n".join(lines)


def label_of(name: str) -> str:
    """What a user recognizes a layer or a tensor by: the first of the names that the converter joined in it."""
    label = name.split(";")[0]
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 3] + "..."
