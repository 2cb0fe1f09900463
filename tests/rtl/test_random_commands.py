"""No stream of commands hangs the NPU: random, illegal and damaged streams end well or with an error, and the next job runs right."""

from collections import Counter

import pytest

from hw.npu.isa import Error
from tests.rtl.corners import EXPECTED_OF, corners
from tests.rtl.jobs import TINY, TINY_INT4, Session, assert_right
from tests.rtl.mutations import judge, random_ddr, with_a_late_wait, with_flipped_bits, with_random_bytes
from tests.rtl.networks import small_network
from tests.rtl.random_commands import legal_stream, legal_stream_of_two_widths

CAMPAIGNS = {  # name: (sentence, maker, streams in `make test`, streams in `make test-all`)
    "legal": ("random legal commands, waits as loose as hazards allow", legal_stream, 60, 300),
    "4-bit weights": (
        "random legal commands with weights of 4 and of 8 bits, on a NPU that knows both",
        legal_stream_of_two_widths,
        40,
        300,
    ),
    "late wait": ("one command waits for a later one, or forever", with_a_late_wait, 20, 150),
    "random bytes": ("one to three commands are random bytes", with_random_bytes, 40, 300),
    "flipped bits": ("one to three bits of a compiled stream are flipped", with_flipped_bits, 40, 300),
}
BATCH = 25
"""Streams of one process."""
LEGAL = {"legal": TINY, "4-bit weights": TINY_INT4}
"""Campaigns whose streams end well, and the NPU that they are for; the others are for `TINY` too."""


def run_campaign(simulator, name, first, count):
    """Streams ``first`` to ``first + count - 1`` of a campaign, the network behind each."""
    sentence, make, *_ = CAMPAIGNS[name]
    npu = simulator(LEGAL.get(name, TINY))
    ends, reached, sure = Counter(), Counter(), 0
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        session, streams = Session(npu, seed=start), [make(number) for number in numbers]
        for number, stream in zip(numbers, streams, strict=True):
            session.job.tune(random_ddr(number))
            session.add(stream)
            session.add(small_network(), area=1)
        outcomes = session.run()
        for number, stream, outcome, behind in zip(numbers, streams, outcomes[::2], outcomes[1::2], strict=True):
            what = f"campaign {name!r} ({sentence}), stream {number}"
            sure += judge(stream, outcome, what).sure
            ends[outcome.error.name] += 1
            if name in LEGAL:
                reached.update(corners(stream, outcome))
            assert_right(small_network(), behind, f"{what}: the network behind {outcome}")
    print(
        f"campaign {name!r}: {sentence}; streams {first} to {first + count - 1}: {sure} of {count} compared with the machine; ends: "
        + ", ".join(f"{count} {end}" for end, count in ends.most_common())
    )
    return ends, reached


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_stream_of_commands_hangs_the_npu(simulator, seed, name):
    ends, reached = run_campaign(simulator, name, 1000 * (seed - 1), CAMPAIGNS[name][2])
    if name in LEGAL:
        expected = EXPECTED_OF[LEGAL[name]]
        assert set(ends) == {"NONE"}
        print("corner cases, by the number of streams that reached them:")
        print("\n".join(f"{reached[case]:6} {case}" for case in sorted(expected)))
        assert expected <= set(reached), f"not reached: {sorted(expected - set(reached))}"
    if name == "late wait":
        assert set(ends) == {Error.DEADLOCK.name}


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_stream_of_many_hangs_the_npu(simulator, seed, name):
    run_campaign(simulator, name, 1000 * (seed - 1) + 100_000, CAMPAIGNS[name][3])
