"""The feeder as a whole: every byte that a wave meets, in its order, and never before what it needs is there."""

import random

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.feed.feeder import Feeder
from hw.npu.interface.isa import Command, Opcode
from hw.npu.scratchpad.scratchpad import ActivationScratchpad, places_of
from tests.block.execute_commands import CommandMaker
from tests.block.feed.feed_bench import ARRAY_LATENCY, QUEUES, FeedBench
from tests.block.feed.feed_model import FeedModel
from tests.streams import simulate

CONFIG = NpuConfig("feeder", rows=8, cols=4, act_kib=16, weight_kib=8, lane_divisor=2, int4=True, interpolation=True)
OPCODES = (Opcode.MATMUL, Opcode.MATMUL_INT4, Opcode.SUM, Opcode.MAX, Opcode.DEPTHWISE, Opcode.DEPTHWISE_INT4, Opcode.INTERPOLATE)
MOST_STEPS = 1000
"""Of all commands of a run."""
LONGEST = 150
"""Steps of a command whose sums are its own."""


def feeder(registers):
    latency = ActivationScratchpad.read_latency(registers)
    settings = {"rows": CONFIG.rows, "cols": CONFIG.cols, "size": CONFIG.act_bytes, "array_latency": ARRAY_LATENCY}
    settings |= {"int4": True, "interpolation": True}
    return Feeder(**settings, read_latency=latency, places=places_of(CONFIG), memory_registers=registers, stream_registers=registers)


def random_commands(rng, seed):
    """Commands that wait for tokens, a SOFTMAX between them now and then, until they have enough steps."""
    maker = CommandMaker(np.random.default_rng(seed), CONFIG, OPCODES, small=False)
    commands, steps, waits = [], 0, dict.fromkeys(QUEUES, 0)
    maker.grow(50)
    for command in maker.commands:
        loops, length = command["loops"], len(FeedModel(command, CONFIG).steps())
        alone = not (loops["partial_in"] or loops["partial_out"])
        if alone and length > LONGEST:
            continue
        if steps > MOST_STEPS and not loops["partial_in"]:
            break
        steps += length
        if not loops["partial_in"] and rng.random() < 0.2:
            commands.append(softmax(rng, waits))
        for queue in QUEUES:
            waits[queue] += rng.choice((0, 0, 0, 0, 1, 2))
        header = {f"wait_{queue}": count for queue, count in waits.items()}
        commands.append(Command(command.opcode, command.fields | {"header": header}))
    return commands


def softmax(rng, waits):
    """One entry for the output stage; its block and its image are for others."""
    loops = {"block_rows": rng.randint(1, 9), "block_cols": rng.randint(1, 9), "taps_y": 1, "taps_x": 1, "column_tiles": 1}
    loops |= {"lanes": rng.randint(1, 99), "span": 1, "last_cols": rng.randint(1, CONFIG.cols)}
    image = {"address": rng.randrange(4096), "height": 3, "image_row_bytes": 500, "pad_value": rng.randint(-9, 9)}
    return Command(Opcode.SOFTMAX, {"header": {f"wait_{queue}": count for queue, count in waits.items()}, "loops": loops, "input": image})


@pytest.mark.parametrize(("moody", "registers"), [(False, 0), (True, 0), (True, 1)], ids=["", "moody", "moody, registers"])
def test_waves_are_those_of_the_loops_and_find_what_they_need(moody, registers, seed):
    rng = random.Random(f"{seed} {moody}")
    memory = np.random.default_rng(seed).integers(0, 256, CONFIG.act_bytes, np.uint8)
    bench = FeedBench(rng, feeder(registers), CONFIG, memory, random_commands(rng, [seed, int(moody)]), moody=moody)
    simulate(bench.dut, bench.run, cycles=60_000)
    tokens = ("ddr_read", "ddr_write", "activations")
    seen = {"tokens": any(bench.spent[name] for name in tokens)} | {
        name: bench.spent[name] for name in ("bank", "apart", "output", "weights")
    }
    assert not moody or all(seen.values()), bench.spent
