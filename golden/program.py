"""A compiled network: commands with their ancestry, the constant image, and where every tensor lies.

The compiler makes it, the golden machine and the simulated RTL execute it; it can be saved and printed.
"""

from dataclasses import dataclass, field

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Region


@dataclass(frozen=True)
class Place:
    """Where an int8/uint8 tensor, or a piece of one, lies: NHWC bytes with a row pitch.

    A tensor that is never whole in one memory (it lives in a ring of rows, or leaves in bands) is several places of the same name,
    each a piece of consecutive rows.

    Attributes
    ----------
    tensor : str
        Name of the tensor in the network.
    shape : tuple of int
        Shape of the whole tensor in the network; viewed as rows of `row_bytes` for addressing.
    dtype : str
        ``int8`` or ``uint8``.
    address : int
        First byte: in the activation scratchpad, or relative to the base of `region`.
    rows, row_bytes, row_pitch : int
        The bytes of the place's row r start at ``address + r * row_pitch``; a whole tensor has ``rows * row_bytes`` bytes.
    region : Region or None
        The DDR region, or None for the activation scratchpad.
    complete_after : int
        Index of the last command that writes it; -1 for an input.
    first_row : int
        The tensor's row that is the place's row 0.
    """

    tensor: str
    shape: tuple
    dtype: str
    address: int
    rows: int
    row_bytes: int
    row_pitch: int
    region: Region | None = None
    complete_after: int = -1
    first_row: int = 0

    @property
    def elements(self) -> slice:
        """Which elements of the tensor are here, in its order."""
        return slice(self.first_row * self.row_bytes, (self.first_row + self.rows) * self.row_bytes)

    def byte_addresses(self) -> np.ndarray:
        """Address of every element that is here, int64[rows * row_bytes], in the tensor's order."""
        return (self.address + np.arange(self.rows)[:, None] * self.row_pitch + np.arange(self.row_bytes)[None, :]).reshape(-1)

    def read(self, memory) -> np.ndarray:
        """The whole tensor out of a memory, ``uint8[bytes]``; addresses wrap at its end."""
        return self.read_elements(memory).reshape(self.shape)

    def read_elements(self, memory) -> np.ndarray:
        """The elements that are here, ``dtype[rows * row_bytes]``."""
        return memory[self.byte_addresses() % len(memory)].view(self.dtype)

    def write(self, memory, values):
        """Put the tensor into a memory, ``uint8[bytes]``."""
        memory[self.byte_addresses() % len(memory)] = np.ascontiguousarray(values, dtype=self.dtype).reshape(-1).view(np.uint8)


@dataclass(frozen=True, eq=False)
class StatePlace:
    """Where a value lies that the network keeps from job to job.

    Attributes
    ----------
    name : str
        The variable's, in the network.
    old, new : Place
        What a job finds, and what it leaves: the same bytes of region ARENA, each under the name of its tensor.
    initial : ndarray
        What stands there before the first job, and what whoever resets the network writes there: `old`'s shape and type.
    stored : str
        The tensor as which commands store it: the owner of the bytes of `new`.
    copied : bool
        The job stores the new value elsewhere, and copies it here at its end.
    """

    name: str
    old: Place
    new: Place
    initial: np.ndarray = field(repr=False)
    stored: str
    copied: bool


@dataclass(frozen=True)
class Layer:
    """One row of the report: a fused group of the network's operators.

    Attributes
    ----------
    name : str
        Unique, short.
    op : str
        Operators, as in ``CONV_2D+ADD``.
    shape : tuple of int
        Output shape.
    macs : int
        Multiply-accumulates of the network's own arithmetic (padding included, as the field counts them).
    """

    name: str
    op: str
    shape: tuple
    macs: int


@dataclass(frozen=True)
class Planned:
    """A command and where it comes from.

    Attributes
    ----------
    command : Command
    layer : int
        Index into `Program.layers`.
    note : str
        The tile in words, as in ``rows 0-7, columns 0-15``.
    tensor : str or None
        The tensor that it writes, if it writes one.
    reads : tuple of str
        The tensors, or constant, as which it reads the activation scratchpad: input and second operand of an execute command, what a
        STORE takes away. Empty where that is not known.
    """

    command: Command
    layer: int
    note: str = ""
    tensor: str | None = None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """A compiled network for one configuration.

    Attributes
    ----------
    network : str
    config : NpuConfig
    commands : tuple of Planned
        In stream order: a wait names only what stands earlier.
    layers : tuple of Layer
    constants : bytes
        Contents of region MODEL: weight streams. A multiple of 64 bytes.
    arena_bytes : int
        Size of region ARENA: inputs, outputs, spilled tensors.
    inputs, outputs : tuple of Place
        In region ARENA.
    tensors : tuple of Place
        Every tensor that a command writes into the scratchpad, with the command that completes it; its bytes are
        whole right after that command in stream order, and may be overwritten later. A tensor in pieces has a place for each,
        in the scratchpad or in region ARENA; together they hold each of its rows once.
    states : tuple of StatePlace
        What lies in region ARENA from job to job; everything else there may be overwritten between two jobs.
    """

    network: str
    config: NpuConfig
    commands: tuple
    layers: tuple
    constants: bytes
    arena_bytes: int
    inputs: tuple
    outputs: tuple
    tensors: tuple
    states: tuple = ()

    def write_states(self, arena: np.ndarray, before: np.ndarray | None):
        """What a job finds of its states in region ARENA, ``uint8[bytes]``.

        Parameters
        ----------
        arena : ndarray
            It is put there.
        before : ndarray or None
            The region as the last job left it; None is a reset, which puts the initial values there.
        """
        for state in self.states:
            state.old.write(arena, state.initial if before is None else state.new.read(before))

    def command_bytes(self) -> bytes:
        """The packed command stream."""
        return b"".join(planned.command.pack() for planned in self.commands)

    def disassemble(self) -> str:
        """One line a command: index, layer, tile, fields."""
        return "\n".join(
            f"{index:5d} {self.layers[planned.layer].name}: {planned.note}: {planned.command}"
            for index, planned in enumerate(self.commands)
        )


__all__ = ["Command", "Layer", "Place", "Planned", "Program", "StatePlace"]
