"""Commands of the execute queue on the golden machine: the loop nest of ``docs/architecture.md``, all column tiles at once."""

import numpy as np

from golden.machine_dma import NOTHING
from golden.machine_limits import check_fields
from golden.machine_output import finish, write_addresses
from golden.machine_reads import input_bytes, tap_weights, wrap_bits
from golden.machine_reduce import interpolate_tiles, reduce_tiles
from golden.machine_softmax import execute_softmax
from golden.machine_state import MachineState
from golden.machine_stream import WeightStream, channel_parameters, stream_rows, weights_of
from hw.npu.interface.isa import TABLE_BYTES, Command, Opcode


def _accumulate(command, half, sums, bits):
    """Put the sums of one column tile, int64[N, C], into a half of the accumulators, or add them to what is there."""
    pixels = len(sums)
    if command["loops"]["partial_in"]:
        previous = half[:pixels]
        sums = np.maximum(sums, previous) if command.opcode == Opcode.MAX else sums + previous
    half[:pixels] = wrap_bits(sums, bits)
    return half[:pixels]


def execute_job(state: MachineState, index: int, command: Command):
    """Execute one command of the execute queue; returns the activation addresses written, int64[n], and values, uint8[n]."""
    check_fields(state, index, command)
    if command.opcode == Opcode.SOFTMAX:
        return execute_softmax(state, index, command)
    loops, weights, config = command["loops"], command["weights"], state.config
    stream = WeightStream(state.weights, weights["address"])
    if weights["load_table"]:
        state.table = stream.take(TABLE_BYTES).copy()
    tiles, (parameter_rows, weight_rows) = loops["column_tiles"], stream_rows(config, command)
    rows = stream.take(tiles * (parameter_rows + weight_rows) * config.cols).reshape(tiles, -1, config.cols)
    factors = weights_of(config, command, rows[:, :weight_rows])
    values = input_bytes(state, index, command)
    if command.opcode == Opcode.INTERPOLATE:
        sums = interpolate_tiles(values, tap_weights(config, command), config.cols)
    else:
        sums = reduce_tiles(command, values, factors)
    written = [NOTHING]
    for tile in range(tiles):
        entries = _accumulate(command, state.accumulators[state.jobs % 2], sums[:, tile], config.accumulator_bits)
        if loops["partial_out"]:
            continue
        state.jobs += 1
        channels = loops["last_cols"] if tile == tiles - 1 else config.cols
        parameters = channel_parameters(rows[tile, weight_rows:], weights["params"])
        result = finish(state, index, command, entries, parameters, tile, channels)
        addresses = write_addresses(state, index, command, tile, channels)
        state.activations[addresses] = result
        written.append((addresses, result))
    return np.concatenate([each[0] for each in written]), np.concatenate([each[1] for each in written])
