"""Proofs of the gates: nothing waits for a master behind them, nothing is lost."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.soc.beat_buffer import BeatBuffer
from hw.soc.read_gate import ReadGate
from hw.soc.write_gate import WriteGate
from tests.formal.prove import prove, refute

WIDTHS = {"address_bits": 12, "data_bits": 8}


def free(m, proof, dut):
    """The inputs of a design are those of the proof, which has its signature: free, unless something is assumed."""
    for path, member, inside in dut.signature.flatten(dut):
        outside = proof
        for step in path:
            outside = outside[step] if isinstance(step, int) else getattr(outside, step)
        target, source = (inside, outside) if member.flow == In else (outside, inside)
        m.d.comb += Value.cast(target).eq(Value.cast(source))


def moved(stream):
    """Expression: a payload passes in this cycle."""
    return stream.valid & stream.ready


def held(m, stream, *, payload=True):
    """Expression: an offer stands until it is taken."""
    waited, offered = Signal(), Signal.like(Value.cast(stream.payload))
    m.d.sync += [waited.eq(stream.valid & ~stream.ready), offered.eq(stream.payload)]
    return ~waited | (stream.valid & ((Value.cast(stream.payload) == offered) if payload else 1))


def counted(m, name, more, less):
    """A signal: how often ``more`` was, less how often ``less`` was; wide enough for what is asserted of it."""
    count = Signal(6, name=name)
    m.d.sync += count.eq(count + more - less)
    return count


class BeatBufferProof(wiring.Component):
    """One payload, any, is followed from its entry on: it leaves when those before it have left, and unchanged."""

    def __init__(self, depth=2, break_it=False):
        self.dut, self.break_it = BeatBuffer(1, depth=depth), break_it
        super().__init__(dict(self.dut.signature.members.items()) | {"mark": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        free(m, self, dut)
        inside, followed = counted(m, "inside", moved(dut.i), moved(dut.o)), Signal()
        before, value = Signal(4), Signal()
        with m.If(~followed & self.mark & moved(dut.i)):
            m.d.sync += [followed.eq(1), before.eq(inside - moved(dut.o)), value.eq(dut.i.payload)]
        with m.Elif(followed & moved(dut.o)):
            m.d.sync += [before.eq(before - 1), followed.eq(before != 0)]
        m.d.comb += [
            Assert(dut.level == inside),
            Assert(dut.i.ready | (inside >= dut.depth), "there is room for depth"),
            Assert(held(m, dut.o)),
            Assert(~(followed & dut.o.valid & (before == 0)) | (dut.o.payload == value)),
        ]
        if self.break_it:
            m.d.comb += Assert(inside <= dut.depth)
        return m


class ReadGateProof(wiring.Component):
    """A bus that answers what it was asked never waits; an address passes unchanged, and stands.

    What was asked for and has not come, what is in the buffer and the room are the depth at any time.
    """

    def __init__(self, depth=3, break_it=False):
        self.dut, self.break_it = ReadGate(**WIDTHS, depth=depth), break_it
        super().__init__(self.dut.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        free(m, self, dut)
        ar, r = dut.port.ar, dut.port.r
        coming = counted(m, "coming", Mux(moved(ar), ar.payload.len + 1, 0), moved(r))
        m.d.comb += [
            Assume(held(m, dut.master.ar)),
            Assume(~r.valid | (coming != 0)),
            Assert(dut.room + dut.buffered + coming == dut.depth),
            Assert(~r.valid | r.ready, "R never waits"),
            Assert(~ar.valid | (ar.payload.len < dut.depth), "no burst that is longer than the room"),
            Assert(moved(ar) == moved(dut.master.ar)),
            Assert(~ar.valid | (Value.cast(ar.payload) == Value.cast(dut.master.ar.payload))),
            Assert(held(m, ar)),
        ]
        if self.break_it:
            m.d.comb += Assert((dut.room != 0) | (coming != 0))
        return m


class WriteGateProof(wiring.Component):
    """An address goes when its beats are here; from then on W and B wait for nobody.

    The bus takes beats of accepted addresses only, and answers bursts whose beats it has. ``lasts`` are the last-flags of the beats in
    the buffer, the oldest in bit 0; that they leave in this order is `BeatBufferProof`'s claim, and taken as known here.
    """

    def __init__(self, depth=3, bursts=3, outstanding=3, break_it=False):
        self.dut, self.break_it = WriteGate(**WIDTHS, depth=depth, bursts=bursts, outstanding=outstanding), break_it
        super().__init__(self.dut.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        free(m, self, dut)
        aw, w, b = dut.port.aw, dut.port.w, dut.port.b
        addresses, beats, responses = dut.levels
        ended = moved(w) & w.payload.last
        claimed = counted(m, "claimed", moved(aw), ended)
        unanswered = counted(m, "unanswered", ended, moved(b))
        lasts = Signal(dut.depth + 1)
        entering = (moved(dut.master.w) & dut.master.w.payload.last) << (beats - moved(w))[:4]
        m.d.sync += lasts.eq((lasts >> moved(w)) | entering)
        here = sum(lasts[i] for i in range(len(lasts)))
        m.d.comb += [
            Assume(~w.valid | (w.payload.last == lasts[0])),
            Assume(~w.ready | (claimed != 0)),
            Assume(~b.valid | (unanswered != 0)),
            Assert((lasts >> beats) == 0),
            Assert(here == dut.whole + claimed, "the bursts that are whole were granted, or may go"),
            Assert(~aw.valid | (here > claimed), "no address before its data"),
            Assert((claimed == 0) | w.valid, "W never waits"),
            Assert(dut.room + responses + claimed + unanswered == dut.outstanding),
            Assert(~b.valid | b.ready, "B never waits"),
            Assert(held(m, aw, payload=False)),
            Assert(addresses == counted(m, "addresses", moved(dut.master.aw), moved(aw))),
            Assert(beats == counted(m, "beats", moved(dut.master.w), moved(w))),
            Assert(responses == counted(m, "responses", moved(b), moved(dut.master.b))),
        ]
        if self.break_it:
            m.d.comb += Assert(here <= 2)
        return m


@pytest.mark.parametrize(("proof", "depth"), [(ReadGateProof, 3), (WriteGateProof, 3)])
def test_gates_are_proven(proof, depth, tmp_path):
    prove(proof(), tmp_path, depth=depth)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_buffer_keeps_order_and_payloads_for_the_first_cycles(depth, tmp_path):
    """Its memory is too much state for an induction; in these cycles it wraps round more than once."""
    prove(BeatBufferProof(depth=depth), tmp_path, depth=9, mode="bmc")


@pytest.mark.parametrize("proof", [BeatBufferProof, ReadGateProof, WriteGateProof])
def test_the_proof_reaches_states_and_can_fail(proof, tmp_path):
    refute(proof(break_it=True), tmp_path, depth=12)
