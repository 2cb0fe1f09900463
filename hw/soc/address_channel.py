"""Address channel: which master's burst goes next, to the port's AR or AW."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.axi import address_layout
from hw.soc.axi import QOS_HIGHEST, port_address_layout
from hw.soc.fabric_settings import AGE_BITS, fabric_settings
from hw.soc.grant_arbiter import GrantArbiter
from hw.soc.regulator import Regulator


class AddressChannel(wiring.Component):
    """One grant a cycle at most; the granted address is registered once and stands until the port takes it.

    The choice is `GrantArbiter`'s among the masters whose `Regulator` is open. It is made when the register is free, not before: who
    asks while an address waits for the port takes part. So what goes before the only master of the highest level, once it asks, is the
    address in the register and at most one grant to another.

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

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = self.arbiter
        port, free = self.port, Signal()
        m.d.comb += [
            free.eq((~port.valid | port.ready) & self.enable),
            arbiter.request.eq(Cat(master.valid for master in self.master)),
            arbiter.urgent.eq(self.urgent),
            arbiter.age_limit.eq(self.settings.age_limit),
            arbiter.take.eq(self.granted),
            self.granted.eq(arbiter.valid & free),
            self.owner.eq(arbiter.index),
        ]
        for number, master in enumerate(self.master):
            settings, chosen = self.settings.master[number], arbiter.one_hot[number]
            m.submodules[f"regulator_{number}"] = regulator = Regulator()
            m.d.comb += [
                arbiter.klass[number].eq(settings.klass),
                arbiter.allowed[number].eq(regulator.open),
                regulator.rate.eq(settings.rate),
                regulator.depth.eq(settings.depth),
                regulator.granted.eq(self.granted & chosen),
                regulator.beats.eq(self.beats),
                master.ready.eq(free & arbiter.valid & chosen),
            ]

        winner = Signal(self.master[0].payload.shape())
        offers = (
            Value.cast(master.payload) & arbiter.one_hot[number].replicate(len(winner.as_value()))
            for number, master in enumerate(self.master)
        )
        m.d.comb += [winner.eq(reduce(or_, offers)), self.beats.eq(winner.len + 1)]
        with m.If(port.ready):
            m.d.sync += port.valid.eq(0)
        with m.If(self.granted):
            m.d.sync += [
                port.valid.eq(1),
                port.payload.id.id.eq(winner.id),
                port.payload.id.master.eq(arbiter.index),
                port.payload.qos.eq(QOS_HIGHEST - arbiter.level),
            ]
            m.d.sync += [port.payload[name].eq(winner[name]) for name in ("addr", "len", "size", "burst")]
        return m
