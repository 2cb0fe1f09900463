"""A whole file as a folder: an image for each program, a sub-model for each step of the host, and the manifest that puts them in order.

A network that is one program and needs no host step is that program's image alone. What stands in ``manifest.json`` is in
``docs/integrate.md``.
"""

import json
from pathlib import Path

from golden.program import Place
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from hw.npu.interface.isa import Region
from weft.compiler.graph import Graph
from weft.compiler.image import IMAGE_FILES, constant_entry, tensor_entry, write_image
from weft.run.host_rows import reasons_of
from weft.run.outputs import check_folder
from weft.run.stale_images import MANIFEST, files_of_image, remove_stale
from weft.run.whole import HostStep, NpuStep, Whole


def image_files(whole: Whole) -> tuple[str, ...]:
    """What the folder of a network holds, its manifest first."""
    if not whole.host_steps:
        return IMAGE_FILES
    return MANIFEST, *(f"{step.name}.tflite" if isinstance(step, HostStep) else f"{step.name}/" for step in whole.steps)


def write_images(whole: Whole, folder) -> None:
    """Write the folder, which is made if it is not there. What an earlier compilation left in it, and nothing else, goes.

    A manifest beside the image of one program, or an image beside a manifest, would be taken for the network.

    Parameters
    ----------
    whole : Whole
    folder : str or Path

    Raises
    ------
    WeftError
        If a file cannot be written, or the network's own stands where one must be.
    """
    folder = Path(folder)
    old = files_of_image(folder)
    new = {folder / name / each if name.endswith("/") else folder / name for name in image_files(whole) for each in IMAGE_FILES}
    for place in {*old, *new}:
        if place.exists() and place.samefile(whole.graph.file):
            raise WeftError("the image has a file of this name, and it is the network itself", file=place, remedy="choose another folder")
    _write(whole, folder)
    remove_stale(folder, old - new)


def _write(whole: Whole, folder: Path):
    if not whole.host_steps:
        write_image(whole.npu_steps[0].compiled, folder)
        return
    for step in whole.steps:
        if isinstance(step, HostStep):
            write_whole(folder / f"{step.name}.tflite", step.submodel.content, "a sub-model")
        else:
            check_folder(folder / step.name, "the image")
            write_image(step.compiled, folder / step.name)
    write_whole(folder / MANIFEST, json.dumps(manifest(whole), indent=1) + "\n", "the manifest")


def manifest(whole: Whole) -> dict:
    """The manifest as plain values."""
    graph = whole.graph
    makers = {name: step.name for step in whole.steps for name in _graph(step).outputs}
    names = dict.fromkeys([*graph.inputs, *(name for step in whole.steps for name in (*_graph(step).inputs, *_graph(step).outputs))])
    names |= dict.fromkeys(graph.outputs)
    return {
        "network": graph.name,
        "config": whole.npu_steps[0].compiled.program.config.name,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "constant_outputs": [constant_entry(graph.tensors[name]) for name in dict.fromkeys(graph.outputs) if graph.tensors[name].constant],
        "tensors": [_tensor(whole, name) for name in names if not graph.tensors[name].constant],
        "steps": [_step(step, makers) for step in whole.steps],
    }


def _tensor(whole: Whole, name: str) -> dict:
    """A tensor; its shape is null where the host step that makes it finds it out, when it runs."""
    entry = tensor_entry(whole.graph.tensors[name])
    return entry | {"shape": None} if name in whole.dynamic else entry


def _graph(step: NpuStep | HostStep) -> Graph:
    return step.part if isinstance(step, HostStep) else step.compiled.graph


def _step(step: NpuStep | HostStep, makers: dict[str, str]) -> dict:
    graph = _graph(step)
    places: dict[str, Place] = {}
    if isinstance(step, NpuStep):
        places = {place.tensor: place for place in (*step.compiled.program.inputs, *step.compiled.program.outputs)}
    entry = {
        "name": step.name,
        "runs_on": "npu" if isinstance(step, NpuStep) else "host",
        "inputs": [{"tensor": name, "made_by": makers.get(name), "arena": _place(places.get(name))} for name in graph.inputs],
        "outputs": [{"tensor": name, "arena": _place(places.get(name))} for name in graph.outputs],
    }
    if isinstance(step, NpuStep):
        return entry | {"folder": step.name}
    operators = [{"name": operator.name, "op": operator.op, "label": operator.label} for operator in graph.operators]
    return entry | {
        "file": f"{step.name}.tflite",
        "keeps_state": step.keeps_state,
        "operators": operators,
        "reasons": list(reasons_of(step)),
    }


def _place(place: Place | None) -> dict | None:
    """Where a tensor lies in its program's arena; None of one that the host has, or turns into real numbers itself."""
    if place is None or place.region != Region.ARENA:
        return None
    return {"address": place.address, "rows": place.rows, "row_bytes": place.row_bytes, "row_pitch": place.row_pitch}
