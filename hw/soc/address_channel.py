"""Address channel: which master's burst goes next, to the port's AR or AW."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import address_layout
from hw.soc.axi import QOS_HIGHEST, port_address_layout
from hw.soc.fabric_settings import AGE_BITS, fabric_settings
from hw.soc.grant_arbiter import LEVELS, GrantArbiter, encode
from hw.soc.regulator import Regulator


class AddressChannel(wiring.Component):
    """A grant in `PERIOD` cycles at most; the granted address is registered once and stands until the port takes it.

    The choice is `GrantArbiter`'s among the masters whose `Regulator` is open and who asked in the cycle before; it is granted in the next
    cycle. It is made while nothing stands on ``port``, not before: who asks while an address waits for the port takes part. So an address
    stands on ``port`` three cycles after it was offered to an idle channel, and what goes before the only master of the highest level,
    once it asks, is the address in the register and at most one grant to another.

    ::

        master 0 --[regulator]--+
        master 1 --[regulator]--+--> arbiter --> register (id, master, qos) --> port
        ...                     |
                     enable ----+

    Parameters
    ----------
    masters : int
        2 to 16.
    address_bits : int
        Width of an address.

    Members
    -------
    master : In(stream of address_layout)
        AR or AW of each master.
    settings : In(fabric_settings)
        Classes, rates and age limit; may change at any time.
    urgent : In(masters)
        Bit i: master i goes first now.
    enable : In(1)
        An address may be granted.
    port : Out(stream of port_address_layout)
        AR or AW of the port.
    granted : Out(1)
        An address is granted in this cycle; it stands on ``port`` from the next one on.
    owner : Out(range(masters))
        Where ``granted``: whose.
    beats : Out(range(257))
        Where ``granted``: beats of the burst.
    """

    PERIOD = 4
    """Cycles from a choice to the next: the choice, its grant, the tokens that it takes, and who asks then."""

    def __init__(self, *, masters, address_bits):
        if not 2 <= masters <= 16:
            raise ValueError(f"AddressChannel masters must be 2 to 16, not {masters}")
        self.masters = masters
        super().__init__({
            "master": In(stream.Signature(address_layout(address_bits))).array(masters),
            "settings": In(fabric_settings(masters)),
            "urgent": In(masters),
            "enable": In(1),
            "port": Out(stream.Signature(port_address_layout(address_bits, masters))),
            "granted": Out(1),
            "owner": Out(range(masters)),
            "beats": Out(range(257)),
        })
        self.arbiter = GrantArbiter(masters=masters, age_bits=AGE_BITS)
        self.chosen = Signal(masters)
        self.level = Signal(range(LEVELS))
        """Who is granted now, and the level; nobody: 0."""
        self.spent = Signal(masters)
        self.spent_beats = Signal(range(257))
        """Who was granted in the cycle before, and the beats."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = self.arbiter
        port = self.port
        m.d.comb += [
            arbiter.request.eq(Cat(master.valid for master in self.master)),
            arbiter.urgent.eq(self.urgent),
            arbiter.age_limit.eq(self.settings.age_limit),
        ]
        self._choose(m)
        for number, master in enumerate(self.master):
            settings = self.settings.master[number]
            m.submodules[f"regulator_{number}"] = regulator = Regulator()
            m.d.comb += [
                arbiter.klass[number].eq(settings.klass),
                arbiter.allowed[number].eq(regulator.open),
                regulator.rate.eq(settings.rate),
                regulator.depth.eq(settings.depth),
                regulator.granted.eq(self.spent[number]),
                regulator.beats.eq(self.spent_beats),
                master.ready.eq(self.chosen[number]),
            ]

        winner = Signal(self.master[0].payload.shape())
        offers = (
            Value.cast(master.payload) & self.chosen[number].replicate(len(winner.as_value())) for number, master in enumerate(self.master)
        )
        m.d.comb += [winner.eq(reduce(or_, offers)), self.beats.eq(winner.len + 1)]
        with m.If(port.ready):
            m.d.sync += port.valid.eq(0)
        with m.If(self.granted):
            m.d.sync += [
                port.valid.eq(1),
                port.payload.id.id.eq(winner.id),
                port.payload.id.master.eq(self.owner),
                port.payload.qos.eq(QOS_HIGHEST - self.level),
            ]
            m.d.sync += [port.payload[name].eq(winner[name]) for name in ("addr", "len", "size", "burst")]
        return m

    def _choose(self, m):
        """The choice in registers, once in `PERIOD`: who is granted now and the level, who was granted before and the beats."""
        arbiter = self.arbiter
        free = Signal()
        resting = Signal(self.PERIOD - 1)
        m.d.comb += [
            free.eq(~self.port.valid & self.enable & (resting == 0)),
            arbiter.take.eq(free & arbiter.valid),
            self.granted.eq(resting[0]),
        ]
        m.d.sync += [
            resting.eq(Cat(arbiter.take, resting)),
            self.chosen.eq(arbiter.one_hot & arbiter.take.replicate(self.masters)),
            self.level.eq(arbiter.level),
            self.spent.eq(self.chosen),
            self.spent_beats.eq(self.beats),
        ]
        m.d.comb += self.owner.eq(encode(self.chosen))
