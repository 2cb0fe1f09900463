"""Points at the author of a wrong result: the first command and element that differs, and whether compiler or RTL did it.

Operators say what every tensor is, the machine what every command does, the RTL what the hardware did. Where machine and
operators differ the compiler is wrong; where RTL and machine differ the RTL is.
"""

from dataclasses import dataclass

import numpy as np

from hw.npu.interface.isa import EXECUTE, Error, Opcode

TRANSFER_SIDES = (("ddr_offset", "ddr_stride"), ("sram_address", "sram_stride"))
"""First byte and stride of a transfer's rows, in DDR and in the scratchpad."""
NOTHING = np.empty(0, np.int64), np.empty(0, np.uint8)
"""The writes of a command that made none."""


@dataclass(frozen=True)
class Mismatch:
    """The first difference.

    Attributes
    ----------
    blame : str
        ``compiler`` or ``RTL``.
    layer, note : str
        Layer and tile of the command.
    command : int
        Its index.
    disassembly : str
    what : str
        The element (or the event), in words.
    expected, got : int or str
    wrong : int
        Elements that differ, of the tensor or of the command's writes.
    total : int
        Of so many.
    """

    blame: str
    layer: str
    note: str
    command: int
    disassembly: str
    what: str
    expected: object
    got: object
    wrong: int = 1
    total: int = 1

    def __str__(self):
        sides = "the machine and the operators differ" if self.blame == "compiler" else "the RTL and the machine differ"
        where = f"layer {self.layer}, command {self.command}" + (f" ({self.note})" if self.note else "")
        return (
            f"the {self.blame} is at fault: {sides}, first at {where}\n"
            f"  {self.disassembly}\n"
            f"  {self.what}: expected {self.expected}, got {self.got} ({self.wrong} of {self.total} differ)"
        )


def diagnose(program, run_result, machine_result, golden_tensors) -> Mismatch | None:
    """The first difference between operators, machine and RTL.

    Parameters
    ----------
    program : Program
    run_result : RunResult or None
        With its log; None compares operators and machine only.
    machine_result : MachineResult
        Of a run with ``writes=True``.
    golden_tensors : dict of str to ndarray
        By the operators; tensors that the machine does not show are not compared.

    Returns
    -------
    Mismatch or None
        None if all agree. If compiler and RTL are both wrong, the one at the earlier command.
    """
    found = [_compiler_mismatch(program, machine_result, golden_tensors)]
    if run_result is not None:
        found.append(_rtl_mismatch(program, run_result, machine_result))
    return min((mismatch for mismatch in found if mismatch), key=lambda mismatch: mismatch.command, default=None)


def _at(program, blame, index, what, expected, got, wrong=1, total=1):
    planned = program.commands[index]
    return Mismatch(
        blame,
        program.layers[planned.layer].name,
        planned.note,
        index,
        str(planned.command),
        what,
        expected,
        got,
        int(wrong),
        int(total),
    )


def element_name(tensor, shape, flat) -> str:
    """An element in words: ``conv_2d[y=3, x=0, channel=7]`` for an image, plain indices otherwise."""
    place = [int(i) for i in np.unravel_index(flat, shape)]
    if len(shape) == 4 and shape[0] == 1:
        return f"{tensor}[y={place[1]}, x={place[2]}, channel={place[3]}]"
    return f"{tensor}[{', '.join(map(str, place))}]"


def _compiler_mismatch(program, machine_result, golden_tensors):
    """The first command that wrote something wrong: not the first tensor that is complete, which may have been made of wrong bytes."""
    wrong = _wrong_elements(program, machine_result, golden_tensors)
    if not wrong:
        known = [place for place in _new_states(program) if place.tensor in golden_tensors]
        return _in_ddr(program, "compiler", known, golden_tensors, machine_result.states)
    writer, found = np.full(program.config.act_bytes, -1), []
    at: dict[int, list] = {}
    for place, elements in wrong:
        at.setdefault(max(place.complete_after, 0), []).append((place, elements))
    makers = _makers(program)
    for index in range(max(at) + 1):
        if index in machine_result.writes:
            writer[machine_result.writes[index][0]] = index
        for place, elements in at.get(index, ()):
            found.append(_first_writer(program, place, elements, writer, makers[place.tensor]))
    index, first, place = min(found, key=lambda each: each[:2])
    expected, got = (np.asarray(tensors[place.tensor]).reshape(-1) for tensors in (golden_tensors, machine_result.tensors))
    name = element_name(place.tensor, place.shape, first)
    return _at(program, "compiler", index, name, int(expected[first]), int(got[first]), np.sum(expected != got), len(expected))


def _wrong_elements(program, machine_result, golden_tensors):
    """Places that hold wrong elements, with the elements' numbers, int64[n]."""
    wrong, found = {}, []
    for place in program.tensors:
        if place.tensor not in golden_tensors or place.tensor not in machine_result.tensors:
            continue
        if place.tensor not in wrong:
            expected, got = (np.asarray(tensors[place.tensor]).reshape(-1) for tensors in (golden_tensors, machine_result.tensors))
            wrong[place.tensor] = np.flatnonzero(expected != got)
        here = wrong[place.tensor]
        here = here[(here >= place.elements.start) & (here < place.elements.stop)]
        if len(here):
            found.append((place, here))
    return found


def _makers(program):
    """For each tensor that is compared those of the same bytes: its own name, and what it is an alias of."""
    together: dict[tuple, set] = {}
    for place in program.tensors:
        together.setdefault((place.region, place.address, place.complete_after), set()).add(place.tensor)
    return {place.tensor: together[place.region, place.address, place.complete_after] for place in program.tensors}


def _first_writer(program, place, elements, writer, makers):
    """The first of the commands that wrote wrong elements of a place, and its first one; the completing one where none is known to have."""
    addresses = _scratchpad_addresses(program, place)[elements - place.elements.start]
    # what lies there but was made by nobody of the tensor's makers is older: that it was not written is found when the place is complete
    mine = np.array([*(planned.tensor in makers for planned in program.commands), False])
    last = np.where(addresses >= 0, writer[addresses], -1)
    last = np.where(mine[last], last, max(place.complete_after, 0))
    return int(last.min()), int(elements[last.argmin()]), place


def _scratchpad_addresses(program, place):
    """Where each element of a place lay in the scratchpad when it was complete, int64[rows * row_bytes]; -1 where that is not known.

    A place in DDR is known as far as the store that completes it reaches.
    """
    addresses = place.byte_addresses()
    if place.region is None:
        return addresses
    command = program.commands[place.complete_after].command
    if command.opcode != Opcode.STORE:
        return np.full_like(addresses, -1)
    dma = command["dma"]
    row, column = np.arange(dma["rows"])[:, None], np.arange(dma["row_bytes"])
    outer, inner = ((dma[name] + row * dma[stride] + column).reshape(-1) for name, stride in TRANSFER_SIDES)
    order = np.argsort(outer)
    at = order[np.minimum(np.searchsorted(outer[order], addresses), len(order) - 1)]
    return np.where(outer[at] == addresses, inner[at], -1)


def _rtl_mismatch(program, run_result, machine_result):
    written = run_result.writes()
    last = len(program.commands) - 1
    for index, planned in enumerate(program.commands):
        if planned.command.opcode not in EXECUTE or index not in machine_result.writes:
            continue
        if run_result.error != Error.NONE and index not in written:
            break
        mismatch = _command_mismatch(program, index, written.get(index, NOTHING), machine_result.writes[index])
        if mismatch:
            return mismatch
    if run_result.error != Error.NONE:
        stopped = min(run_result.error_index, last)
        return _at(program, "RTL", stopped, "the job's end", "no error", f"{run_result.error.name} at command {run_result.error_index}")
    left = _in_ddr(program, "RTL", program.outputs, machine_result.outputs, run_result.outputs)
    return left or _in_ddr(program, "RTL", _new_states(program), machine_result.states, run_result.states)


def _new_states(program):
    return [state.new for state in program.states]


def _in_ddr(program, blame, places, expected_tensors, got_tensors):
    """The first element that a job left wrong in DDR."""
    for place in places:
        expected, got = (np.asarray(tensors[place.tensor]).reshape(-1) for tensors in (expected_tensors, got_tensors))
        wrong = np.flatnonzero(expected != got)
        if len(wrong):
            first, index = int(wrong[0]), max(place.complete_after, 0)
            name = f"{element_name(place.tensor, place.shape, first)} in DDR"
            return _at(program, blame, index, name, int(expected[first]), int(got[first]), len(wrong), len(expected))
    return None


def _command_mismatch(program, index, got, expected):
    (got_addresses, got_values), (addresses, values) = got, expected
    common = min(len(addresses), len(got_addresses))
    differ = (got_addresses[:common] != addresses[:common]) | (got_values[:common] != np.asarray(values[:common]).view(np.uint8))
    wrong = np.flatnonzero(differ)
    if not len(wrong) and len(addresses) == len(got_addresses):
        return None
    total = max(len(addresses), len(got_addresses))
    count = len(wrong) + total - common
    if not len(wrong):
        return _at(program, "RTL", index, "bytes written", len(addresses), len(got_addresses), count, total)
    first = int(wrong[0])
    name = _element_at(program, index, int(addresses[first])) + f", byte {first} of the command"
    if got_addresses[first] != addresses[first]:
        return _at(program, "RTL", index, f"{name}, address", int(addresses[first]), int(got_addresses[first]), count, total)
    want, have = (int(np.asarray(value).view(np.int8)) for value in (np.uint8(values[first]), np.uint8(got_values[first])))
    return _at(program, "RTL", index, name, want, have, count, total)


def _element_at(program, index, address):
    """The element of the tensor under construction that lies at a scratchpad address."""
    tensor = program.commands[index].tensor
    places = [place for place in program.tensors if place.complete_after >= index]
    for place in sorted(places, key=lambda place: (place.tensor != tensor, place.complete_after)):
        at = np.flatnonzero(_scratchpad_addresses(program, place) == address)
        if len(at):
            return element_name(place.tensor, place.shape, place.elements.start + int(at[0]))
    return f"scratchpad address {address}"
