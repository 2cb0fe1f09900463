"""The DDR timing model: what one access costs, what many cost, and the data sheet's rules under random traffic.

Expected clocks are the data sheet's nanoseconds times the clock, written out here.
"""

import itertools
import math
import re
import shutil
from fractions import Fraction

import pytest

from sim.build import HARNESS
from sim.dram import WORDS, load_dram, presets
from tests.sim.dram_bench import ACT, BUS_PS, PRE, PREA, RD, REF, WR, WRM, DramBench, Request, compile_main

SHEET = {
    # clocks, but tck in picoseconds:   18 ns / 0.625 ns = 28.8; 18; 21 ns; 42 ns
    "lpddr4-3200-x16": {"tck": Fraction(625), "rcd": 29, "rp": 29, "rp_all": 34, "ras": 68, "cl": 28, "cwl": 14, "half": 8, "dqsck": 3500},
    "lpddr4-3200-x32": {"tck": Fraction(625), "rcd": 29, "rp": 29, "rp_all": 34, "ras": 68, "cl": 28, "cwl": 14, "half": 8, "dqsck": 3500},
    "ddr3-1600-x16": {"tck": Fraction(1250), "rcd": 11, "rp": 11, "rp_all": 11, "ras": 28, "cl": 11, "cwl": 8, "half": 4, "dqsck": 0},
    "ddr4-2400-x32": {"tck": Fraction(2500, 3), "rcd": 17, "rp": 17, "rp_all": 17, "ras": 39, "cl": 17, "cwl": 12, "half": 4, "dqsck": 0},
}
FRONT = BACK = 10_000
"""Picoseconds."""


@pytest.fixture(scope="module")
def executable():
    return compile_main()


@pytest.fixture
def bench(executable, tmp_path):
    return DramBench(executable, tmp_path)


def quiet(config):
    """Without refresh during a short test."""
    return config.replace(refi=100_000.0)


def gaps(clocks):
    return [later - earlier for earlier, later in itertools.pairwise(clocks)]


def arrival(accepted, tck):
    """The clock at which an address taken in a cycle is in the queue: the cycle's end and the front's latency."""
    return math.ceil(((accepted + 1) * BUS_PS + FRONT) / tck)


def on_bus(clock, sheet):
    """The cycle in which the data of a read command are offered."""
    return math.ceil((math.floor((clock + sheet["cl"] + sheet["half"]) * sheet["tck"]) + sheet["dqsck"] + BACK) / BUS_PS)


def other_row(config, rows=1):
    """Distance of an address in the same bank and column, another row."""
    return rows * config.row_bytes * config.banks


def test_the_harness_has_the_words_of_the_parameters_in_their_order():
    text = (HARNESS / "dram_device.h").read_text()
    fields = re.findall(r"uint32_t ([^;(){}]+);", re.search(r"struct DramConfig \{(.*?)\n\n", text, re.DOTALL)[1])
    assert tuple(name.strip() for line in fields for name in line.split(",")) == WORDS


def test_every_preset_has_a_row_in_the_sheet():
    assert set(SHEET) == set(presets())


@pytest.mark.parametrize("name", SHEET)
@pytest.mark.parametrize("start", [0, 1, 7])
def test_the_first_access_takes_the_sum_of_its_parameters(bench, name, start):
    sheet = SHEET[name]
    found = bench.script(load_dram(name), [Request(start, "R", 0x1000, 16)])
    activate = arrival(start, sheet["tck"])
    assert [(c.op, c.clock) for c in found.commands] == [(ACT, activate), (RD, activate + sheet["rcd"])]
    cycle = on_bus(activate + sheet["rcd"], sheet)
    assert found.transactions == [(start, cycle, cycle, 0)]


@pytest.mark.parametrize("name", SHEET)
def test_a_hit_needs_no_command_more_a_conflict_needs_two(bench, name):
    sheet, config = SHEET[name], quiet(load_dram(name))
    found = bench.script(config, [Request(0, "R", 0, 16), Request(300, "R", 16, 16), Request(600, "R", other_row(config), 16)])
    miss, hit, conflict = (arrival(cycle, sheet["tck"]) for cycle in (0, 300, 600))
    assert [(c.op, c.clock) for c in found.commands] == [
        (ACT, miss),
        (RD, miss + sheet["rcd"]),
        (RD, hit),
        (PRE, conflict),
        (ACT, conflict + sheet["rp"]),
        (RD, conflict + sheet["rp"] + sheet["rcd"]),
    ]
    assert found.transactions[1].first == on_bus(hit, sheet)
    assert found.transactions[2].first == on_bus(conflict + sheet["rp"] + sheet["rcd"], sheet)
    assert [found.statistics[kind] for kind in ("hits", "misses", "conflicts")] == [1, 1, 1]


def banks_in_turn(config, number):
    """Address in the next bank each time; the groups take turns."""
    groups = config.groups
    return number // groups * config.bank_interleave + number % groups * config.group_interleave


@pytest.mark.parametrize(
    ("name", "one_group", "expected"),
    [
        # 10 ns = 16 clocks; each second activate would fall into the four clocks of the read 29 clocks after the one before the last
        ("lpddr4-3200-x16", False, [16, 17, 16, 17, 16]),
        ("ddr3-1600-x16", False, [6, 6, 6, 14, 6]),  # 7.5 ns; 40 ns = 32 clocks for four
        ("ddr4-2400-x32", True, [8, 8, 8]),  # the same group: 6.4 ns = 7.7 clocks
        ("ddr4-2400-x32", False, [7, 7, 7, 15, 7]),  # another group: 5.3 ns = 6.4 clocks; 30 ns = 36 clocks for four
    ],
)
def test_activates_keep_their_distance(bench, name, one_group, expected):
    config = load_dram(name)
    addresses = [n * config.bank_interleave if one_group else banks_in_turn(config, n) for n in range(len(expected) + 1)]
    found = bench.script(config, [Request(0, "R", address, 16, id=n) for n, address in enumerate(addresses)])
    assert gaps(found.clocks(ACT)) == expected


@pytest.mark.parametrize(("name", "period"), [("lpddr4-3200-x16", 68 + 29), ("ddr3-1600-x16", 39), ("ddr4-2400-x32", 56)])
def test_rows_of_one_bank_follow_each_other_at_their_cycle_time(bench, name, period):
    """The tRC of 60, 48.75 and 46.16 ns; LPDDR4: 96 clocks, but tRAS and tRPpb are 68 and 29 when rounded up one by one."""
    config = load_dram(name)
    found = bench.script(config, [Request(0, "R", other_row(config, n), 16) for n in range(40)])
    assert set(gaps(found.clocks(ACT))) == {period}
    assert found.statistics["conflicts"] == 39


@pytest.mark.parametrize(("name", "four"), [("lpddr4-3200-x16", 66), ("ddr3-1600-x16", 32), ("ddr4-2400-x32", 36)])
def test_new_rows_everywhere_are_bound_by_four_activates_in_a_window(bench, name, four):
    """A row for each read, all banks in turn: tFAW; for LPDDR4 two clocks more, since reads hold the command bus."""
    config = load_dram(name)
    addresses = [banks_in_turn(config, n % 8) + other_row(config, n // 8) for n in range(80)]
    clocks = bench.script(config, [Request(0, "R", address, 16, id=n % 16) for n, address in enumerate(addresses)]).clocks(ACT)
    assert len(clocks) == 80
    windows = [late - early for early, late in zip(clocks[8:], clocks[12:])]
    assert sum(windows) / len(windows) == pytest.approx(four, rel=0.02)


@pytest.mark.parametrize(("name", "interval"), [("lpddr4-3200-x16", 6246), ("ddr3-1600-x16", 6240), ("ddr4-2400-x32", 9360)])
def test_refresh_comes_every_interval(bench, name, interval):
    found = bench.script(load_dram(name), [Request(60_000, "R", 0, 16)])
    clocks = found.clocks(REF)
    assert clocks == [interval * (n + 1) for n in range(len(clocks))]
    assert len(clocks) == int(60_000 * BUS_PS / SHEET[name]["tck"]) // interval


@pytest.mark.parametrize(
    ("name", "interval", "duration"), [("lpddr4-3200-x16", 6246, 448), ("ddr3-1600-x16", 6240, 208), ("ddr4-2400-x32", 9360, 312)]
)
def test_an_access_during_refresh_waits_for_its_end(bench, name, interval, duration):
    cycle = math.ceil(interval * SHEET[name]["tck"] / BUS_PS) - 4  # in the queue 10 ns later
    found = bench.script(load_dram(name), [Request(0, "R", 0, 16), Request(cycle, "R", 0, 16)])
    close = interval + SHEET[name]["rp_all"]
    assert [(c.op, c.clock) for c in found.commands[2:5]] == [(PREA, interval), (REF, close), (ACT, close + duration)]


def stream(config, bursts, beat):
    return [Request(0, "R", n * 256 % (4 << 20), 256, id=n % 4) for n in range(bursts)]


@pytest.mark.parametrize(
    ("name", "duration", "interval"),
    [("lpddr4-3200-x16", 280, 3904), ("lpddr4-3200-x32", 280, 3904), ("ddr3-1600-x16", 260, 7800), ("ddr4-2400-x32", 260, 7800)],
)
def test_a_stream_of_reads_reaches_the_peak_but_for_refresh(bench, name, duration, interval):
    config = load_dram(name)
    found = bench.script(config, stream(config, 6000, 32), beat=32)
    took = (found.transactions[-1].last - found.transactions[0].first) * BUS_PS * 1e-12
    share = 6000 * 256 / took / config.peak_bytes_per_second
    # Around a refresh the bus also waits for tRTP (or BL/2), tRPab and tRCD.
    sheet = SHEET[name]
    around = max(Fraction(7500), 8 * sheet["tck"] if "lp" in name else 0) / 1000 + (sheet["rp_all"] + sheet["rcd"]) * sheet["tck"] / 1000
    assert share == pytest.approx(1 - (duration + float(around)) / interval, rel=0.004)
    assert share == pytest.approx(1 - duration / interval, rel=0.01 if interval == 7800 else 0.0125)
    assert share * 1.001 >= found.statistics["busy"] / found.statistics["pending"] >= share * 0.999


@pytest.mark.parametrize(
    ("name", "to_write", "to_read"),
    [
        ("lpddr4-3200-x16", 28 + 6 + 8 + 2 - 14, 14 + 1 + 8 + 16),  # RL + RU(3.5 ns) + BL/2 + tWPRE - WL; WL + 1 + BL/2 + 10 ns
        ("ddr3-1600-x16", 11 + 4 + 2 - 8, 8 + 4 + 6),  # RL + tCCD + 2 - WL; WL + BL/2 + 7.5 ns
        ("ddr4-2400-x32", 17 + 4 + 2 - 12, 12 + 4 + 9),  # the same group: 7.5 ns
    ],
)
def test_the_data_bus_turns_round(bench, name, to_write, to_read):
    config = quiet(load_dram(name)).replace(write_high=1, write_low=0, turn=1)
    unit = config.burst_bytes * config.groups
    requests = [Request(0, "R", 0, config.burst_bytes)]
    requests += [
        Request(200, "RW"[n % 2], n * unit % config.group_interleave if config.groups == 1 else n * unit, config.burst_bytes, id=n)
        for n in range(8)
    ]
    data = [(c.op, c.clock) for c in bench.script(config, requests).commands if c.op in (RD, WR)][1:]
    turns = {(a[0], b[0]): b[1] - a[1] for a, b in itertools.pairwise(data) if a[0] != b[0]}
    assert turns == {(RD, WR): to_write, (WR, RD): to_read}


def test_a_write_is_answered_when_its_data_are_queued(bench):
    found = bench.script(load_dram("lpddr4-3200-x16"), [Request(0, "W", 0, 64)])
    assert found.transactions[0].last == 0 + 4 + 9, "four beats from cycle 1; the answer 10 ns after the edge"


def test_a_write_of_less_than_a_burst_is_masked_and_the_next_waits(bench):
    """JEDEC JESD209-4: 4 x tCCD = 32 clocks to a masked write of the same bank; a DDR4 masks without waiting."""
    writes = [Request(0, "W", 32 * n, 16) for n in range(4)]
    found = bench.script(load_dram("lpddr4-3200-x16"), writes)
    assert gaps(found.clocks(WRM)) == [32, 32, 32]
    other = bench.script(load_dram("ddr4-2400-x32"), writes)
    assert other.clocks(WRM) == [] and len(other.clocks(WR)) == 4


def test_many_short_writes_do_not_wait_for_the_end_of_the_reads(bench):
    """A beat each: the queue of bursts fills long before that of data, and is drained as well."""
    config = load_dram("lpddr4-3200-x16")
    reads = [Request(0, "R", 0x20000 + 256 * n, 256, id=1 + n % 3) for n in range(400)]
    writes = [Request(0, "W", 4096 * (n % 8) + 64 * n, 16) for n in range(4 * config.write_queue)]
    found = bench.script(config, [*reads, *writes]).transactions
    assert max(one.last for one in found[len(reads) :]) < found[len(reads) - 1].last / 2


def test_a_read_waits_for_the_queued_write_that_it_overlaps(bench):
    config = quiet(load_dram("lpddr4-3200-x16"))
    reads = [Request(0, "R", 0x10000 + 256 * n, 256, id=1) for n in range(12)]
    found = bench.script(config, [*reads, Request(0, "W", 0, 256), Request(60, "R", 128, 128)])
    written = {c[2:]: c.clock for c in found.commands if c.op == WR}
    read = {c[2:]: c.clock for c in found.commands if c.op == RD and c[2:] in written}
    assert len(written) == 8 and len(read) == 4
    assert found.transactions[12].last < 60, "the write was answered before the read came"
    assert all(written[place] < clock for place, clock in read.items())


def test_a_burst_of_another_id_overtakes_and_one_of_the_same_id_does_not(bench):
    config = quiet(load_dram("lpddr4-3200-x16"))
    opened = Request(0, "R", 0, 32, id=3)
    for number, overtakes in ((1, True), (0, False)):
        found = bench.script(config, [opened, Request(200, "R", other_row(config) + 256, 256, id=0), Request(200, "R", 64, 32, id=number)])
        assert (found.transactions[2].first < found.transactions[1].first) == overtakes


def test_a_higher_qos_goes_first(bench):
    config = quiet(load_dram("lpddr4-3200-x16"))
    low = [Request(0, "R", 4096 * n, 2048, id=n % 4) for n in range(8)]
    waits = {}
    for qos in (0, 15):
        found = bench.script(config, [*low, Request(100, "R", 0x40000, 64, id=4, qos=qos)])
        waits[qos] = found.transactions[8].last - found.transactions[8].accepted
    # The burst whose beats are on the bus goes on: at most 2048 bytes at 6.4 GB/s, then a row of its own.
    assert waits[15] * BUS_PS <= 320_000 + FRONT + BACK + 3500 + (97 + 29 + 28 + 8) * 625
    assert waits[0] > 5 * waits[15]


@pytest.mark.parametrize("limit", [500.0, 4000.0])
def test_no_burst_starves(bench, limit):
    config = quiet(load_dram("lpddr4-3200-x16")).replace(starvation_ns=limit)
    high = [Request(0, "R", 256 * n, 256, id=4, qos=15) for n in range(400)]
    found = bench.script(config, [*high[:8], Request(0, "R", 0x80000 + 2048, 64, qos=0), *high[8:]])
    low = found.transactions[8]
    waited = (low.last - low.accepted) * BUS_PS / 1000
    assert limit <= waited <= limit + 40 + 300, "one burst's time, its own access and the latencies behind the limit"


def test_reads_and_writes_without_end_share_the_time(bench):
    config = load_dram("lpddr4-3200-x16")
    requests = [Request(0, way, (0 if way == "R" else 1 << 20) + 256 * n, 256, id=n % 4) for n in range(2000) for way in "RW"]
    found = bench.script(config, requests)
    ends = {way: max(t.last for r, t in zip(requests, found.transactions) if r.way == way) for way in "RW"}
    assert ends["R"] / ends["W"] == pytest.approx(1, abs=0.1)
    assert found.statistics["turnarounds"] == pytest.approx(2 * 16000 / 32, rel=0.05), "a turn is 32 bursts of the SDRAM"


@pytest.mark.parametrize(("policy", "after"), [("closed", 29 + 68 - 29), ("timeout", 29 + 160)])
def test_an_unwanted_row_is_closed(bench, policy, after):
    """Closed: tRAS after the activate. Timeout: 100 ns = 160 clocks after the read."""
    config = quiet(load_dram("lpddr4-3200-x16")).replace(page_policy=policy, page_timeout_ns=100.0)
    found = bench.script(config, [Request(0, "R", 0, 32), Request(500, "R", 0, 32)])
    activate, close = found.clocks(ACT)[0], found.clocks(PRE)[0]
    assert close - activate == after
    assert found.statistics["misses"] == 2


def test_refreshes_are_postponed_while_there_is_work(bench):
    config = load_dram("lpddr4-3200-x16").replace(postpone=8)
    found = bench.script(config, stream(config, 2200, 16))  # 88 us of data, with 22 intervals
    clocks = found.clocks(REF)
    assert clocks[0] >= 9 * 6246 and clocks[0] < 9 * 6246 + 100
    assert found.statistics["refreshes"] == pytest.approx(found.statistics["clocks"] // 6246, abs=9)


def test_bytes_are_counted_by_master_and_time(bench):
    config = load_dram("lpddr4-3200-x16")
    found = bench.script(config, [Request(0, "R", 0, 256, id=4), Request(0, "W", 4096, 512, id=13), Request(1500, "R", 0, 64, id=6)])
    assert found.masters == {1: (320, 0), 3: (0, 512)}
    assert found.bins == {(0, 1): (256, 0), (0, 3): (0, 512), (1, 1): (64, 0)}


def test_bursts_beyond_memory_are_decode_errors(bench):
    config = load_dram("lpddr4-3200-x16")
    requests = [Request(0, "R", 1 << 20, 256), Request(0, "W", 1 << 20, 64), Request(0, "R", 0, 64), Request(0, "W", 0, 64)]
    found = bench.script(config, requests, memory=1 << 20)
    assert [t.resp for t in found.transactions] == [3, 3, 0, 0]
    assert found.statistics["reads"] == 2 and found.statistics["writes"] == 2


VARIANTS = {
    "as it is": {},
    "closed": {"page_policy": "closed"},
    "timeout": {"page_policy": "timeout", "page_timeout_ns": 50.0},
    "hash": {"bank_hash": True},
    "postpone": {"postpone": 8},
    "smallest queues": {"read_queue": 1, "write_queue": 1, "write_buffer": 1, "write_high": 1, "write_low": 0, "turn": 1},
    "half the width": {"width": 8},
    "hasty": {"starvation_ns": 0.0, "write_idle_ns": 0.0, "front_ns": 0.0, "back_ns": 0.0},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SHEET)
def test_random_traffic_keeps_data_order_and_every_limit(bench, name, variant, seed):
    config = load_dram(name).replace(**VARIANTS[variant])
    for beat, kib in ((16, 4096), (32, 16), (8, 256)):
        found = bench.run(config, "random", seed, 40_000, kib, beat=beat)
        bursts, _, beats, _, commands = found.words["R"][1:]
        assert int(bursts) > 50 and int(beats) > 50 and int(commands) > 1000


TIGHT = {
    "lpddr4-3200-x16": "rcd rp rp_all ras rrd_l faw ccd_l ccd_masked wr wtr_l rtp rfc dqsck cl rtw_gap dqss ppd "
    "act_clocks cas_clocks pre_clocks",
    "ddr3-1600-x16": "rcd rp ras rc rrd_l faw ccd_l wr wtr_l rtp rfc cl rtw_gap",
    "ddr4-2400-x32": "rcd rp rp_all ras rc rrd_s rrd_l faw ccd_s ccd_l wr wtr_s wtr_l rtp rfc cl rtw_gap",
}


@pytest.mark.parametrize(("name", "limit"), [(name, limit) for name, all_limits in TIGHT.items() for limit in all_limits.split()])
def test_a_limit_one_clock_longer_is_broken(bench, name, limit):
    """So each limit is met exactly by some command, and the checker sees one that is a clock too early."""
    config = load_dram(name)
    clocks = config.clocks(limit) if hasattr(getattr(config, limit), "ns") else getattr(config, limit)
    longer = (0, clocks + 1) if limit != "dqsck" else (clocks * 625 + 1, 0)
    kib = 64 if limit == "wtr_s" else 4096  # a read finds its row open behind a write of another group
    done = bench.start(config, "random", 1, 200_000, kib, changed={limit: longer})
    names = {"cl": "dqsck", "rtw_gap": "dqsck", "dqss": "w"}
    assert done.returncode == 1 and done.stdout.startswith(names.get(limit, limit)), done.stdout[:200]


def test_a_refresh_that_comes_too_late_is_seen(bench):
    done = bench.start(load_dram("lpddr4-3200-x16"), "random", 1, 200_000, 4096, changed={"refi": (3_800_000, 0)})
    assert done.returncode == 1 and done.stdout.startswith("refi")


MUTANTS = {
    "the same id overtakes": ("dram.h", "!(word & bit) && ", "", "wrong data|RLAST|no command"),
    "data before they arrive": ("dram.h", "burst.done_ps[needed] <= now_ps_", "true", "in time"),
    "strobes ignored": ("dram.h", "if (w.strobe[i / 8] >> (i % 8) & 1) memory_", "memory_", "wrong data|memory differs"),
    "a row too early": ("dram_device.h", "b.cas = now + c_.rcd;", "b.cas = now + c_.rcd - 1;", "rcd"),
    "no window of four": ("dram_device.h", ", activates_[activates_at_] + c_.faw", "", "faw|rrd"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_model_is_found_out(tmp_path, mutant):
    file, old, new, message = MUTANTS[mutant]
    shutil.copytree(HARNESS, tmp_path / "harness")
    text = (tmp_path / "harness" / file).read_text()
    assert text.count(old) == 1
    (tmp_path / "harness" / file).write_text(text.replace(old, new))
    done = DramBench(compile_main(tmp_path / "harness", "-O0"), tmp_path).start(load_dram("ddr3-1600-x16"), "random", 1, 200_000, 4096)
    assert done.returncode == 1 and re.search(message, done.stdout), done.stdout[:300]


def test_the_model_is_fast_enough(bench):
    """Cycles of the bus in a second of CPU time: idle, a burst now and then, and more than the SDRAM can do."""
    for every, least in ((0, 5e6), (200, 5e6), (10, 1e6)):
        found = bench.run(load_dram("lpddr4-3200-x16"), "speed", 1_000_000, every)
        assert int(found.words["V"][0]) >= least
