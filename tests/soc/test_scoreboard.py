"""The fabrics between four random masters and a memory that keeps no more order than AXI asks for (`tests/soc/scoreboard`)."""

import functools
import subprocess
from pathlib import Path

import pytest

from hw.emit.emit import emit_verilog
from sim.build import BuildOptions, build
from tests.soc.fabric_top import FabricTop

LONGEST = [16, 32, 64, 256]
"""Beats of each master's longest burst, and of its gates."""
DEPTH = 4
"""Of the write fabric."""


@functools.cache
def bench():
    verilog = emit_verilog(FabricTop(gates=LONGEST, depth=DEPTH), "fabric")
    return build(verilog, BuildOptions("quick"), top="fabric", main=Path(__file__).parent / "scoreboard" / "main.cpp")


def run(mode, seed, transactions):
    """Figures of a run that found nothing lost, doubled, corrupted or out of order."""
    command = [bench(), mode, str(seed), str(transactions), *map(str, LONGEST)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{mode}, seed {seed}, {transactions} transactions: {done.stderr}"
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.parametrize("number", range(4))
def test_random_traffic_arrives_whole_and_in_order(number, seed):
    figures = run("random", 1000 * number + seed, 5000)
    assert figures["transactions"] == 5000 and min(figures["reads"], figures["writes"]) > 1000


@pytest.mark.slow
def test_a_million_transactions_arrive_whole_and_in_order(seed):
    figures = [run("random", 1_000_000 + 100 * seed + number, 100_000) for number in range(10)]
    assert sum(figure["transactions"] for figure in figures) == 1_000_000
    assert max(figure["read_front_wait"] for figure in figures) == max(figure["write_front_wait"] for figure in figures) == 2


@pytest.mark.parametrize(("mode", "busy"), [("reads", ["read_busy"]), ("writes", ["write_busy"]), ("both", ["read_busy", "write_busy"])])
def test_the_port_is_busy_while_there_is_demand(mode, busy, seed):
    figures = run(mode, seed, 10_000)
    assert all(figures[name] > 0.99 for name in busy), figures


def test_one_master_alone_keeps_the_port_busy(seed):
    """Its gates hold 256 beats: the memory's latency and a burst more."""
    figures = run("alone", seed, 10_000)
    assert min(figures["read_busy"], figures["write_busy"]) > 0.99, figures


def test_the_highest_class_waits_for_one_burst_of_another(seed):
    """Master 0 asks now and then, the others always, for bursts of up to 256 beats. Before its address the port takes one of theirs at
    most, which was granted before it asked; on W it waits for that burst, and for what was left of the one before at its grant.
    """
    figures = run("priority", seed, 10_000)
    assert figures["read_front_wait"] == figures["write_front_wait"] == 0, "without ageing no other is granted first"
    assert figures["read_port_wait"] == 1 and figures["write_port_wait"] <= 1, "AR waits for a slow port, AW for beats"
    assert max(LONGEST) - DEPTH <= figures["w_wait"] <= max(LONGEST) + DEPTH + 5, figures
    assert min(figures["read_busy"], figures["write_busy"]) > 0.95, figures
