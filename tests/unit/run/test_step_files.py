"""Files of a network in several steps: a waveform for each program, and an image that replaces an earlier one in its folder."""

import json
import shutil

import numpy as np

import weft.run.network
from hw.npu.config import PRESETS
from tests.host_networks import random_whole
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import DIGITS, MachineAsSimulator, refused
from weft.cli.main import main
from weft.compiler.frontends.tflite import read_file
from weft.compiler.image import IMAGE_FILES
from weft.run.whole import compile_whole

SMALL = PRESETS["small"]


def test_each_program_has_its_waveform(tmp_path, monkeypatch):
    places = []

    class Traced(MachineAsSimulator):
        def run_all(self, program, inputs, *, trace, **options):
            places.append(trace)
            return super().run_all(program, inputs)

    monkeypatch.setattr(weft.run.network, "Simulator", Traced)
    path = tmp_path / "net.tflite"
    path.write_bytes(random_whole(np.random.default_rng(1)))
    assert main(["run", str(path), "--seed", "1", "-q", "--trace", str(tmp_path / "waves.fst")]) == 0
    names = [step.name for step in compile_whole(read_file(path), SMALL).npu_steps]
    assert len(names) > 1 and places == [tmp_path / f"waves-{name}.fst" for name in names]
    assert main(["run", str(DIGITS), "--seed", "1", "-q", "--trace", str(tmp_path / "one.vcd")]) == 0
    assert places[len(names) :] == [tmp_path / "one.vcd"]


def test_an_image_replaces_what_an_earlier_one_left_and_nothing_else(tmp_path, capsys):
    path, folder = tmp_path / "net.tflite", tmp_path / "image"
    path.write_bytes(random_whole(np.random.default_rng(1)))

    def files(model):
        assert main(["compile", str(model), "-o", str(folder), "-q"]) == 0
        return {str(each.relative_to(folder)) for each in folder.rglob("*")}

    image = set(IMAGE_FILES)
    first = files(path)
    steps = {name for name in first if name.startswith("npu") and "/" not in name}
    assert "manifest.json" in first and len(steps) > 1 and not first & image
    theirs = {f"{min(steps)}/notes.txt", "host_99.tflite", "npu_98/map.json", "npu_98"}
    (folder / "npu_98").mkdir()
    for name in theirs - {"npu_98"}:
        (folder / name).write_text("{}")
    assert files(DIGITS) == image | theirs | {min(steps)}
    assert files(path) == first | theirs
    manifest = json.loads((folder / "manifest.json").read_text())
    shutil.copytree(folder / min(steps), tmp_path / "elsewhere")
    manifest["steps"] += [{"name": "npu_98"}, {"name": "../elsewhere"}, {"name": 7}, 8]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert files(DIGITS) == image | theirs | {min(steps)}, "npu_98 holds no map of ours"
    assert image <= {each.name for each in (tmp_path / "elsewhere").iterdir()}, "no step lies outside of the folder"


def test_an_image_does_not_take_the_place_of_its_network(tmp_path, capsys):
    path = tmp_path / "host.tflite"
    content = build_model(
        [BuilderTensor(name, (1, 8), scale=1 / 128) for name in "xay"],
        [BuilderOperator("ADD", ("x", "x"), ("a",)), BuilderOperator("L2_NORMALIZATION", ("a",), ("y",))], ["x"], ["y"],
    )  # fmt: skip
    path.write_bytes(content)
    assert "it is the network itself; choose another folder" in refused(capsys, "compile", path, "-o", tmp_path, "-q")
    assert path.read_bytes() == content and not (tmp_path / "npu").exists()
