"""The weight-stationary systolic array."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.array.pe_row import PeRow, pe_latency
from hw.npu.config import tile_depth
from hw.npu.interface.isa import MAX_SPAN
from hw.npu.parts.delay import delayed
from hw.npu.parts.switched import only


class SystolicArray(wiring.Component):
    """R rows (the reduction) by C columns (output channels) of multiply-adders.

    ::

        activation[0] ------> row 0   ->group 1 -> ...       row r sees the wave r cycles after row 0,
        activation[1] -z----> row 1                          column group g sees it g cycles after group 0;
        activation[2] -z-z--> row 2                          the sums of early groups are delayed, so that
               :                | partial sums               all columns of a wave leave in the same cycle.
                                v

    One wave a cycle, each with its own weight plane; `latency` cycles in which the array moves from wave to sums. Weights are
    written a row at a time into the plane that does not compute there (see `hw.npu.weights.weight_loader`), whether the array moves or not.

    **As a FIR filter** (the wave is a ``column`` wave): rows are grouped by kernel row, a row for each tap, and a column is a channel. The
    vector of a kernel row is broadcast to all rows of its group, while the partial sums go down a row in each cycle, so that in row k
    of a group a sum meets the pixel k steps behind the one that it met in row 0. Later column groups get vectors later, like waves. ::

        vector 0 --+---> row 0   w[0][0]
                   +---> row 1   w[0][1]      sum of pixel x at step t + k:
                   +---> row 2   w[0][2]      adds w[0][k] * vector 0 of step t + k
        vector 1 --+---> row 3   w[1][0]      vector 1 is that of three steps ago, in the next kernel row
                   :

    Rows of no group add nothing.

    **Two weights an element** (``int4``; the wave is ``paired``): row r holds the weights of activations 2r and 2r + 1 in the lower and
    upper halves of its bytes, and adds both products: a wave reduces twice as many activations.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    broadcast : int
        Columns that an activation reaches in one cycle (P); 1 is the textbook array.
    int4 : bool
        There are paired waves.
    multiplier_registers : int
        0 or 1: registers more around the multipliers.

    Members
    -------
    enable : In(1)
        The array moves: waves, activations, vectors and partial sums go on. Else they stand still, and ``valid`` is low.
    valid, plane, activations : In(1), In(1), In(signed(8)).array(rows), with ``int4`` of twice as many
        The wave: one activation a row, or two. Rows that the reduction tile does not use get 0.
    paired : In(1)
        With ``int4``: it is a wave with two activations a row.
    column, vectors : In(1), In(signed(8)).array(MAX_SPAN, cols)
        It is a wave of the FIR filter; the vectors of this step, one for each kernel row.
    group_ends : In(range(rows + 1)).array(MAX_SPAN)
        Rows of each kernel row's group: from the end of the one before to its own. Counts from the next cycle on.
    sums : Out(signed(psum_bits)).array(cols)
        Column sums, `latency` cycles in which the array moves after their wave.
    write, write_row, write_plane, weights : In(1), In(range(rows)), In(1), In(signed(8)).array(cols)
        One row of weights into one plane.
    """

    def __init__(self, *, rows, cols, broadcast, int4=False, multiplier_registers=0):
        self.rows, self.cols, self.int4, self.multiplier_registers = rows, cols, int4, multiplier_registers
        self.group_cols = min(broadcast, cols)
        self.groups = cols // self.group_cols
        self.psum_bits = psum_bits(rows)
        self.latency = array_latency(rows=rows, cols=cols, broadcast=broadcast, multiplier_registers=multiplier_registers)
        super().__init__({
            "enable": In(1),
            "valid": In(1),
            "plane": In(1),
            "activations": In(signed(8)).array(tile_depth(rows, int4)),
            **only(int4, paired=In(1)),
            "column": In(1),
            "vectors": In(signed(8)).array(MAX_SPAN, cols),
            "group_ends": In(range(rows + 1)).array(MAX_SPAN),
            "sums": Out(signed(self.psum_bits)).array(cols),
            "write": In(1),
            "write_row": In(range(rows)),
            "write_plane": In(1),
            "weights": In(signed(8)).array(cols),
        })

    def elaborate(self, platform):
        m = Module()
        write_rows = Signal(unsigned(self.rows))
        m.d.comb += write_rows.eq(self.write << self.write_row)
        waves, sides = self._waves(m), self._sides(m)
        for group in range(self.groups):
            first = group * self.group_cols
            sums = [0] * self.group_cols
            vectors = self._vectors(m, group)
            for row in range(self.rows):
                wave = waves[row][group]
                pes = self._row()
                m.submodules[f"row_{row}_{group}"] = pes
                m.d.comb += [getattr(pes, name).eq(signal & self.enable if name == "valid" else signal) for name, signal in wave.items()]
                m.d.comb += [
                    pes.enable.eq(self.enable),
                    pes.side.eq(sides[row]),
                    pes.write.eq(write_rows[row]),
                    pes.write_plane.eq(self.write_plane),
                ]
                for side in range(MAX_SPAN):
                    m.d.comb += [ours.eq(theirs) for ours, theirs in zip(pes.vectors[side], vectors[side], strict=True)]
                for col in range(self.group_cols):
                    m.d.comb += [pes.psum_in[col].eq(sums[col]), pes.weights[col].eq(self.weights[first + col])]
                sums = [pes.psum_out[col] for col in range(self.group_cols)]
            for col in range(self.group_cols):
                late = delayed(m, sums[col], self.groups - 1 - group, name=f"sum_{first + col}", enable=self.enable)
                m.d.comb += self.sums[first + col].eq(late)
        return m

    def _row(self):
        """One row of a column group."""
        return PeRow(cols=self.group_cols, psum_bits=self.psum_bits, int4=self.int4, multiplier_registers=self.multiplier_registers)

    def _waves(self, m):
        """``waves[row][group]``: what each row gets of a wave, by its name there, row cycles down and group cycles to the right."""
        moves, waves = {"enable": self.enable}, []
        down = {name: getattr(self, name) for name in ("valid", "plane", "column", *(("paired",) if self.int4 else ()))}
        for row in range(self.rows):
            if row:
                down = {
                    name: delayed(m, signal, 1, name=f"{name}_{row}", reset_less=name != "valid", **moves) for name, signal in down.items()
                }
            operands = {name: delayed(m, signal, row, name=f"{skew}_{row}", **moves) for name, skew, signal in self._operands(m, row)}
            wave, across = down | operands, []
            for group in range(self.groups):
                across.append(wave)
                if group == self.groups - 1:
                    break
                wave = {
                    name: delayed(m, signal, 1, name=f"{name}_{row}_group_{group + 1}", reset_less=name != "valid", **moves)
                    for name, signal in wave.items()
                }
            waves.append(across)
        return waves

    def _operands(self, m, row):
        """The activations of a row: name in the row, name of the delay, signal."""
        if not self.int4:
            return [("activation", "skew", self.activations[row])]
        pair = [Signal(signed(8), name=f"{name}_activation_{row}") for name in ("lower", "upper")]
        for place, activation in enumerate(pair):
            m.d.comb += activation.eq(Mux(self.paired, self.activations[2 * row + place], self.activations[row]))
        return [("activation", "skew", pair[0]), ("other", "skew_other", pair[1])]

    def _sides(self, m):
        """The vector that each row takes in a column wave, one bit of `MAX_SPAN`, or none."""
        sides = []
        for row in range(self.rows):
            taken = Signal(MAX_SPAN, name=f"side_{row}", reset_less=True)
            before = 0
            for side, end in enumerate(self.group_ends):
                m.d.sync += taken[side].eq((row < end) & (row >= before))
                before = end
            sides.append(taken)
        return sides

    def _vectors(self, m, group):
        """The vectors of a column group, group cycles later."""
        columns = range(group * self.group_cols, (group + 1) * self.group_cols)
        return [
            [delayed(m, self.vectors[side][col], group, name=f"vector_{side}_{col}", enable=self.enable) for col in columns]
            for side in range(MAX_SPAN)
        ]


def psum_bits(rows) -> int:
    """Width of a sum of ``rows`` products of two int8: each is within -2**14 .. 2**14 and needs 16 bits."""
    return 16 + (rows - 1).bit_length()


def array_latency(*, rows, cols, broadcast, multiplier_registers) -> int:
    """Cycles from a wave at row 0 to its sums: one a row, one for each register on the way right, and an element's others once."""
    return rows + max(1, cols // broadcast) - 1 + (pe_latency(multiplier_registers) - 1)
