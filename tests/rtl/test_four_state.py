"""The Verilog that ships, in a simulator that knows unknown values: none leaves the NPU, whatever its registers and memories hold at first.

The bench (`four_state/bench.v`) leaves all of DDR unknown that nobody wrote, and the payload of every channel whose valid is low, and ends
with the first output of the NPU that is unknown after reset, valid or not; but for lanes of W that have no strobe.
"""

import re
import shutil
from functools import cache

import numpy as np
import pytest

from hw.emit.verilog import npu_verilog
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import EXECUTE, Error, Opcode
from sim.job import BenchError
from tests.int4_graphs import with_int4_weights
from tests.random_mixtures import MixtureMaker
from tests.rtl.icarus import IcarusSimulator
from tests.rtl.jobs import TINY, Session, Stream, assert_right, assert_stopped
from tests.rtl.networks import stream_of
from tests.rtl.simple import changed
from weft.compiler.graph import Tensor

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed: apt-get install iverilog")

NANO = PRESETS["nano"]
FOUR = TINY.replace(name="four", rows=4, cols=4, broadcast=2, int4=True, interpolation=True)
QUICK = {"nano": NANO, "4x4, INT4": FOUR}
OTHERS = {
    "4x4": FOUR.replace(int4=False),
    "wide bus": FOUR.replace(axi_bits=256, cols=8, broadcast=1, lane_divisor=4),
    "narrow bus": FOUR.replace(axi_bits=32, lane_divisor=1, queue_depth=8, outstanding=1),
    "8x4": TINY,
    "nano, INT4": NANO.replace(int4=True),
}


@cache
def convolutions(config: NpuConfig) -> Stream:
    """Convolutions over 3, 5 and 27 bytes, a sum, a depthwise one, a pool and a softmax; where there is INT4, half of them in it; a resize.

    Each goes to DDR: a comparison, in a softmax for example, makes something known of what is unknown.
    """
    maker = MixtureMaker(np.random.default_rng(11), (1, 5, 4, 3))
    three = maker.conv("input", 5, (1, 1))
    five = maker.conv(three, 6, (1, 1))
    many = maker.conv("input", 6, (3, 3))
    filtered = maker.depthwise(maker.add(five, many), 1, (3, 3))
    pooled = maker.pool("MAX_POOL_2D", filtered, (2, 2), stride=(2, 2))
    flat = maker.reshape(pooled, (1, maker.tensors[pooled].size))
    between = [_resized(maker, five)] if config.interpolation else []
    graph = maker.graph(maker.softmax(maker.fully_connected(flat, 4)), three, five, many, filtered, pooled, *between)
    return stream_of(with_int4_weights(graph, lambda number: number % 2) if config.int4 else graph, 3, config)


def _resized(maker, image):
    maker.tensors["size"] = Tensor("size", (2,), "int32", None, np.array([7, 6], np.int32))
    options = {"align_corners": False, "half_pixel_centers": True}
    return maker._operator("RESIZE_BILINEAR", (image, "size"), (1, 7, 6, 6), options, like=maker.tensors[image])


def check(simulator):
    """A job; one with a command that is refused at its end; one that a soft reset ends in its midst; and the first again."""
    stream = convolutions(simulator.config)
    last = max(index for index, command in enumerate(stream.commands) if command.opcode in EXECUTE)
    broken = stream.replaced(last, changed(stream.commands[last], "loops", lanes=0))
    session = Session(simulator)
    session.add(stream)
    session.add(broken, area=1)
    session.start(stream)
    session.job.step(700)
    session.job.poke("CONTROL", 2)
    session.job.step(400)
    session.add(stream)
    first, refused, second = session.run()
    assert_right(stream, first, "at first")
    assert_stopped(refused, Error.BAD_FIELD, last, "lanes = 0")
    assert_right(stream, second, "after an error and a soft reset")
    assert np.array_equal(first.records, second.records)


@pytest.mark.parametrize("name", QUICK)
def test_nothing_unknown_leaves_the_npu(name, tmp_path):
    check(IcarusSimulator.build(QUICK[name], tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_unknown_leaves_other_configurations(name, tmp_path):
    check(IcarusSimulator.build(OTHERS[name], tmp_path))


def test_the_network_has_what_four_states_are_about():
    """Reduction tiles with fewer rows than the array, before any tile that fills it, and every kind of work."""
    for config in (NANO, FOUR):
        stream = convolutions(config)
        execute = [command for command in stream.commands if command.opcode in EXECUTE]
        assert execute[0].operation == Opcode.MATMUL and execute[0]["loops"]["lanes"] == 3 < config.rows
        assert {command.operation for command in execute} >= {Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.MAX, Opcode.SOFTMAX}
        assert any(command.opcode.int4 for command in execute) == config.int4
        assert any(command.opcode == Opcode.INTERPOLATE for command in execute) == config.interpolation


@pytest.mark.parametrize(
    ("module", "kept", "lost", "message"),
    [
        ("npu_weight_loader", r"clearing <= 1'h1;", "clearing <= 1'h0;", "payload of m_axi_w is unknown"),
        ("npu_read_arbiter", r"(assign port__r__ready = ).*;", r"\1port__r__payload[0];", "cycle 0: m_axi_rready is unknown"),
    ],
    ids=["a weight that was never written", "a handshake that looks at a payload"],
)
def test_the_bench_finds_what_is_unknown(module, kept, lost, message, tmp_path):
    verilog = npu_verilog(NANO)
    begin = verilog.index(f"module {module}(")
    end = verilog.index("endmodule", begin)
    spoiled, count = re.subn(kept, lost, verilog[begin:end])
    assert count
    session = Session(IcarusSimulator.build(NANO, tmp_path, verilog=verilog[:begin] + spoiled + verilog[end:]))
    session.add(convolutions(NANO))
    with pytest.raises(BenchError, match=message):
        session.run()
