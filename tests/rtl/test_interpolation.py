"""RESIZE_BILINEAR of any ratio on the generated Verilog: exact, 4 cycles for C outputs, and as the timing model says."""

import numpy as np
import pytest

from hw.npu.interface.isa import Opcode
from tests.machine_checks import random_inputs
from tests.resizes import ALIGNMENTS, graph_of
from tests.rtl.configurations import CORNERS, SIZES
from tests.rtl.cycles import assert_recorded
from tests.rtl.measure import measure
from tests.rtl.test_timing import DDRS, assert_close
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite

SMALL, NARROW = SIZES[16, 16], CORNERS[0]
BOUNDS = {SMALL: 0.03, NARROW: 0.1}
"""Errors of the timing model's cycles. A quarter of the lanes take four cycles for what the array takes four for: both wait for banks,
and the model knows of that on average."""


@pytest.mark.cycles
@pytest.mark.parametrize("name", ["c06_up3_bilinear", "b07c_bilinear_ac"])
def test_resizes_of_the_field_are_exact(name, cases, simulator):
    assert_recorded(f"case/{name}", measure(read_tflite(cases / f"{name}.tflite"), simulator(SMALL)))


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("config", [SMALL, NARROW], ids=lambda config: config.name)
def test_resizes_take_the_predicted_cycles(config, alignment, simulator, seed):
    rng = np.random.default_rng([seed, *alignment.encode()])
    for ddr in DDRS.values():
        size, count, channels = rng.integers(2, 20, 2).tolist(), rng.integers(1, 50, 2).tolist(), int(rng.integers(1, 50))
        graph = graph_of((1, *size, channels), count, alignment, seed=seed)
        assert_close(simulator(config), graph, random_inputs(graph, seed), ddr, BOUNDS[config])


def test_the_vectors_of_a_pixel_take_four_cycles(simulator):
    """But where a port is refused: results of the pixels before go to the same banks."""
    graph = graph_of((1, 12, 12, 32), (41, 29), seed=1)
    program = compile_graph(graph, SMALL).program
    run = simulator(SMALL).run(program, random_inputs(graph, 1), log=False)
    records = [record for record, planned in zip(run.records, program.commands) if planned.command.opcode == Opcode.INTERPOLATE]
    assert sum(record["active"] for record in records) == 4 * 2 * 41 * 29


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_what_deeplab_ends_with_is_exact_in_bands(alignment, simulator, seed):
    measure(graph_of((1, 33, 33, 21), (257, 257), alignment, seed=seed), simulator(SMALL), inputs=1)
