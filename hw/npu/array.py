"""The weight-stationary systolic array."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.delay import delayed
from hw.npu.pe_row import PeRow


class SystolicArray(wiring.Component):
    """R rows (the reduction) by C columns (output channels) of multiply-adders.

    ::

        activation[0] ------> row 0   ->group 1 -> ...       row r sees the wave r cycles after row 0,
        activation[1] -z----> row 1                          column group g sees it g cycles after group 0;
        activation[2] -z-z--> row 2                          the sums of early groups are delayed, so that
               :                | partial sums               all columns of a wave leave in the same cycle.
                                v

    One wave a cycle, each with its own weight plane; `latency` cycles from wave to sums; nothing stalls. Weights are
    written a row at a time into the plane that does not compute there (see `hw.npu.weight_loader`).

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    broadcast : int
        Columns that an activation reaches in one cycle (P); 1 is the textbook array.

    Members
    -------
    valid, plane, activations : In(1), In(1), In(signed(8)).array(rows)
        The wave: one activation a row. Rows that the reduction tile does not use get 0.
    sums : Out(signed(psum_bits)).array(cols)
        Column sums, `latency` cycles after their wave.
    write, write_row, write_plane, weights : In(1), In(range(rows)), In(1), In(signed(8)).array(cols)
        One row of weights into one plane.
    """

    def __init__(self, *, rows, cols, broadcast):
        self.rows, self.cols = rows, cols
        self.group_cols = min(broadcast, cols)
        self.groups = cols // self.group_cols
        self.psum_bits = psum_bits(rows)
        self.latency = array_latency(rows=rows, cols=cols, broadcast=broadcast)
        super().__init__({
            "valid": In(1),
            "plane": In(1),
            "activations": In(signed(8)).array(rows),
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
        waves = self._waves(m)
        for group in range(self.groups):
            first = group * self.group_cols
            sums = [0] * self.group_cols
            for row in range(self.rows):
                valid, plane, activation = waves[row][group]
                pes = PeRow(cols=self.group_cols, psum_bits=self.psum_bits)
                m.submodules[f"row_{row}_{group}"] = pes
                m.d.comb += [
                    pes.valid.eq(valid),
                    pes.plane.eq(plane),
                    pes.activation.eq(activation),
                    pes.write.eq(write_rows[row]),
                    pes.write_plane.eq(self.write_plane),
                ]
                for col in range(self.group_cols):
                    m.d.comb += [pes.psum_in[col].eq(sums[col]), pes.weights[col].eq(self.weights[first + col])]
                sums = [pes.psum_out[col] for col in range(self.group_cols)]
            for col in range(self.group_cols):
                late = delayed(m, sums[col], self.groups - 1 - group, name=f"sum_{first + col}")
                m.d.comb += self.sums[first + col].eq(late)
        return m

    def _waves(self, m):
        """``waves[row][group]``: valid, plane and activation, row cycles down and group cycles to the right."""
        valid, plane, waves = self.valid, self.plane, []
        for row in range(self.rows):
            if row:
                valid = delayed(m, valid, 1, name=f"valid_{row}", reset_less=False)
                plane = delayed(m, plane, 1, name=f"plane_{row}")
            activation = delayed(m, self.activations[row], row, name=f"skew_{row}")
            wave, across = (valid, plane, activation), []
            for group in range(self.groups):
                across.append(wave)
                if group == self.groups - 1:
                    break
                wave = tuple(
                    delayed(m, signal, 1, name=f"{name}_{row}_group_{group + 1}", reset_less=name != "valid")
                    for name, signal in zip(("valid", "plane", "activation"), wave, strict=True)
                )
            waves.append(across)
        return waves


def psum_bits(rows) -> int:
    """Width of a sum of ``rows`` products of two int8: each is within -2**14 .. 2**14 and needs 16 bits."""
    return 16 + (rows - 1).bit_length()


def array_latency(*, rows, cols, broadcast) -> int:
    """Cycles from a wave at row 0 to its sums: one a row, and one for each register on the way right."""
    return rows * PeRow.LATENCY + max(1, cols // broadcast) - 1
