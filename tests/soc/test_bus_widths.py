"""The SoC on buses of every width: scenarios with camera and display, and the bench's digest of the pictures that are shown."""

import subprocess

import numpy as np
import pytest

from hw.soc.config import SocConfig
from sim import build
from sim.build import BuildOptions
from sim.scenario import Cpu, Scenario, camera_of, display_of
from sim.soc_run import SocSimulator, same_writes
from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker
from tests.soc.test_soc_run import TINY
from weft.compiler.driver import compile_graph
from weft.compiler.host import host_before

WIDTHS = 32, 64, 128, 256
MODE = "1280x720@30"
"""Of camera and display, whose lines are cut by the scenario's scale: a bus of 32 bits carries both."""

SHOW = """
#include "soc/pictures.h"
#include <cstdio>
int main(int, char** argv) {
    const unsigned beat = std::atoi(argv[1]);
    weft::Pictures pictures;
    uint8_t bytes[32];
    for (pictures.see(0, true, false); std::fread(bytes, 1, beat, stdin) == beat;) pictures.show(bytes, beat);
    pictures.see(1, true, false);
    std::printf("%llu", (unsigned long long)pictures.digests.at(0));
}
"""
"""Shows standard input as one picture, in beats of so many bytes, and prints its digest."""


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "show.cpp").write_text("#include <cstdlib>\n" + SHOW)
    command = ["g++", "-std=c++20", "-Wall", "-Werror", f"-I{build.HARNESS}", "-o", str(folder / "show"), str(folder / "show.cpp")]
    subprocess.run(command, check=True)
    return folder / "show"


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_picture_has_one_digest_whatever_the_beats_are(show, bits, seed):
    picture = np.random.default_rng(seed).integers(0, 256, 3 * 96, dtype=np.uint8)
    words = picture.view("<u8")
    expected = int((words * np.arange(1, len(words) + 1, dtype=np.uint64)).sum(dtype=np.uint64))
    done = subprocess.run([show, str(bits // 8)], input=picture.tobytes(), capture_output=True, check=True)
    assert int(done.stdout) == expected, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("bits", WIDTHS)
def test_pictures_and_results_are_right_on_every_bus(bits):
    config = SocConfig(npu=TINY.replace(axi_bits=bits), npu_gate=32, cpu_gate=256, camera_fifo=256, display_fifo=512)
    maker = GraphMaker(np.random.default_rng(5), (1, 8, 8, 16))
    graph = maker.graph(maker.conv(maker.conv("input", 24, (3, 3)), 16, (3, 3)))
    compiled = compile_graph(graph, config.npu)
    cpu = Cpu(0.1, window_kib=64)
    scenario = Scenario("all", camera=camera_of(MODE), display=display_of(MODE), cpu=cpu, frames=2, scale=120)
    inputs = host_before(compiled, random_inputs(graph, 1))
    run = SocSimulator(config, BuildOptions("quick", random_start=True)).run(compiled.program, inputs, scenario)
    assert run.traffic.camera.complete >= 2 and run.traffic.display.complete >= 2
    assert run.traffic.camera.lost == run.traffic.display.lost == 0
    assert run.runs and all(same_writes(run.alone, one) for one in run.runs)
