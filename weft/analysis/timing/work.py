"""What a command asks of the NPU: the few numbers of its fields that decide its time."""

from dataclasses import dataclass
from functools import lru_cache

from golden.machine_stream import PARAMETER_ROWS_OF, rows_of
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import SOFTMAX_TABLE_BYTES, TABLE_BYTES, UNIT_BYTES, Command, Opcode, Params, Target
from hw.npu.scratchpad.scratchpad import ActivationScratchpad
from hw.npu.softmax.softmax_unit import SoftmaxUnit
from weft.analysis.timing.banks import Walk, masks_of, walk
from weft.analysis.timing.ports import port_reads, usual_channels
from weft.compiler.reduction import tile_terms

"""A table of the output stage in the weight stream."""
SOFTMAX_HEADROOM = 12
"""Leading zeros of a row's sum of exponentials in Q12.19 that the model assumes: a sum from 1 to 2, where one element stands out."""


def command_bytes(command: Command) -> int:
    """Bytes of a command in DDR."""
    return command.units * UNIT_BYTES


@dataclass(slots=True, frozen=True)
class Waits:
    """Commands of each queue that must be complete before it starts."""

    load: int
    exec: int
    store: int


@dataclass(slots=True, frozen=True)
class Transfer:
    """A LOAD or STORE: whether it concerns the weight scratchpad, bytes of a row, rows, and where they lie in DDR."""

    waits: Waits
    weights: bool
    offset: int
    row_bytes: int
    rows: int
    stride: int


@dataclass(slots=True, frozen=True)
class Work:
    """An execute command.

    Attributes
    ----------
    command : Command
        The command itself.
    operation : Opcode
        What it computes, whatever the width of its weights.
    wave_bytes : int
        Bytes that a wave reads of a kernel row, as the counters count: what the array takes, or the vector path.
    waits : Waits
    weights_wait : int
        Loads before its weight stream is read.
    array : bool
        Its waves go through the array, with weights.
    tile_terms : tuple of int
        Products a channel of each reduction tile of a job; of the vector path all 0.
    tile_rows : tuple of int
        Cycles in which the weights of each reduction tile are loaded: rows of the array, two at a time where a MATMUL has 4-bit weights.
    weight_rows : int
        Rows of weights of a job in the weight stream.
    refused : tuple of int
        Cycles that each of these takes longer, because two of its kernel rows lie in one bank; empty where there are none.
    reads_of_ports : int
        Reads of a job, where a step may read several kernel rows; else 0.
    waves : int
        Waves of a reduction tile.
    groups : tuple of int
        Of a DEPTHWISE: rows of the array of each kernel row beside each other; else empty.
    tail : int
        Steps of a reduction tile behind its last wave: of a DEPTHWISE, which needs pixels behind that of the wave.
    pixel_waves : tuple of int
        Of a DEPTHWISE: the wave of a tile, from 0, with which each pixel is complete.
    apart : bool
        Waves of one entry would follow too closely: tiles are kept apart.
    pixels : int
        Entries of a job.
    jobs : int
        Column tiles.
    cols, last_cols : int
        Columns of a column tile, and of the last.
    table_rows, parameter_rows : int
        Rows of the weight stream in front of the command, and of each job.
    partial_in, partial_out, second : bool
        Partial sums are continued, or left; there is a second operand.
    reads, writes : Walk
        Of the feeder, and of the output stage.
    serial : int
        Cycles of the unit for SOFTMAX, which runs alone; else 0.
    """

    command: Command
    operation: Opcode
    wave_bytes: int
    waits: Waits
    weights_wait: int
    array: bool
    tile_terms: tuple[int, ...]
    tile_rows: tuple[int, ...]
    weight_rows: int
    refused: tuple[int, ...]
    reads_of_ports: int
    waves: int
    groups: tuple[int, ...]
    tail: int
    pixel_waves: tuple[int, ...]
    apart: bool
    pixels: int
    jobs: int
    cols: int
    last_cols: int
    table_rows: int
    parameter_rows: int
    partial_in: bool
    partial_out: bool
    second: bool
    reads: Walk
    writes: Walk
    serial: int

    @property
    def filler(self) -> int:
        """Steps behind the command's last one: as many as there are rows of the array that compute in a DEPTHWISE."""
        return sum(self.groups)

    @property
    def stream_rows(self) -> int:
        """Rows of the weight stream."""
        return self.table_rows + self.jobs * (self.parameter_rows + self.weight_rows)


def waits_of(command: Command) -> Waits:
    """The three counts of the header."""
    header = command.fields.get("header", {})
    return Waits(header.get("wait_load", 0), header.get("wait_exec", 0), header.get("wait_store", 0))


def transfer_of(command: Command, bases: tuple[int, int]) -> Transfer:
    """The transfer of a LOAD or STORE; the bases of the regions in DDR decide where its bursts are cut."""
    dma = command.fields["dma"]
    return Transfer(
        waits=waits_of(command),
        weights=dma.get("target", 0) == Target.WEIGHTS,
        offset=bases[dma.get("region", 0)] + dma.get("ddr_offset", 0),
        row_bytes=dma["row_bytes"],
        rows=dma["rows"],
        stride=dma.get("ddr_stride", 0),
    )


def _tiles(operation, loops, depth) -> tuple[int, ...]:
    """Products a channel of the reduction tiles of a job (``docs/architecture.md``, loop nest of the execute queue)."""
    taps_y, taps_x = loops["taps_y"], loops["taps_x"]
    if operation == Opcode.MATMUL:
        return tile_terms(taps_y, taps_x, loops["lanes"], loops["span"], depth)
    if operation == Opcode.DEPTHWISE:
        span = loops["span"]
        return (span * taps_x,) * -(-taps_y // span)
    return (0,) * (taps_y * taps_x)


def _pixel_waves(loops) -> tuple[int, ...]:
    """Of `Work`."""
    positions, stride = loops["positions"], loops["stride"]
    return tuple(row * positions + col * stride for row in range(loops["block_rows"]) for col in range(loops["block_cols"]))


@lru_cache
def _softmax_row_cycles(config: NpuConfig) -> int:
    """Cycles of a row of SOFTMAX beyond its passes."""
    latency, registers = ActivationScratchpad.answer_latency(config.memory_registers), config.multiplier_registers
    unit = SoftmaxUnit(cols=config.cols, lanes=config.lanes, size=config.act_bytes, read_latency=latency, multiplier_registers=registers)
    return unit.row_cycles + SOFTMAX_HEADROOM


def _beside(loops, source, around, depthwise) -> tuple[int, ...]:
    """Bytes from the first kernel row of a step to the others; those of a DEPTHWISE lag."""
    lag = loops["taps_x"] * source.get("pixel_step", 0) if depthwise else 0
    others = range(1, min(loops["span"], loops["taps_y"]))
    return tuple(number * (source.get("tap_y_step", 0) - lag) % around for number in others)


def _between(command) -> tuple[tuple[int, int, int], ...]:
    """Of `Walk`."""
    fields, source = command["interpolation"], command["input"]
    return tuple((fields[axis], fields[f"step_{axis}"], source[f"tap_{axis}_step"]) for axis in "yx")


def work_of(command: Command, config: NpuConfig, shortest: int) -> Work:
    """The work of an execute command.

    Parameters
    ----------
    shortest : int
        Least distance of two waves of one entry, cycles.
    """
    fields, operation, int4 = command.fields, command.operation, command.opcode.int4
    loops, weights = fields["loops"], fields.get("weights", {})
    source, output = fields.get("input", {}), fields.get("output", {})
    block_rows, block_cols = loops["block_rows"], loops["block_cols"]
    pixels = block_rows * block_cols
    matmul, depthwise, softmax = (operation == each for each in (Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.SOFTMAX))
    channels = usual_channels(loops, config)
    table = SOFTMAX_TABLE_BYTES if softmax else TABLE_BYTES * weights.get("load_table", 0)
    wide = loops.get("span", 0) > 1
    depth, around = config.tile_depth(int4), config.BANKS * config.word_bytes
    ports = port_reads(command.opcode, loops, source, config) if depthwise or (wide and matmul) else ()
    terms = _tiles(operation, loops, depth)
    rows = tuple(rows_of(each, int4) for each in terms)
    return Work(
        command=command,
        operation=operation,
        wave_bytes=depth if matmul else config.cols,
        waits=waits_of(command),
        weights_wait=weights.get("wait_load", 0),
        array=matmul or depthwise,
        tile_terms=terms,
        tile_rows=rows if matmul else terms,
        weight_rows=sum(rows),
        refused=tuple(tile.lost for tile in ports),
        reads_of_ports=sum(tile.made for tile in ports),
        waves=block_rows * loops["positions"] if depthwise else 1 if softmax else pixels,
        groups=(loops["taps_x"],) * loops["span"] if depthwise else (),
        tail=max(0, loops["positions"] - 1 - (block_cols - 1) * loops["stride"]) if depthwise else 0,
        pixel_waves=_pixel_waves(loops) if depthwise else (),
        apart=pixels < shortest and not depthwise and not softmax,
        pixels=pixels,
        jobs=loops["column_tiles"],
        cols=config.cols,
        last_cols=loops["last_cols"],
        table_rows=table // config.cols,
        parameter_rows=PARAMETER_ROWS_OF[Params(weights.get("params", 0))],
        partial_in=bool(loops.get("partial_in", 0)),
        partial_out=bool(loops.get("partial_out", 0)),
        second=bool(fields.get("second", {}).get("operation", 0)),
        reads=_image_walk(
            config,
            loops,
            source,
            width=min(depth, loops["lanes"]) if matmul else channels,
            beside=_beside(loops, source, around, depthwise) if wide else (),
            between=_between(command) if operation == Opcode.INTERPOLATE else (),
        ),
        writes=_image_walk(config, loops, output, width=min(config.lanes, channels), vectors=-(-channels // config.lanes)),
        serial=pixels * (SoftmaxUnit.PASSES * loops["lanes"] + _softmax_row_cycles(config)) if softmax else 0,
    )


def _image_walk(config: NpuConfig, loops, place, **more):
    """The walk over a command's block of pixels where an image lies; `more` as `walk` takes it."""
    steps = {name: place.get(name, 0) for name in ("address", "pixel_step", "row_step")}
    return walk(config, cols=loops["block_cols"], rows=loops["block_rows"], **steps, **more)


def read_banks(work: Work, config: NpuConfig, job: int) -> bytes:
    """Banks that the feeder reads in each cycle of a job, a column tile, a bit each; those of its waits are not in it."""
    command = work.command
    if work.refused:
        return b"".join(tile.banks for tile in port_reads(command.opcode, command["loops"], command["input"], config, job))
    address = command.fields.get("input", {}).get("address", 0) + (0 if work.array else job * config.cols)
    around, count = config.BANKS * config.word_bytes, work.waves * len(work.tile_rows)
    return masks_of(work.reads, address % around, config.word_bytes, config.BANKS, count)


def write_banks(work: Work, config: NpuConfig, job: int) -> bytes:
    """Banks that each vector of a job is written to, a bit each."""
    channels = work.last_cols if job == work.jobs - 1 else config.cols
    address, around = work.command["output"]["address"] + job * config.cols, config.BANKS * config.word_bytes
    vectors = -(-channels // config.lanes)
    walk = work.writes._replace(vectors=vectors, width=min(config.lanes, channels))
    return masks_of(walk, address % around, config.word_bytes, config.BANKS, work.pixels * vectors)
