"""Random commands of both widths of weights on arrays far apart: words wider and narrower than 2R bytes, more channels than 2R, 64 rows."""

import pytest

from tests.rtl.jobs import TINY_INT4, Session
from tests.rtl.mutations import judge, random_ddr
from tests.rtl.random_commands import legal_stream_of_two_widths

ARRAYS = {  # name: (sentence, fields)
    "sq4": ("an AXI word wider than 2R bytes", {"rows": 4, "axi_bits": 256, "lane_divisor": 1, "broadcast": 16, "accumulator_bits": 20}),
    "wide": ("more channels than 2R", {"rows": 4, "cols": 16, "axi_bits": 32, "broadcast": 1, "lane_divisor": 4}),
    "tall": ("an AXI word of 2R bytes", {"rows": 16, "axi_bits": 256, "broadcast": 1, "lane_divisor": 1}),
    "r64": ("the most rows, in words of 128 bytes", {"rows": 64, "broadcast": 2, "act_kib": 17}),
}
STREAMS = 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ARRAYS)
def test_commands_of_both_widths_are_exact_on_any_array(name, simulator, seed):
    sentence, fields = ARRAYS[name]
    config = TINY_INT4.replace(name=name, **fields)
    session, numbers = Session(simulator(config), seed=seed), range(1000 * (seed - 1), 1000 * (seed - 1) + STREAMS)
    streams = [legal_stream_of_two_widths(number, config) for number in numbers]
    for number, stream in zip(numbers, streams, strict=True):
        session.job.tune(random_ddr(number))
        session.add(stream)
    opcodes = set()
    for number, stream, outcome in zip(numbers, streams, session.run(), strict=True):
        assert judge(stream, outcome, f"{sentence}, stream {number}").error is None
        opcodes |= {command.opcode for command in stream.commands if command.opcode.int4}
    assert len(opcodes) == 2
