"""The record that a command leaves in DDR: sixteen 32-bit words, the truth for every report."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.npu.interface.command_fields import Field

RECORD_BYTES = 64
"""Size of a record; record i lies at the record base + 64 i."""

STALLS = ("weights", "activations", "bank", "output", "ddr_read", "ddr_write", "command")
"""Causes of a cycle in which the feeder issues no wave, most urgent last where several hold (see `RECORD`)."""

RECORD = (
    Field("index", 32, "index of the command"),
    Field("opcode", 32, "its opcode"),
    Field("start", 32, "cycle of the job in which its window starts"),
    Field("end", 32, "cycle after its window"),
    Field("active", 32, "cycles in which a wave was issued (execute) or a beat was transferred (transfers)"),
    Field("stall_weights", 32, "cycles waiting for the weight loader"),
    Field("stall_activations", 32, "cycles waiting for an earlier execute command (wait_exec)"),
    Field("stall_bank", 32, "cycles in which the scratchpad refused the read"),
    Field("stall_output", 32, "cycles waiting for a free half of the accumulators, or for their pipeline"),
    Field("stall_ddr_read", 32, "cycles waiting for a load (wait_load)"),
    Field("stall_ddr_write", 32, "cycles waiting for a store (wait_store)"),
    Field("stall_command", 32, "cycles without a command in the stage"),
    Field("ddr_read_bytes", 32, "bytes read from DDR"),
    Field("ddr_write_bytes", 32, "bytes written to DDR"),
    Field("sram_read_bytes", 32, "bytes read from the activation scratchpad and, in execute commands, from the weight scratchpad"),
    Field("sram_write_bytes", 32, "bytes written to the scratchpads"),
)

RECORD_LAYOUT = data.StructLayout({field.name: unsigned(field.bits) for field in RECORD})
"""A record as signals; the fields in the order of the words."""
assert RECORD_LAYOUT.size == RECORD_BYTES * 8
