"""What a driver loads: `image.bin`, the bytes, and `map.json`, where in them and in memory everything lies."""

import dataclasses
import json
from pathlib import Path

from golden.program import Place
from hw.npu.isa import COMMAND_BYTES
from hw.npu.records import RECORD_BYTES
from weft import __version__
from weft.compiler.driver import Compiled

IMAGE, MAP = "image.bin", "map.json"
ALIGNMENT = 64
"""Of the parts of the image, and of where each region must be placed in memory, bytes."""


def write_image(compiled: Compiled, folder) -> str:
    """Write both files; gives a line that says what was written."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    image, layout = build_image(compiled)
    (folder / IMAGE).write_bytes(image)
    (folder / MAP).write_text(json.dumps(layout, indent=2) + "\n")
    program = compiled.program
    return (
        f"{folder / IMAGE}: {len(program.commands)} commands, {len(program.constants)} bytes of weights; "
        f"arena of {program.arena_bytes} bytes; estimated {compiled.estimated_cycles} cycles; {folder / MAP} says where"
    )


def build_image(compiled: Compiled) -> tuple[bytes, dict]:
    """The image's bytes, and the map as plain values.

    The image is the command stream, then region MODEL. The driver also provides memory for region ARENA, and for the records if
    it wants them; it writes the inputs into the arena, starts the NPU and reads the outputs there.
    """
    program = compiled.program
    commands = program.command_bytes()
    commands += bytes(-len(commands) % ALIGNMENT)
    layout = {
        "weft": __version__,
        "network": program.network,
        "config": dataclasses.asdict(program.config),
        "alignment": ALIGNMENT,
        "image": {
            "commands": {"offset": 0, "bytes": len(program.commands) * COMMAND_BYTES, "count": len(program.commands)},
            "model": {"offset": len(commands), "bytes": len(program.constants)},
        },
        "arena_bytes": program.arena_bytes,
        "record_bytes": len(program.commands) * RECORD_BYTES,
        "inputs": [_place(compiled, place) for place in program.inputs],
        "outputs": [_place(compiled, place) for place in program.outputs],
        "host_ops": [_host_op(host) for host in compiled.host_ops],
        "layers": [dataclasses.asdict(layer) for layer in program.layers],
        "estimated_cycles": compiled.estimated_cycles,
    }
    return commands + program.constants, layout


def _place(compiled, place: Place):
    tensor = compiled.graph.tensors[place.tensor]
    quantization = tensor.quantization
    return {
        "tensor": place.tensor,
        "shape": [int(size) for size in place.shape],
        "dtype": place.dtype,
        "scale": list(quantization.scale) if quantization else None,
        "zero_point": list(quantization.zero_point) if quantization else None,
        "arena_offset": place.address,
        "rows": place.rows,
        "row_bytes": place.row_bytes,
        "row_pitch": place.row_pitch,
    }


def _host_op(host):
    operator = host.operator
    return {"name": operator.name, "op": operator.op, "when": "before" if host.before else "after", "outputs": list(operator.outputs)}
