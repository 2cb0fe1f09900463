"""The gate against counts of what there is: a step leaves when it may, soon after it may, and never before."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from hw.npu.feed.feed_gate import FeedGate
from tests.streams import plain, simulate

LATENCY = 5
"""Of the array, cycles."""
COMMANDS = 80
PREPARED = 3
"""Cycles for which a command stands before it is active, and steps of the shortest tile."""
CYCLE_OLD = 2
"""Cycles after which the gate must have seen what there is."""


@dataclass
class Supply:
    """What there is in one cycle.

    Attributes
    ----------
    tokens : dict of str to int
        Completed commands of each queue.
    tiles, halves : int
        Tiles in the array of which no wave has left; free halves.
    quiet : int
        Cycles, with this one, since a step for the array was near.
    """

    tokens: dict
    tiles: int
    halves: int
    quiet: int


@dataclass
class Step:
    """A step that is to leave, and what belongs to its command."""

    command: dict
    first_pixel: bool = True
    last_pixel: bool = True
    first_tile: bool = True
    last_tile: bool = True
    regroups: bool = False
    flags: tuple = field(default=("first_pixel", "last_pixel", "first_tile", "last_tile", "regroups"), repr=False)

    def lacks(self, supply, *, carried, weights) -> dict[str, bool]:
        """The causes of `CAUSES` that hold it up, in their order; a first wave waits for weights where `weights` says so."""
        mine, waits = self.command, self.command["waits"]
        missing = {queue: (supply.tokens[queue] - waits[queue]) % 2**16 >= 2**15 for queue in waits}
        new_half = self.first_pixel and self.first_tile and not carried
        behind = 0 if mine["array"] else LATENCY + mine["partial_in"]
        behind = LATENCY + 1 if self.regroups else behind
        return {
            "ddr_read": missing["load"],
            "ddr_write": missing["store"],
            "activations": missing["exec"],
            "output": (new_half and not supply.halves) or supply.quiet < behind,
            "weights": weights and self.first_pixel and supply.tiles <= 0,
        }


def commands(rng):
    """Lists of steps, one a command."""
    partial_in, counts = False, dict.fromkeys(("load", "exec", "store"), 2**16 - 20)
    for number in range(COMMANDS):
        kind = rng.choice(("vector", "matmul", "depthwise"))
        partial_out = number < COMMANDS - 1 and rng.random() < 0.3
        for queue in counts:
            counts[queue] += rng.choice((0, 0, 1, 3))
        command = {
            "array": kind != "vector",
            "streams": kind == "depthwise",
            "partial_in": partial_in,
            "partial_out": partial_out,
            "waits": {queue: count % 2**16 for queue, count in counts.items()},
        }
        jobs, tiles = 1 if partial_in or partial_out else rng.randint(1, 2), rng.randint(1, 3)
        waves = rng.randint(PREPARED, 5)
        regroups = kind == "depthwise" and rng.random() < 0.5
        yield [
            Step(command, wave == 0, wave == waves - 1, tile == 0, tile == tiles - 1, regroups and not (job or tile or wave))
            for job in range(jobs)
            for tile in range(tiles)
            for wave in range(waves)
        ]
        partial_in = partial_out


class GateBench:
    """Offers steps to a gate, and gives it tokens, tiles and halves as an NPU could."""

    def __init__(self, rng):
        self.rng = rng
        self.dut = FeedGate(array_latency=LATENCY)
        self.supply = Supply(dict.fromkeys(("load", "exec", "store"), 2**16 - 20), 0, 2, LATENCY + 1)
        self.history, self.causes = [self.supply] * CYCLE_OLD, Counter()
        self.carried, self.done_jobs, self.left = False, 0, []  # jobs whose half may be read out; cycles in which array steps left
        self.prompt = 0

    async def run(self, ctx):
        for steps in commands(self.rng):
            for _ in range(self.rng.randint(PREPARED, 6)):
                await self._cycle(ctx, steps[0], active=False)
            for step in steps:
                while not await self._cycle(ctx, step, active=True):
                    pass

    async def _cycle(self, ctx, step, *, active):
        """One cycle, in which the step stands at the gate; gives whether it left."""
        dut, mine, rng, now = self.dut, step.command, self.rng, len(self.history)
        near = any(leaves + 1 < now <= leaves + 1 + stays for leaves, stays in self.left[-6:])
        self.supply.quiet = 0 if near else self.supply.quiet + 1
        loaded, freed = self.supply.tiles < 2 and rng.random() < 0.3, self.done_jobs > 0 and rng.random() < 0.2
        ctx.set(dut.tokens, {queue: count % 2**16 for queue, count in self.supply.tokens.items()})
        ctx.set(dut.header, {f"wait_{queue}": count for queue, count in mine["waits"].items()})
        for name in ("array", "partial_in", "partial_out", "streams"):
            ctx.set(getattr(dut, name), mine[name])
        for name in step.flags:
            ctx.set(getattr(dut, name), getattr(step, name))
        for name, value in (("active", active), ("array_near", near), ("tile_loaded", loaded), ("half_free", freed)):
            ctx.set(getattr(dut, name), value)
        seen = Supply(dict(self.supply.tokens), self.supply.tiles, self.supply.halves, self.supply.quiet)
        self.history.append(seen)
        is_open = ctx.get(dut.open)
        self._check(ctx, step, active, is_open)
        leaves = bool(active and (is_open or not step.first_pixel) and rng.random() < 0.8)
        ctx.set(dut.leaves, leaves)
        await ctx.tick()
        self._count(step, leaves, loaded, freed, now)
        return leaves

    def _check(self, ctx, step, active, is_open):
        """The gate is open soon after nothing lacks, for first waves."""
        dut, weights = self.dut, step.command["streams"]
        lacking = [step.lacks(supply, carried=self.carried, weights=weights) for supply in self.history[-1 - CYCLE_OLD :]]
        causes = [name for name, holds in plain(ctx.get(dut.cause)).items() if holds]
        here = f"cycle {len(self.history)}: {step}, {self.history[-1]}, open {is_open}, cause {causes}"
        self.causes.update(causes)
        if not active:
            assert causes == ["command"], here
            return
        assert len(causes) == (not is_open), here
        if step.first_pixel:
            assert not (is_open and any(lacking[-1].values())), here
            assert is_open or any(any(lacks.values()) for lacks in lacking), here
            self.prompt += is_open and not any(any(lacks.values()) for lacks in lacking)
            assert is_open or any(lacks[causes[0]] for lacks in lacking), here

    def _count(self, step, leaves, loaded, freed, now):
        """What the cycle took and gave."""
        supply, mine = self.supply, step.command
        first = leaves and step.first_pixel
        supply.tiles += loaded - (first and mine["array"])
        supply.halves += freed - (first and step.first_tile and not self.carried)
        self.done_jobs -= freed
        if leaves and step.last_pixel and step.last_tile:
            self.carried = mine["partial_out"]
            self.done_jobs += not mine["partial_out"]
        if leaves and mine["array"]:
            self.left.append((now, self.rng.randint(1, 4)))
        for queue in supply.tokens:
            behind = (mine["waits"][queue] - supply.tokens[queue]) % 2**16 < 2**15
            supply.tokens[queue] += self.rng.random() < (0.3 if behind else 0.02)


@pytest.mark.parametrize("draw", range(2))
def test_a_step_leaves_when_all_is_there_and_not_before(draw, seed):
    bench = GateBench(random.Random(f"{seed} {draw}"))
    simulate(bench.dut, bench.run)
    assert all(bench.causes[name] > 5 for name in ("command", "ddr_read", "ddr_write", "activations", "output", "weights")), bench.causes
    assert bench.prompt > 50
