"""No stream of commands hangs the NPU: random, illegal and damaged streams end well or with an error, and the next job runs right."""

from collections import Counter
from dataclasses import replace

import pytest

from hw.npu.interface.isa import EXECUTE, Error, Opcode, opcodes
from tests.rtl.corners import EXPECTED_OF, corners
from tests.rtl.jobs import TINY, TINY_INT4, Session, assert_right
from tests.rtl.limits import weights
from tests.rtl.mutations import judge, random_ddr, verdict, with_a_late_wait, with_flipped_bits, with_random_bytes
from tests.rtl.networks import small_network
from tests.rtl.random_commands import legal_of
from tests.rtl.simple import execute, in_order, stream_with, transfer
from tests.rtl.switches import ALL_ON, SWITCHED

CAMPAIGNS = {  # name: (sentence, maker of a stream from a seed and a configuration, or None: the configuration's own)
    "legal": ("random legal commands, waits as loose as hazards allow, of both widths of weights where both are known", None),
    "late wait": ("one command waits for a later one, or forever", with_a_late_wait),
    "random bytes": ("one to three commands are random bytes", with_random_bytes),
    "flipped bits": ("one to three bits of a compiled stream are flipped", with_flipped_bits),
}
IN_TEST = {  # name: {configuration: streams}
    "legal": {TINY: 60, TINY_INT4: 40, ALL_ON: 12},
    "late wait": {TINY: 12, ALL_ON: 8},
    "random bytes": {TINY: 25, ALL_ON: 15},
    "flipped bits": {TINY: 25, ALL_ON: 15},
}
"""What `make test` runs."""
MANY = {"legal": 60, "late wait": 50, "random bytes": 100, "flipped bits": 100}
"""Streams of each configuration in `make test-all`."""
MORE = {"legal": 300, "late wait": 150, "random bytes": 300, "flipped bits": 300}
"""The same for `TINY`, and the legal ones for `TINY_INT4`."""
BATCH = 25
"""Streams of one process."""
LIMIT = 1_500_000
"""Cycles after which a job counts as hung; the slowest memory takes a third of them."""


def run_campaign(simulator, name, config, first, count):
    """Streams ``first`` to ``first + count - 1`` of a campaign on a configuration, the network behind each."""
    sentence, make = CAMPAIGNS[name]
    npu, make, network = simulator(config), make or legal_of(config), small_network(config)
    ends, reached, sure, same = Counter(), Counter(), 0, 0
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        session, streams = Session(npu, seed=start, limit=LIMIT), [make(number, config) for number in numbers]
        for number, stream in zip(numbers, streams, strict=True):
            session.job.tune(random_ddr(number, config))
            session.add(stream)
            session.add(network, area=1)
        outcomes = session.run()
        for number, stream, outcome, behind in zip(numbers, streams, outcomes[::2], outcomes[1::2], strict=True):
            what = f"campaign {name!r} ({sentence}) on {config.name}, stream {number}"
            said = judge(stream, outcome, what)
            sure += said.sure
            same += said.sure and said.end == (outcome.error, outcome.index)
            assert name != "late wait" or said.end == (outcome.error, outcome.index), f"{what}: expected {said.error}, got {outcome}"
            ends[outcome.error.name] += 1
            if name == "legal":
                reached.update(corners(stream, outcome) if config in EXPECTED_OF else {command.opcode.name for command in stream.commands})
            assert_right(network, behind, f"{what}: the network behind {outcome}")
    print(
        f"campaign {name!r}: {sentence}; on {config.name} streams {first} to {first + count - 1}: {sure} of {count} compared "
        f"with the machine, {same} with the same error at the same command; ends: "
        + ", ".join(f"{count} {end}" for end, count in ends.most_common())
    )
    return ends, reached


def assert_ends(name, config, ends):
    """Legal streams end well, and one that waits too long ends in a deadlock."""
    if name == "legal":
        assert set(ends) == {"NONE"}, f"{config.name}: {ends}"
    if name == "late wait":
        assert set(ends) == {Error.DEADLOCK.name}, f"{config.name}: {ends}"


@pytest.mark.parametrize(
    ("name", "config", "count"),
    [pytest.param(name, config, count, id=f"{name} {config.name}") for name, counts in IN_TEST.items() for config, count in counts.items()],
)
def test_no_stream_of_commands_hangs_the_npu(simulator, seed, name, config, count):
    ends, reached = run_campaign(simulator, name, config, 1000 * (seed - 1), count)
    assert_ends(name, config, ends)
    if name == "legal" and config in EXPECTED_OF:
        expected = EXPECTED_OF[config]
        print("corner cases, by the number of streams that reached them:")
        print("\n".join(f"{reached[case]:6} {case}" for case in sorted(expected)))
        assert expected <= set(reached), f"not reached: {sorted(expected - set(reached))}"


@pytest.mark.slow
@pytest.mark.parametrize("config", SWITCHED.values(), ids=SWITCHED)
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_stream_of_many_hangs_the_npu(simulator, seed, name, config):
    more = config == TINY or (config == TINY_INT4 and name == "legal")
    ends, reached = run_campaign(simulator, name, config, 1000 * (seed - 1) + 100_000, (MORE if more else MANY)[name])
    assert_ends(name, config, ends)
    if name == "legal":
        assert {opcode.name for opcode in EXECUTE & opcodes(config.int4, config.interpolation)} <= set(reached), reached


def test_the_campaigns_of_test_all_mutate_two_thousand_streams():
    mutating = [name for name in CAMPAIGNS if name != "legal"]
    assert sum((MORE if config == TINY else MANY)[name] for name in mutating for config in SWITCHED.values()) >= 2000


def test_a_softmax_of_bytes_that_nobody_wrote_is_not_compared():
    """Of equal bytes it makes the same, whatever they are; of others it does not."""
    softmax = execute(Opcode.SOFTMAX, loops={"taps_x": 1, "last_cols": 1}, input={"pad_value": 0})
    table, rows = weights(row_bytes=TINY.weight_bytes), transfer(Opcode.LOAD, row_bytes=TINY.act_bytes // 16)
    stream, store = stream_with(softmax), transfer(Opcode.STORE, sram_address=4096, row_bytes=25, ddr_offset=1024)
    assert verdict(replace(stream, commands=in_order([table, rows, softmax, store]))).sure
    assert not verdict(replace(stream, commands=in_order([table, softmax, store]))).sure
