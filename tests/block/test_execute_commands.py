"""Random execute commands on the execute unit against the golden machine: every kind next to every other, with ports refused."""

import numpy as np
import pytest

from golden.machine import Machine
from hw.npu.config import NpuConfig
from hw.npu.isa import Opcode
from tests.block.execute_bench import check_windows, run
from tests.block.execute_commands import CommandMaker

ALL = (Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.DEPTHWISE, Opcode.SUM, Opcode.MAX)


def compare(program, **options):
    """Runs a program on RTL and machine, and fails at the first byte that differs; gives the records."""
    machine = Machine(program).run({}, writes=True)
    writes, records = run(program, {}, **options)
    for index, (addresses, values) in writes.items():
        want_addresses, want = machine.writes[index]
        text = f"command {index}: {program.commands[index].command}"
        assert addresses == want_addresses.tolist(), text
        wrong = [i for i, (a, b) in enumerate(zip(values, want.tolist(), strict=True)) if a != b]
        assert not wrong, f"{text}: {len(wrong)} of {len(want)} wrong, first {wrong[0]}: expected {want[wrong[0]]}, got {values[wrong[0]]}"
    check_windows(records)
    return records


def _program(seed, opcodes, *, rows, cols, count=12, **fields):
    rng = np.random.default_rng(seed)
    config = NpuConfig(rows=rows, cols=cols, act_kib=16, weight_kib=8, axi_bits=64, **fields)
    maker = CommandMaker(rng, config, opcodes, small=bool(rng.integers(2)))
    maker.grow(count)
    return maker.program()


@pytest.mark.parametrize("busy", [(0, 0), (6, 0), (13, 14)], ids=["free", "refused", "starved"])
@pytest.mark.parametrize(("rows", "cols", "broadcast"), [(4, 4, 16), (8, 4, 2), (16, 16, 4), (4, 8, 8), (32, 8, 2)])
def test_any_command_follows_any_other(rows, cols, broadcast, busy, seed):
    program = _program([seed, rows, cols, *busy], ALL, rows=rows, cols=cols, broadcast=broadcast)
    compare(program, busy=busy)


@pytest.mark.parametrize("case", range(4))
def test_depthwise_commands_follow_each_other(case, seed):
    """Alike or not: rows are grouped anew, streams end and begin."""
    compare(_program([seed, case], [Opcode.DEPTHWISE], rows=16, cols=8, count=16), busy=(4 * (case % 2), 4 * (case // 2)))
