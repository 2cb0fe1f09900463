"""The arbiter without its registers: the shortest form of the rule, of which the proofs of priority and waits speak."""

from amaranth.hdl import Cat, Module

from hw.soc.grant_arbiter import CLASSES, GrantArbiter


class PlainArbiter(GrantArbiter):
    """Chooses as `GrantArbiter` does, but among those who ask in the same cycle, and whoever is passed over loses patience at once.

    `tests/formal/test_soc_arbiter.py` proves that `GrantArbiter` makes the choices of this one a cycle later.
    """

    def elaborate(self, platform):
        m = Module()
        m.submodules.first, m.submodules.late = self.first, self.late
        in_class = [Cat(klass == number for klass in self.klass) for number in range(CLASSES)]
        asks = self.request & self.allowed
        m.d.comb += [
            self.first.waiting.eq(asks & (self.urgent | (self.aged & in_class[0]))),
            self.late.waiting.eq(asks & ~self.urgent & self.aged & ~in_class[0]),
        ]
        for number, queue in enumerate(self.classes):
            m.submodules[f"class_{number}"] = queue
            m.d.comb += queue.waiting.eq(asks & ~self.urgent & ~self.aged & in_class[number])
        granted = self._choose(m, asks)
        for master, patience in enumerate(self.patience):
            with m.If(~self.request[master] | (granted & self.one_hot[master])):
                m.d.sync += [patience.eq(self.age_limit), self.aged[master].eq(0)]
            with m.Elif((patience == 0) & ~self.aged[master]):
                m.d.sync += patience.eq(self.age_limit)
            with m.Elif(granted & self.allowed[master] & (patience != 0)):
                m.d.sync += [patience.eq(patience - 1), self.aged[master].eq(patience == 1)]
        return m
