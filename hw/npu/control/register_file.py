"""Register file: a table of registers behind AXI4-Lite."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi_lite import LITE_BITS, RESP_OKAY, RESP_SLVERR, AxiLite
from hw.npu.interface.register_table import Access
from hw.npu.interface.registers import TABLE


class RegisterFile(wiring.Component):
    """Answers the host's reads and writes, one at a time each; a write takes two cycles at least, a read one.

    A write to an offset that is not in the table, or to a locked setting, changes nothing and answers SLVERR, as does a read
    of such an offset. Bytes without strobe keep their value. A field that is only read ignores writes.

    Parameters
    ----------
    values : dict of str to int
        Contents of the constant fields, by name (`hw.npu.interface.registers.constants`).
    table : RegisterTable
        The map: the NPU's if not given.

    Members
    -------
    bus : In(AxiLite)
        The host.
    settings : Out(table.layout(Access.SETTING))
        What the host has set.
    pulses : Out(table.layout(Access.PULSE))
        What it asks for: one cycle.
    status : In(table.layout(Access.STATUS))
        What the hardware shows it.
    events : In(table.layout(Access.EVENT))
        What happened: one cycle.
    irq : Out(1)
        An event that is enabled is not cleared.

    Raises
    ------
    ValueError
        If a constant field has no value, or a value no field.
    """

    def __init__(self, *, values, table=TABLE):
        constant, setting = table.fields_with(Access.CONSTANT), table.fields_with(Access.SETTING)
        if values.keys() != constant.keys():
            wrong = ", ".join(sorted(values.keys() ^ constant.keys()))
            raise ValueError(f"RegisterFile values must name the constant fields: {wrong} is missing or unknown")
        self.values, self.table = values, table
        super().__init__({
            "bus": In(AxiLite(address_bits=table.map_bits)),
            "settings": Out(table.layout(Access.SETTING), init={name: field.reset for name, field in setting.items()}),
            "pulses": Out(table.layout(Access.PULSE)),
            "status": In(table.layout(Access.STATUS)),
            "events": In(table.layout(Access.EVENT)),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        events = self.table.fields_with(Access.EVENT)
        happened = Signal(self.table.layout(Access.EVENT))
        for name in events:
            with m.If(self.events[name]):
                m.d.sync += happened[name].eq(1)
        enabled = [happened[name] & self.settings[name.replace("irq_", "irq_enable_")] for name in events]
        m.d.comb += self.irq.eq(reduce(or_, enabled))
        self._write(m, happened)
        self._read(m, happened)
        return m

    def _write(self, m, happened):
        """Address and data come in any order; when both are there, the register is written and the answer offered."""
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        go = aw.valid & w.valid & (~b.valid | b.ready)
        m.d.comb += [aw.ready.eq(go), w.ready.eq(go)]
        lanes = Cat(strobe.replicate(8) for strobe in w.payload.strb)
        answer = Signal(2)
        with m.If(go):
            m.d.sync += [b.valid.eq(1), b.payload.resp.eq(answer)]
        with m.Elif(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.Switch(aw.payload.addr[2:]):
            for register in self.table.registers:
                with m.Case(register.offset >> 2):
                    settable = any(field.access is Access.SETTING for field in register.fields)
                    lockable = self.table.lock and settable and register.name not in self.table.unlocked
                    locked = self.status[self.table.lock] if lockable else Const(0)
                    m.d.comb += answer.eq(Mux(locked, RESP_SLVERR, RESP_OKAY))
                    with m.If(go & ~locked):
                        for field in register.fields:
                            self._write_field(m, field, w.payload.data, lanes, happened)
            with m.Default():
                m.d.comb += answer.eq(RESP_SLVERR)

    def _write_field(self, m, field, value, lanes, happened):
        """The effect of a write on one field."""
        part = slice(field.bit, field.bit + field.width)
        if field.access is Access.SETTING:
            now = self.settings[field.name]
            m.d.sync += now.eq((now & ~lanes[part]) | (value[part] & lanes[part]))
        elif field.access is Access.PULSE:
            m.d.comb += self.pulses[field.name].eq(value[part] & lanes[part])
        elif field.access is Access.EVENT:
            now = happened[field.name]
            m.d.sync += now.eq((now & ~(value[part] & lanes[part])) | self.events[field.name])

    def _read(self, m, happened):
        """The register is read in the cycle in which the address is accepted."""
        ar, r = self.bus.ar, self.bus.r
        value = Signal(LITE_BITS)
        answer = Signal(2)
        m.d.comb += ar.ready.eq(~r.valid | r.ready)
        with m.If(ar.valid & ar.ready):
            m.d.sync += [r.valid.eq(1), r.payload.data.eq(value), r.payload.resp.eq(answer)]
        with m.Elif(r.ready):
            m.d.sync += r.valid.eq(0)
        sources = {
            Access.CONSTANT: lambda field: self.values[field.name],
            Access.STATUS: lambda field: self.status[field.name],
            Access.SETTING: lambda field: self.settings[field.name],
            Access.EVENT: lambda field: happened[field.name],
            Access.PULSE: lambda field: 0,
        }
        with m.Switch(ar.payload.addr[2:]):
            for register in self.table.registers:
                with m.Case(register.offset >> 2):
                    for field in register.fields:
                        m.d.comb += value[field.bit : field.bit + field.width].eq(sources[field.access](field))
            with m.Default():
                m.d.comb += answer.eq(RESP_SLVERR)
