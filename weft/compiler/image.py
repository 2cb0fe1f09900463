"""A compiled network as files: what firmware puts into memory, and the map that says where."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from golden.program import Place, Program, StatePlace
from hw.npu.files import write_whole
from hw.npu.interface.isa import Region
from hw.npu.interface.records import RECORD_BYTES
from hw.npu.interface.register_table import Access
from hw.npu.interface.registers import ADDRESS_OF, REGISTERS, constants
from weft.compiler.driver import Compiled
from weft.compiler.graph import Tensor

IMAGE_FILES = ("commands.bin", "constants.bin", "map.json")
"""What a folder of an image holds."""
PAGE = 4096
"""Alignment of the suggested base addresses."""


def _place(place: Place) -> dict:
    fields = dataclasses.asdict(place)
    fields["region"] = None if place.region is None else Region(place.region).name
    return fields


def tensor_entry(tensor: Tensor) -> dict:
    """A tensor as the host sees it: ``real = scale * (value - zero_point)``; both are null where it is not quantized."""
    quantized = tensor.quantization is not None
    numbers = {"scale": tensor.scale, "zero_point": tensor.zero_point} if quantized else {"scale": None, "zero_point": None}
    return {"tensor": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, **numbers}


def constant_entry(tensor: Tensor) -> dict:
    """An output that no run changes, with its value: little-endian bytes as hexadecimal digits."""
    data = np.ascontiguousarray(tensor.data)
    return tensor_entry(tensor) | {"data": data.astype(data.dtype.newbyteorder("<")).tobytes().hex()}


def _state(state: StatePlace) -> dict:
    """Where a variable's value lies from job to job, and the bytes to write there before the first job and for a reset."""
    data, place = np.ascontiguousarray(state.initial).tobytes(), state.old
    where = {"region": Region(place.region).name, "address": place.address, "bytes": len(data)}
    return {"name": state.name, "shape": list(place.shape), "dtype": place.dtype, **where, "initial": data.hex()}


def _host(compiled: Compiled, before: bool) -> list[dict]:
    """Operators that the host computes before or after the job, in their order."""
    tensors = compiled.graph.tensors
    return [
        {
            "name": host.operator.name,
            "op": host.operator.op,
            "options": host.operator.options,
            "inputs": [tensor_entry(tensors[name]) for name in host.operator.inputs if name is not None and not tensors[name].constant],
            "outputs": [tensor_entry(tensors[name]) for name in host.operator.outputs],
        }
        for host in compiled.host_ops
        if host.before == before
    ]


def layout(program: Program, base: int = 0) -> dict[str, dict[str, int]]:
    """Suggested addresses in DDR: commands, constants (region MODEL), arena (region ARENA), records.

    Returns
    -------
    dict
        ``{name: {"address": ..., "bytes": ...}}``, each at a page of its own, the first at `base`.
    """
    sizes = {
        "commands": len(program.command_bytes()),
        "model": len(program.constants),
        "arena": program.arena_bytes,
        "records": len(program.commands) * RECORD_BYTES,
    }
    areas = {}
    for name, size in sizes.items():
        areas[name] = {"address": base, "bytes": size}
        base += -(-size // PAGE) * PAGE
    return areas


def _registers(areas) -> list[dict]:
    """Registers to write before CONTROL.start, in this order: name, offset, value."""
    values = {"COMMANDS_BYTES": areas["commands"]["bytes"]}
    for register, area in (("COMMANDS", "commands"), ("MODEL", "model"), ("ARENA", "arena"), ("RECORD", "records")):
        address = areas[area]["address"]
        values |= {f"{register}_BASE_LO": address & 0xFFFFFFFF, f"{register}_BASE_HI": address >> 32}
    return [{"name": name, "offset": ADDRESS_OF[name], "value": value} for name, value in values.items()]


def _identity(config) -> dict[str, int]:
    """What the constant registers of the NPU that can run the image read, by the register's name."""
    contents = constants(config)
    return {register.name: contents[field.name] for register in REGISTERS for field in register.fields if field.access is Access.CONSTANT}


def write_image(compiled: Compiled, folder, base: int = 0) -> Path:
    """Write ``commands.bin``, ``constants.bin`` and ``map.json`` into a folder, which is made if it is not there.

    What stands in ``map.json`` is in ``docs/integrate.md``.

    Parameters
    ----------
    compiled : Compiled
    folder : str or Path
    base : int
        DDR address of the first area of `layout`; a multiple of 4096.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    program, tensors = compiled.program, compiled.graph.tensors
    areas = layout(program, base)
    description = {
        "network": program.network,
        "config": dataclasses.asdict(program.config),
        "identity": _identity(program.config),
        "areas": areas,
        "registers": _registers(areas),
        "inputs": [_place(place) | tensor_entry(tensors[place.tensor]) for place in program.inputs],
        "outputs": [_place(place) | tensor_entry(tensors[place.tensor]) for place in program.outputs],
        "states": [_state(state) for state in program.states],
        "network_inputs": [tensor_entry(tensors[name]) for name in compiled.graph.inputs],
        "network_outputs": [tensor_entry(tensors[name]) for name in compiled.graph.outputs],
        "constant_outputs": [constant_entry(tensors[name]) for name in dict.fromkeys(compiled.graph.outputs) if tensors[name].constant],
        "host_before": _host(compiled, before=True),
        "host_after": _host(compiled, before=False),
        "tensors": [_place(place) for place in program.tensors],
        "layers": [dataclasses.asdict(layer) for layer in program.layers],
        "commands": [{"layer": planned.layer, "note": planned.note} for planned in program.commands],
    }
    contents: tuple[str | bytes, ...] = program.command_bytes(), program.constants, json.dumps(description, indent=1) + "\n"
    for name, content in zip(IMAGE_FILES, contents, strict=True):
        write_whole(folder / name, content, "the image")
    return folder
