"""An example of every component of hw/: constructor arguments, small. `tests/test_house.py` fails where one is missing.

A row is the keyword arguments, or a tuple of positional arguments and the keywords. `variants` makes of a row all that the switches make
of the component.
"""

import inspect
from dataclasses import replace

from amaranth.hdl import unsigned

from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import Opcode
from hw.npu.interface.queued import QUEUED_TRANSFER
from hw.npu.interface.registers import constants
from hw.npu.npu import Npu
from hw.npu.scratchpad.bank_place import BankGeometry
from hw.soc.config import SocConfig

CONFIG = PRESETS["nano"]
ARRAY = {"rows": CONFIG.rows, "cols": CONFIG.cols}
INT4 = {"int4": True}
"""Where a component has members more for 4-bit weights."""
LANES = {"cols": CONFIG.cols, "lanes": CONFIG.lanes}
BUS = {"address_bits": CONFIG.address_bits, "data_bits": CONFIG.axi_bits}
BURSTS = {"axi_bytes": CONFIG.axi_bytes, "address_bits": CONFIG.address_bits, "max_burst": CONFIG.max_burst}
DMA = BURSTS | {"outstanding": CONFIG.outstanding, "act_bytes": CONFIG.act_bytes}
BITS = {"accumulator_bits": CONFIG.accumulator_bits}
DEPTH = CONFIG.ACCUMULATOR_DEPTH
PLACES = BankGeometry(banks=8, word=8, depth=256)
SCRATCHPAD = {"banks": 8, "word": 8, "size": 16384, "feed_bytes": 8, "lanes": 8, "dma_bytes": 8, "registers": 0}

EXAMPLES = {
    "hw.npu.array.accumulators.Accumulators": {"cols": CONFIG.cols, "depth": DEPTH, "sum_bits": 20, **BITS},
    "hw.npu.scratchpad.answer_select.AnswerSelect": {"width": 8, "geometry": PLACES, "picked": 1, "held": 1},
    "hw.npu.array.array.SystolicArray": {**ARRAY, "broadcast": 4, **INT4},
    "hw.npu.scratchpad.bank.Bank": {"width": 8, "depth": 16},
    "hw.npu.scratchpad.bank_place.BankPlace": {"width": 8, "geometry": PLACES},
    "hw.npu.dma.beat_reader.BeatReader": {"axi_bytes": 8, "read_latency": 3},
    "hw.npu.dma.bursts.BeatWalker": {"axi_bytes": 8},
    "hw.npu.dma.bursts.BurstPlanner": BURSTS,
    "hw.npu.control.command_fetch.CommandFetch": BURSTS,
    "hw.npu.control.control.JobControl": {"units": 4},
    "hw.npu.core.NpuCore": ((CONFIG,), {}),
    "hw.npu.control.dispatcher.Dispatcher": {"axi_bytes": 8, "tracked": 4},
    "hw.npu.execute_records.ExecuteRecords": {"cols": 8, "depth": 4},
    "hw.npu.execute_unit.ExecuteUnit": ((CONFIG,), {}),
    "hw.npu.feed.feed_gate.FeedGate": {"array_latency": 9},
    "hw.npu.feed.feed_monitor.FeedMonitor": {**ARRAY, "depth": 4},
    "hw.npu.feed.feed_reader.FeedReader": {"width": 8, "cols": CONFIG.cols, "read_latency": 8, **INT4, "places": PLACES},
    "hw.npu.feed.feed_stages.FeedStages": {"width": 8, "size": CONFIG.act_bytes, "geometry": PLACES, "registers": 1},
    "hw.npu.parts.fifo.StreamFifo": ((unsigned(8),), {"depth": 4}),
    "hw.npu.walks.interpolation_walk.InterpolationWalk": {},
    "hw.npu.array.interpolator.Interpolator": {"cols": CONFIG.cols},
    "hw.npu.dma.load_dma.LoadDma": {**DMA, "weight_bytes": CONFIG.weight_bytes},
    "hw.npu.npu.Npu": ((CONFIG,), {"observe": True}),
    "hw.npu.output.operand_fetch.OperandFetch": {**LANES, "size": CONFIG.act_bytes, "read_latency": 3, "use_delay": 6},
    "hw.npu.output.output_pipeline.OutputPipeline": {**LANES, **BITS},
    "hw.npu.output.output_stage.OutputStage": {**LANES, **BITS, "depth": DEPTH, "size": CONFIG.act_bytes, "read_latency": 3},
    "hw.npu.weights.row_splitter.RowSplitter": {"cols": 8},
    "hw.npu.output.parameter_shadow.ParameterShadow": ((8,), {}),
    "hw.npu.array.pe_row.PeRow": {"cols": 4, "psum_bits": 20, **INT4},
    "hw.npu.walks.pixel_walk.PixelWalk": {**LANES, "size": CONFIG.act_bytes},
    "hw.npu.weights.plane_handoff.PlaneHandoff": {"groups": 1},
    "hw.npu.feed.port_positions.PortPositions": {**ARRAY, **INT4},
    "hw.npu.feed.port_positions.StepHistory": {},
    "hw.npu.scratchpad.port_queue.PortQueue": {"width": 8, "geometry": PLACES, "writes": True},
    "hw.npu.feed.row_groups.RowGroups": {"rows": CONFIG.rows, "arrives": 5},
    "hw.npu.feed.step_counts.StepCounts": {},
    "hw.npu.feed.step_describer.StepDescriber": {},
    "hw.npu.feed.step_issuer.StepIssuer": {"rows": CONFIG.rows, **INT4},
    "hw.npu.feed.wave_sender.WaveSender": {"width": 8, "cols": CONFIG.cols, "registers": 1, **INT4},
    "hw.npu.feed.port_turns.PortTurns": {"width": 8, "geometry": PLACES, "registers": 1},
    "hw.npu.feed.port_window.PortWindow": {"width": 8, "size": CONFIG.act_bytes, "registers": 1},
    "hw.npu.control.queues.CommandQueue": ((QUEUED_TRANSFER,), {"depth": 4}),
    "hw.npu.dma.read_arbiter.ReadArbiter": BUS,
    "hw.npu.control.record_writer.RecordWriter": {"sources": 3, **BURSTS},
    "hw.npu.walks.reduction_walk.ReductionWalk": {"rows": CONFIG.rows, **INT4},
    "hw.npu.control.register_file.RegisterFile": {"values": constants(CONFIG)},
    "hw.npu.output.requantize.Requantize": {"lanes": 8, **BITS, "multiplier_registers": 1},
    "hw.npu.output.scale.Scale": {"lanes": 8},
    "hw.npu.output.scale_turns.ScaleTurns": ((8,), {}),
    "hw.npu.scratchpad.scratchpad.ActivationScratchpad": SCRATCHPAD,
    "hw.npu.output.second_operand.SecondOperand": ((8,), {}),
    "hw.npu.output.shared_read.SharedRead": ((4,), {}),
    "hw.npu.output.vector_order.VectorOrder": ((4,), {}),
    "hw.npu.softmax.softmax_exponentials.SoftmaxExponentials": ((8,), {}),
    "hw.npu.softmax.softmax_product.SoftmaxProduct": {"multiplier_registers": 1},
    "hw.npu.softmax.softmax_reader.SoftmaxReader": {"lanes": 4, "length_bits": 16, "read_latency": 3},
    "hw.npu.softmax.softmax_reciprocal.SoftmaxReciprocal": {"product_latency": 3},
    "hw.npu.softmax.softmax_table.SoftmaxTable": ((8,), {}),
    "hw.npu.softmax.softmax_unit.SoftmaxUnit": {**LANES, "size": CONFIG.act_bytes, "read_latency": 3},
    "hw.npu.softmax.softmax_writer.SoftmaxWriter": ((4,), {}),
    "hw.npu.scratchpad.spare_arbiter.SpareArbiter": {"ports": 4, "banks": 8, "ahead": 0},
    "hw.npu.feed.feeder.Feeder": {
        **ARRAY,
        "size": CONFIG.act_bytes,
        "read_latency": 8,
        "array_latency": 9,
        **INT4,
        "places": BankGeometry(banks=8, word=16, depth=128),
        "memory_registers": 1,
        "stream_registers": 1,
    },
    "hw.npu.dma.store_dma.StoreDma": {**DMA, "read_latency": 3},
    "hw.npu.output.table.Table": LANES,
    "hw.npu.parts.stream_register.StreamRegister": ((unsigned(8),), {}),
    "hw.npu.parts.credit_counter.CreditCounter": ((8,), {}),
    "hw.npu.interface.tokens.TokenBoard": {},
    "hw.npu.dma.transfers.TransferPlanner": {
        **BURSTS,
        "opcode": Opcode.LOAD,
        "act_bytes": CONFIG.act_bytes,
        "weight_bytes": CONFIG.weight_bytes,
    },
    "hw.npu.dma.transfers.TransferRecords": {"opcode": Opcode.LOAD, "axi_bytes": 8, "depth": 4},
    "hw.npu.feed.wave_generator.WaveGenerator": {"cols": CONFIG.cols},
    "hw.npu.weights.weight_loader.WeightLoader": {**ARRAY, "groups": 1, "size": CONFIG.weight_bytes, "read_latency": 2, "registers": 1},
    "hw.npu.weights.weight_rows.WeightRows": {**ARRAY, **INT4},
    "hw.npu.weights.weight_sets.WeightSets": {**ARRAY, **INT4},
    "hw.npu.scratchpad.weight_scratchpad.WeightScratchpad": {"banks": 4, "size": 8192, "cols": 8, "dma_bytes": 8, "registers": 0},
    "hw.npu.dma.write_arbiter.WriteArbiter": BUS,
    "hw.npu.scratchpad.write_fence.WriteFence": {"writes": 4, "pulses": 8},
    "hw.npu.output.write_slots.WriteSlots": {"lanes": 8, "slots": 4},
    "hw.soc.grant_arbiter.GrantArbiter": {"masters": 4},
    "hw.soc.regulator.Regulator": {},
    "hw.soc.round_robin.RoundRobin": ((4,), {}),
    "hw.soc.address_channel.AddressChannel": {"masters": 4, "address_bits": 32},
    "hw.soc.beat_buffer.BeatBuffer": ((unsigned(8),), {"depth": 4}),
    "hw.soc.read_fabric.ReadFabric": {"masters": 4, **BUS},
    "hw.soc.read_gate.ReadGate": {**BUS, "depth": 16},
    "hw.soc.write_fabric.WriteFabric": {"masters": 4, **BUS, "depth": 4},
    "hw.soc.write_gate.WriteGate": {**BUS, "depth": 16},
    "hw.soc.burst_writer.BurstWriter": {**BUS, "outstanding": 4},
    "hw.soc.bursts.PictureBursts": {**BUS, "burst_beats": 4},
    "hw.soc.bursts.RunCollector": {**BUS, "burst_beats": 4},
    "hw.soc.camera.Camera": {**BUS, "fifo_beats": 16, "burst_beats": 4},
    "hw.soc.display.Display": {**BUS, "fifo_beats": 16, "burst_beats": 4},
    "hw.soc.random_master.RandomMaster": BUS,
    "hw.soc.video_timing.VideoTiming": {},
    "hw.soc.address_decoder.AddressDecoder": {"address_bits": 13, "windows": ((0x0000, 8), (0x1000, 9))},
    "hw.soc.soc.Soc": ((SocConfig(npu=CONFIG),), {"observe": True}),
    "hw.soc.boards.serial_shell.SerialShell": ((Npu(CONFIG).signature,), {"module": "npu"}),
}


def make(component, example):
    """The component made with its row of the table."""
    positional, keywords = example if isinstance(example, tuple) else ((), example)
    return component(*positional, **keywords)


SWITCHES = ("int4", "interpolation")
"""Of a configuration, and constructor arguments of the components that they change."""


def variants(component, example) -> dict:
    """Rows for every setting of the switches that the component has, by a label: ``{"": row, "int4 interpolation": row}``."""
    positional, keywords = example if isinstance(example, tuple) else ((), example)
    configured = bool(positional) and isinstance(positional[0], NpuConfig | SocConfig)
    known = [switch for switch in SWITCHES if configured or switch in inspect.signature(component.__init__).parameters]
    rows = {}
    for setting in range(1 << len(known)):
        chosen = {switch: bool(setting >> place & 1) for place, switch in enumerate(known)}
        label = " ".join(switch for switch in known if chosen[switch])
        if configured:
            rows[label] = (_switched(positional[0], chosen), *positional[1:]), keywords
        else:
            rows[label] = positional, keywords | chosen
    return rows


def _switched(config, chosen):
    """A configuration with other switches."""
    return replace(config, npu=_switched(config.npu, chosen)) if isinstance(config, SocConfig) else config.replace(**chosen)
