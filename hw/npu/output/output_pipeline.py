"""The arithmetic of the output stage: from accumulators to the bytes that are written."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import Second
from hw.npu.output.requantize import REQUANTIZE, Requantize
from hw.npu.output.scale import Scale
from hw.npu.output.scale_turns import ScaleTurns
from hw.npu.output.second_operand import SECOND, SecondOperand, second_config
from hw.npu.output.table import ENTRIES, Table
from hw.npu.parts.delay import delayed
from hw.npu.parts.promise import promise

OUTPUT_CONFIG = data.StructLayout({
    "channel_bias": unsigned(1),
    "channel_scale": unsigned(1),
    "multiplier": signed(32),
    "left": unsigned(5),
    "right": unsigned(5),
    "requantize": REQUANTIZE,
    "use_table": unsigned(1),
    "has_second": unsigned(1),
    "second": SECOND,
})
"""Configuration of a command's vectors: whether bias, and multiplier and exponent, are the channel's, and the numbers for all channels."""


def output_config(output, second, *, channel_bias, channel_scale):
    """`OUTPUT_CONFIG` of a command, as one value: the fields of the groups ``output`` and ``second`` in the layout's order."""
    clamp = output.zero_point, output.clamp_min, output.clamp_max
    value = Cat(
        channel_bias,
        channel_scale,
        output.multiplier,
        output.left_shift,
        output.right_shift[:5],
        output.single_rounding,
        *clamp,
        output.use_table,
        second.operation != Second.NONE,
        second_config(second),
    )
    assert len(value) == OUTPUT_CONFIG.size
    return value


class OutputPipeline(wiring.Component):
    """Selects the lanes' channels, requantizes, maps through the table, joins with the second operand.

    ::

        accumulators -> select -> Requantize -> ScaleTurns -> Scale -+-> Table -+----> result
        parameters   -> select --^                 ^                 +----------|------^
                                                   +--- SecondOperand <---------+
                                   second operand ----------^

    Never stalls. Vectors without a second operand leave `latency` cycles after they entered. Those with one enter the scale twice, `turn`
    cycles apart, and leave `second_latency` cycles after they entered: whoever issues keeps every vector out of the cycle that is ``turn``
    behind one with a second operand, and one without at least so far behind that those with one have left.

    Parameters
    ----------
    cols, lanes : int
        Output channels, and channels of a vector.
    accumulator_bits : int
        20 to 32.
    multiplier_registers : int
        0 or 1: registers more around the multipliers, as in its parts, and one behind the selection.

    Members
    -------
    valid, bank, group : In(1), In(1), In(range(max(2, cols / lanes)))
        A vector enters: which configuration it belongs to, and which group of ``lanes`` channels it is.
    accumulators : In(array of cols signed)
        The entry.
    bias, multiplier : In(signed(32)).array(cols)
        Parameters of the channels.
    exponent : In(signed(8)).array(cols)
        The same: left shift, right shift where negative.
    config : In(OUTPUT_CONFIG).array(2)
        Configuration of each bank, steady while a vector of the bank is inside.
    table_write, table_row, table_entries : In(1), In(range(256 / C)), In(array of C bytes)
        Writes the table; not while a vector that uses it is inside.
    pop, operand : Out(1), In(signed(8)).array(lanes)
        Takes the second operand of the vector, as many cycles after it entered as a vector without one takes.
    result_valid : Out(1)
        A vector leaves.
    result : Out(signed(8)).array(lanes)
        The vector.
    """

    def __init__(self, *, cols, lanes, accumulator_bits, multiplier_registers=0):
        self.more = more = multiplier_registers
        self.requantize = Requantize(lanes=lanes, accumulator_bits=accumulator_bits, multiplier_registers=more)
        self.scale = Scale(lanes=lanes, multiplier_registers=more)
        self.table = Table(lanes=lanes, cols=cols, multiplier_registers=more)
        self.second = SecondOperand(lanes, multiplier_registers=more)
        # from accumulators to result without a second operand, and to ``pop``: select, requantize, map
        scaled = ScaleTurns.LATENCY + self.scale.latency
        self.latency = more + self.requantize.latency + scaled + self.table.latency
        # from the scale to the scale again; from accumulators to result with a second operand
        self.turn = scaled + self.table.latency + self.second.latency
        self.second_latency = self.latency + self.second.latency + scaled
        self.cols, self.lanes, self.accumulator_bits = cols, lanes, accumulator_bits
        super().__init__({
            "valid": In(1),
            "bank": In(1),
            "group": In(range(max(2, cols // lanes))),
            "accumulators": In(data.ArrayLayout(signed(accumulator_bits), cols)),
            "bias": In(signed(32)).array(cols),
            "multiplier": In(signed(32)).array(cols),
            "exponent": In(signed(8)).array(cols),
            "config": In(OUTPUT_CONFIG).array(2),
            "table_write": In(1),
            "table_row": In(range(ENTRIES // cols)),
            "table_entries": In(data.ArrayLayout(unsigned(8), cols)),
            "pop": Out(1),
            "operand": In(signed(8)).array(lanes),
            "result_valid": Out(1),
            "result": Out(signed(8)).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.requantize = requantize = self.requantize
        m.submodules.turns = turns = ScaleTurns(self.lanes)
        m.submodules.scale = scale = self.scale
        m.submodules.table = table = self.table
        m.submodules.second = second = self.second
        joins = Mux(table.result_bank, self.config[1].has_second, self.config[0].has_second)
        joined = Signal()
        m.d.comb += [
            requantize.valid.eq(delayed(m, self.valid, self.more, name="selected", reset_less=False)),
            requantize.bank.eq(delayed(m, self.bank, self.more, name="selected_bank")),
            turns.first_valid.eq(requantize.result_valid),
            turns.first_bank.eq(requantize.result_bank),
            turns.second_valid.eq(second.result_valid),
            turns.second_bank.eq(second.result_bank),
            scale.valid.eq(turns.valid),
            scale.turn.eq(turns.turn),
            table.valid.eq(scale.result_valid & ~scale.result_turn.second),
            table.bank.eq(scale.result_turn.bank),
            table.write.eq(self.table_write),
            table.row.eq(self.table_row),
            table.entries.eq(self.table_entries),
            second.valid.eq(table.result_valid & joins),
            second.bank.eq(table.result_bank),
            self.pop.eq(second.valid),
            joined.eq(scale.result_valid & scale.result_turn.second),
            self.result_valid.eq(joined | (table.result_valid & ~joins)),
        ]
        promise(m, self, ~joined | ~table.result_valid | joins, "a vector without a second operand leaves behind those with one")
        for i in range(2):
            m.d.comb += [
                requantize.config[i].eq(self.config[i].requantize),
                table.use[i].eq(self.config[i].use_table),
                second.config[i].eq(self.config[i].second),
                scale.config[0][i].eq(self.config[i].requantize.clamp),
                scale.config[1][i].eq(self.config[i].second.clamp),
            ]
        common = self._common(m, delayed(m, self.bank, self.more, name="common_bank"))
        for lane in range(self.lanes):
            self._channel(m, lane, requantize, common)
            m.d.comb += [
                turns.first[lane].eq(requantize.result[lane]),
                turns.second[lane].eq(second.result[lane]),
                scale.scaled[lane].eq(turns.scaled[lane]),
                table.value[lane].eq(scale.result[lane]),
                second.first[lane].eq(table.result[lane]),
                second.second[lane].eq(self.operand[lane]),
                self.result[lane].eq(Mux(joined, scale.result[lane], table.result[lane])),
            ]
        return m

    def _common(self, m, bank):
        """The numbers for all channels, of a vector's bank."""
        common, (first, second) = {}, self.config
        for name in ("channel_bias", "channel_scale", "multiplier", "left", "right"):
            common[name] = Signal.like(first[name], name=name)
            m.d.comb += common[name].eq(Mux(bank, second[name], first[name]))
        return common

    def _channel(self, m, lane, requantize, common):
        """The lane's accumulator, and the parameters of its channel or of all channels."""

        def of_group(name):
            *rest, value = [getattr(self, name)[col] for col in range(lane, self.cols, self.lanes)]
            for index, other in reversed(list(enumerate(rest))):
                value = Mux(self.group == index, other, value)
            return delayed(m, value, self.more, name=f"{name}_{lane}", enable=self.valid)

        exponent = of_group("exponent")
        left, right = Mux(exponent[-1], 0, exponent[:5]), Mux(exponent[-1], (-exponent)[:5], 0)
        m.d.comb += [
            requantize.accumulator[lane].eq(of_group("accumulators")),
            requantize.bias[lane].eq(Mux(common["channel_bias"], of_group("bias"), 0)),
            requantize.multiplier[lane].eq(Mux(common["channel_scale"], of_group("multiplier"), common["multiplier"])),
            requantize.left[lane].eq(Mux(common["channel_scale"], left, common["left"])),
            requantize.right[lane].eq(Mux(common["channel_scale"], right, common["right"])),
        ]
