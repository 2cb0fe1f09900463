"""The command-level golden machine: executes a program in stream order on numpy memories.

It says what each command does to memory and nothing about time. Compiler wrong: machine and operators differ.
RTL wrong: RTL and machine differ, at the first command that shows it.
"""

from dataclasses import dataclass, field

import numpy as np

from golden.machine_dma import execute_transfer
from golden.machine_execute import execute_job
from golden.machine_state import MachineError, MachineState
from golden.program import Program
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, QUEUE_OF, Command, Error, Region, opcodes

__all__ = ["Machine", "MachineError", "MachineResult"]

"""The queue of every opcode, by the name that the header's waits use."""


@dataclass(frozen=True)
class MachineResult:
    """What a run left behind.

    Attributes
    ----------
    outputs : dict of str to ndarray
        The network's outputs, out of DDR.
    tensors : dict of str to ndarray
        Each tensor of `Program.tensors`, of which each piece is read right after the command that completes it.
    writes : dict of int to (int64[n], uint8[n])
        Only on request: for each load and execute command the activation-scratchpad addresses it wrote and the values,
        in hardware order (column tile, block row, block column, channel).
    states : dict of str to ndarray
        What is left of the network's states for the next job, out of DDR, by the tensor of the new value.
    state : MachineState
        All memories after the last command.
    """

    outputs: dict
    tensors: dict
    states: dict
    writes: dict = field(repr=False)
    state: MachineState = field(repr=False)


def _blank(places) -> dict:
    """An array for each tensor, to be filled piece by piece.

    Raises
    ------
    ValueError
        If the pieces of a tensor do not hold each of its rows exactly once.
    """
    tensors, held = {}, {}
    for place in places:
        tensors.setdefault(place.tensor, np.zeros(place.shape, place.dtype))
        held.setdefault(place.tensor, []).append((place.elements.start, place.elements.stop))
    for name, pieces in held.items():
        bounds = [bound for piece in sorted(pieces) for bound in piece]
        if [0, *bounds[1::2]] != [*bounds[0::2], tensors[name].size]:
            raise ValueError(f"the pieces of tensor {name!r} do not hold each of its {tensors[name].size} elements once: {sorted(pieces)}")
    return tensors


class Machine:
    """Executes one compiled program, job after job: region ARENA keeps the network's states between them, everything else is lost.

    Parameters
    ----------
    program : Program
    fill : int or numpy.random.Generator
        Byte that every memory holds before the run, or what draws each; a right program's results do not depend on it.
    """

    def __init__(self, program: Program, *, fill: int | np.random.Generator = 0):
        self.program = program
        self.fill = fill
        self._left: np.ndarray | None = None  # region ARENA after the last job

    def reset(self):
        """The next job finds the initial values of the network's states."""
        self._left = None

    def run(self, inputs: dict, *, writes: bool = False) -> MachineResult:
        """Execute all commands.

        Parameters
        ----------
        inputs : dict of str to ndarray
            A value for each of `Program.inputs`, by tensor name.
        writes : bool
            Keep what each command wrote.

        Raises
        ------
        MachineError
            Where the hardware would stop, with its code and the command's index.
        """
        program = self.program
        state = MachineState.fresh(program, self.fill)
        for place in program.inputs:
            if place.tensor not in inputs:
                raise WeftError(f"no value for input {place.tensor!r}", file=program.network)
            place.write(state.regions[place.region], inputs[place.tensor])
        program.write_states(state.regions[Region.ARENA], self._left)
        complete, tensors = {}, _blank(program.tensors)
        for place in program.tensors:
            complete.setdefault(place.complete_after, []).append(place)
        written, counts = {}, {"load": 0, "exec": 0, "store": 0}
        for index, planned in enumerate(program.commands):
            addresses, values = self._step(state, index, planned.command, counts)
            if writes:
                written[index] = addresses, values
            for place in complete.get(index, ()):
                memory = state.activations if place.region is None else state.regions[place.region]
                tensors[place.tensor].reshape(-1)[place.elements] = place.read_elements(memory)
        self._left = state.regions[Region.ARENA].copy()
        outputs = {place.tensor: place.read(state.regions[place.region]) for place in program.outputs}
        states = {each.new.tensor: each.new.read(self._left) for each in program.states}
        return MachineResult(outputs, tensors, states, written, state)

    @staticmethod
    def _step(state, index, command, counts):
        """Execute one command after its waits are checked; returns what it wrote to the activation scratchpad."""
        if command.opcode not in opcodes(state.config.int4, state.config.interpolation):
            switch = "int4" if command.opcode.int4 else "interpolation"
            raise MachineError(Error.BAD_OPCODE, index, f"{command.opcode.name} on {state.config.name}, which has no {switch}")
        command = Command.unpack(command.pack())
        header = command["header"]
        waits = [(queue, header[f"wait_{queue}"], "") for queue in counts]
        if command.opcode in EXECUTE:
            waits.append(("load", command["weights"]["wait_load"], "weights."))
        for queue, wait, group in waits:
            if (counts[queue] - wait) % (1 << 16) >= 1 << 15:
                raise MachineError(Error.DEADLOCK, index, f"{group}wait_{queue} = {wait} names commands that stand later in the stream")
        written = (execute_job if command.opcode in EXECUTE else execute_transfer)(state, index, command)
        counts[QUEUE_OF[command.opcode]] += 1
        return written
