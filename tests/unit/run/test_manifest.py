"""The folder of a compiled network: a manifest of its steps, and an image for each program."""

import json
from pathlib import Path

import numpy as np

from golden.machine import Machine
from golden.program import Place, Planned, Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Region, unpack_stream
from tests.host_networks import compiled, gather, random_whole
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.run.inputs import random_sample
from weft.run.manifest import manifest, write_images


def run_image(folder: Path, inputs: dict) -> dict:
    """What a driver does: the values of a program's outputs from its folder alone."""
    described = json.loads((folder / "map.json").read_text())
    fields = Place.__dataclass_fields__
    commands, _ = unpack_stream((folder / "commands.bin").read_bytes())
    places = {
        kind: tuple(Place(**{key: entry[key] for key in fields} | {"region": Region[entry["region"]]}) for entry in described[kind])
        for kind in ("inputs", "outputs")
    }
    program = Program(
        "image", NpuConfig(**described["config"]), tuple(Planned(command, 0) for command in commands), (),
        (folder / "constants.bin").read_bytes(), described["areas"]["arena"]["bytes"], places["inputs"], places["outputs"], (),
    )  # fmt: skip
    assert described["host_before"] == described["host_after"] == []
    return Machine(program).run(inputs).outputs


def test_a_manifest_is_all_that_a_driver_needs(tmp_path, seed):
    """Its steps, run from the files alone, give the interpreter's outputs."""
    rng = np.random.default_rng(seed)
    for trial in range(3):
        path, folder = tmp_path / f"{trial}.tflite", tmp_path / f"image{trial}"
        whole = compiled(path, random_whole(rng))
        write_images(whole, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        values = random_sample(whole.graph, trial)
        expected = run_reference(path.read_bytes(), list(values.values()))
        made = {None: set(manifest["inputs"])}
        for step in manifest["steps"]:
            assert all(entry["tensor"] in made[entry["made_by"]] for entry in step["inputs"])
            given = {entry["tensor"]: values[entry["tensor"]] for entry in step["inputs"]}
            made[step["name"]] = {entry["tensor"] for entry in step["outputs"]}
            if step["runs_on"] == "npu":
                values |= run_image(folder / step["folder"], given)
            else:
                found = run_reference((folder / step["file"]).read_bytes(), list(given.values()))
                values |= {name: found[name] for name in made[step["name"]]}
        for entry in manifest["tensors"]:
            value = values[entry["tensor"]]
            assert (list(value.shape), str(value.dtype)) == (entry["shape"], entry["dtype"])
        assert all(np.array_equal(values[name], expected[name]) for name in manifest["outputs"]), f"seed {seed}, trial {trial}"


def test_a_folder_holds_one_network_at_a_time_and_files_of_others_stay(tmp_path):
    """Of one program, then of several steps, then of one program again; and a manifest that somebody else wrote."""
    folder, tensors = tmp_path / "image", [BuilderTensor(name, (1, 8), scale=0.1) for name in "xy"]
    alone = compiled(tmp_path / "alone.tflite", build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["x"], ["y"]))
    several = compiled(gather(tmp_path / "several.tflite"))
    image = {"commands.bin", "constants.bin", "map.json"}
    for whole, here, gone in ((alone, image, {"manifest.json"}), (several, {"manifest.json"}, image), (alone, image, {"manifest.json"})):
        write_images(whole, folder)
        there = {path.name for path in folder.iterdir()}
        assert here <= there and there.isdisjoint(gone)
    for content in ('{"name": "a page", "steps": []}', "[]", "no JSON"):
        (folder / "manifest.json").write_text(content)
        write_images(alone, folder)
        assert (folder / "manifest.json").read_text() == content


def test_a_shape_that_only_a_run_knows_is_null_in_the_manifest(tmp_path):
    tensors = [BuilderTensor(name, (1, 8), scale=0.1) for name in "xay"] + [BuilderTensor("flags", (1, 8), "bool")]
    tensors += [BuilderTensor("places", (), "int64"), BuilderTensor("shape", (2,), "int32"), BuilderTensor("number", (1,), "int32"),
                BuilderTensor("axis", (), "int32", data=np.array(1))]  # fmt: skip
    operators = [BuilderOperator("RELU", ("x",), ("a",)), BuilderOperator("EQUAL", ("a", "y"), ("flags",)),
                 BuilderOperator("WHERE", ("flags",), ("places",)), BuilderOperator("SHAPE", ("places",), ("shape",)),
                 BuilderOperator("ARG_MAX", ("a", "axis"), ("number",))]  # fmt: skip
    model = build_model(tensors, operators, ["x", "y"], ["flags", "places", "shape", "number"])
    shapes = {entry["tensor"]: entry["shape"] for entry in manifest(compiled(tmp_path / "net.tflite", model))["tensors"]}
    assert shapes["places"] is shapes["shape"] is None
    assert (shapes["a"], shapes["flags"], shapes["number"]) == ([1, 8], [1, 8], [1])
