"""The execute unit against the golden machine: compiled random operators, transfers played by the test."""

import random

import numpy as np
import pytest

from golden.machine import Machine
from hw.npu.config import NpuConfig
from tests.block.execute_bench import check_windows, run
from tests.int4_graphs import with_int4_weights
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph


def _network(seed):
    """A small network with every kind of execute command: strided and dilated convolutions, residual, pools, a vector."""
    rng = np.random.default_rng(seed)
    maker = GraphMaker(rng, (1, int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 7))))
    stem = maker.conv("input", int(rng.integers(3, 12)), (3, int(rng.integers(1, 4))), stride=(1, 2))
    shape = maker.tensors[stem].shape
    wide = maker.conv(stem, shape[3], (2, 2), dilation=(1, int(rng.integers(1, 3))))
    joined = maker.add(wide, stem)
    pooled = maker.pool(str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), joined, (2, 2), stride=(2, 1))
    flat = maker.reshape(pooled, (1, maker.tensors[pooled].size))
    return maker.graph(maker.quantize(maker.fully_connected(flat, int(rng.integers(1, 20)))))


@pytest.mark.parametrize("case", range(6))
def test_writes_are_those_of_the_machine(case, seed):
    assert_writes_are_those_of_the_machine(case, seed, int4=False, busy=0)


def test_writes_of_4_bit_weights_are_those_of_the_machine(seed):
    """Every second layer of the network has them; ports are refused now and then."""
    assert_writes_are_those_of_the_machine(6, seed, int4=True, busy=6)


def assert_writes_are_those_of_the_machine(case, seed, *, int4, busy):
    rng = random.Random(1000 * seed + case)
    config = NpuConfig(
        rows=rng.choice([4, 8]),
        cols=rng.choice([4, 8]),
        act_kib=16,
        weight_kib=8,
        axi_bits=rng.choice([32, 64]),
        lane_divisor=rng.choice([1, 2, 4]),
        broadcast=rng.choice([2, 4, 16]),
        int4=int4,
    )
    print(config)
    graph = _network(1000 * seed + case)
    if int4:
        graph = with_int4_weights(graph, lambda layer: layer % 2 == 0)
    program = compile_graph(graph, config, keep_tensors=case % 3 == 2).program
    shape = graph.tensors["input"].shape
    inputs = {"input": np.random.default_rng(case).integers(-128, 128, shape).astype(np.int8)}
    machine = Machine(program).run(inputs, writes=True)
    writes, records = run(program, inputs, busy=busy)
    for index, (addresses, values) in writes.items():
        want_addresses, want = machine.writes[index]
        text = f"seed {seed}, command {index}: {program.commands[index].note}: {program.commands[index].command}"
        assert addresses == want_addresses.tolist(), text
        wrong = [i for i, (a, b) in enumerate(zip(values, want.tolist())) if a != b]
        assert not wrong, f"{text}: {len(wrong)} of {len(want)} wrong, first {wrong[0]}: expected {want[wrong[0]]}, got {values[wrong[0]]}"
    check_windows(records)
