"""Limits of an execute command in RTL and in the golden machine: the same fields are refused, at sizes that the other tests do not have."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from golden.machine_limits import check_fields
from golden.machine_state import MachineError, MachineState
from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.control.execute_checks import bad_field, checked_fields
from hw.npu.interface.isa import EXECUTE, EXECUTE_LAYOUT, MAX_SOFTMAX_LANES, PLAIN_MULTIPLIER, Command, Error, Opcode, opcodes


class Checks(wiring.Component):
    """`bad_field` of a command."""

    def __init__(self, config):
        self.config = config
        super().__init__({"command": In(EXECUTE_LAYOUT), "bad": Out(1)})

    def elaborate(self, platform):
        m, config = Module(), self.config
        sizes = {"rows": config.rows, "cols": config.cols, "depth": config.ACCUMULATOR_DEPTH, "weight_bytes": config.weight_bytes}
        held = Signal(EXECUTE_LAYOUT)  # a clock, for the simulator
        m.d.sync += held.eq(self.command)
        m.d.comb += self.bad.eq(
            bad_field(checked_fields(held, lambda value, name: value), **sizes, int4=config.int4, interpolation=config.interpolation)
        )
        return m


def _command(rng, config):
    """Fields around their limits; about half of the commands are legal."""
    opcode = rng.choice(sorted(EXECUTE & opcodes(config.int4, config.interpolation)))
    taps = rng.choice([1, 3, 5, 8, 9, 16, config.rows, config.rows + 1])
    loops = {
        "block_rows": rng.randint(1, 4),
        "block_cols": rng.choice([1, 2, 5, 64]),
        "taps_y": rng.randint(1, 3) if opcode == Opcode.INTERPOLATE else 1,
        "taps_x": taps if opcode.operation == Opcode.DEPTHWISE else 1,
        "lanes": rng.choice([1, 5, MAX_SOFTMAX_LANES]),
        "span": rng.randint(1, 3),
        "column_tiles": 1,
        "last_cols": 1,
        "stride": rng.randint(1, 3),
    }
    if opcode.operation == Opcode.DEPTHWISE:
        loops["positions"] = max(3, (loops["block_cols"] - 1) * loops["stride"] + rng.choice([0, 1, taps]))
    if rng.random() < 0.4:
        loops[rng.choice(sorted(loops))] = rng.choice([0, 1, 2, 3])
    second = {name: rng.choice([PLAIN_MULTIPLIER, PLAIN_MULTIPLIER, PLAIN_MULTIPLIER + 1]) for name in ("first_multiplier", "multiplier")}
    second |= {"operation": rng.randrange(4), "first_shift": rng.choice([0, 0, 0, 1]), "shift": rng.choice([0, 0, 0, 1])}
    weights = {"params": rng.choice([0, 0, 1]), "load_table": rng.choice([0, 0, 0, 1])}
    return Command(opcode, {"loops": loops, "weights": weights, "second": second})


@pytest.mark.parametrize("int4", [False, True], ids=["int8", "int4"])
@pytest.mark.parametrize("rows", [4, 16, 32, 64])
def test_rtl_refuses_what_the_machine_refuses(rows, int4, seed):
    rng = random.Random(seed)
    config = NpuConfig(rows=rows, cols=8, act_kib=16, weight_kib=8, int4=int4, interpolation=True)
    dut, commands = Checks(config), []
    state = MachineState.fresh(Program("", config, (), (), bytes(64), 64, (), (), ()), 0)
    for _ in range(300):
        command = _command(rng, config)
        code = Error.NONE
        try:
            check_fields(state, 0, command)
        except MachineError as error:
            code = error.code
        assert code in (Error.NONE, Error.BAD_FIELD), command
        commands.append((command, code == Error.BAD_FIELD))
    assert 50 < sum(refused for _, refused in commands) < 250

    async def run(ctx):
        for command, refused in commands:
            ctx.set(dut.command.as_value(), int.from_bytes(command.pack(), "little"))
            await ctx.tick()
            assert ctx.get(dut.bad) == refused, f"seed {seed}, {rows} rows: {command}"

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
