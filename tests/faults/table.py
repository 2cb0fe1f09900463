"""Faults that were found in the field or lived as mutants, and the tests of `make test` that notice each when it is planted again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    name : str
        In a few words.
    file : str
        Where it is planted, from the root of the repository.
    right, wrong : str
        Text that stands in the file exactly once, and what replaces it.
    tests : tuple of str
        The tests that notice it, as pytest's arguments.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        "a lost driver in emission",
        "hw/emit/units.py",
        "for key in readers if key not in known and not drivers[key] and outside.drivers[key]]",
        "for key in readers if key not in known and not drivers[key] and outside.drivers[key] > 1]",
        ("tests/sim/test_emitted_components.py", "tests/sim/test_emit.py"),
    ),
    Fault(
        "the rows of memory for those of an alias",
        "weft/compiler/select/selection.py",
        "return view if shape.row_bytes == self.memory(name).row_bytes else replace(view, row_bytes=shape.row_bytes)",
        "return view",
        ("tests/unit/compiler/test_bounds.py", "tests/unit/compiler/test_aliases.py"),
    ),
    Fault(
        "a tensor compared at the wrong time",
        "weft/compiler/places.py",
        """        if self._stays(rows, buffer, end):
            yield""",
        """        if buffer.rows >= len(rows):
            yield""",
        ("tests/unit/sim/test_places.py",),
    ),
    Fault(
        "a weight row that was never written",
        "hw/npu/weights/weight_loader.py",
        "clearing = Signal(init=1)",
        "clearing = Signal(init=0)",
        ("tests/block/weights/test_weight_loader.py",),
    ),
    Fault(
        "a golden operator that saturates",
        "golden/operators/quantize.py",
        "whole = np.where(fits, rounded, INT32_MIN).astype(np.int64)",
        "whole = np.clip(np.nan_to_num(rounded), INT32_MIN, INT32_MAX).astype(np.int64)",
        ("tests/unit/compiler/test_products.py",),
    ),
    Fault(
        "a sum that leaves int32 is not refused",
        "weft/compiler/limits/__init__.py",
        'has_bounded_sums, has_finite_clamp,\n    ),\n    "MAXIMUM"',
        'has_finite_clamp,\n    ),\n    "MAXIMUM"',
        ("tests/unit/compiler/test_products.py",),
    ),
    Fault(
        "an event lost when it is cleared in the same cycle",
        "hw/npu/control/register_file.py",
        "m.d.sync += now.eq((now & ~(value[part] & lanes[part])) | self.events[field.name])",
        "m.d.sync += now.eq(now & ~(value[part] & lanes[part]))",
        ("tests/block/control/test_register_file.py::test_an_event_in_the_one_cycle_of_its_clearing_is_not_lost",),
    ),
    Fault(
        "strobes kept after halt",
        "hw/npu/dma/store_dma.py",
        "m.d.comb += reader.blank.eq(self.halt)",
        "m.d.comb += reader.blank.eq(0)",
        ("tests/block/dma/test_dma.py::test_no_beat_behind_a_halt_writes_a_byte",),
    ),
    Fault(
        "the lane of rows above 8 KiB in blocks of 4 KiB",
        "hw/npu/dma/bursts.py",
        "            burst.run.last_lane.eq(end[:beat_bits]),\n            burst.run.last.eq(last)",
        "            burst.run.last_lane.eq(end[:beat_bits] - (shape.row_bytes > 8192)),\n            burst.run.last.eq(last)",
        ("tests/block/dma/test_bursts.py::test_rows_of_many_blocks_are_cut_where_the_blocks_end",),
    ),
    Fault(
        "a queue of weights that is full a step too early",
        "hw/npu/feed/feeder.py",
        "depth=self.STEPS + 2 + later)",
        "depth=self.STEPS + 1 + later)",
        ("tests/block/test_execute_commands.py::test_pixels_between_others_follow_each_other",),
    ),
    Fault(
        "tokens compared on 14 bits",
        "hw/npu/interface/tokens.py",
        "return ~(count - wait)[TOKEN_BITS - 1]",
        "return ~(count[:14] - wait[:14])[13]",
        ("tests/block/control/test_queues.py::test_tokens_are_compared_on_all_their_bits",),
    ),
    Fault(
        "rows leave before the blocks beside them are done",
        "weft/compiler/transfers.py",
        "min(one.block.y for one in works[place + 1 :])",
        "works[place + 1].block.y",
        ("tests/unit/compiler/test_transfers.py",),
    ),
    Fault(
        "convolutions of uint8 with the multipliers of int8",
        "weft/compiler/parameters.py",
        "if operator.op in CONVOLUTIONS and unsigned(graph, operator):",
        "if False:",
        ("tests/unit/compiler/test_unsigned.py",),
    ),
    Fault(
        "a weight of 255 takes two taps instead of three",
        "weft/compiler/second_taps.py",
        "for number in (1, 2):",
        "for number in (1,):",
        ("tests/unit/compiler/test_unsigned.py",),
    ),
    Fault(
        "the arbiter of banks serves the last aged port first",
        "hw/npu/scratchpad/spare_arbiter.py",
        "for port in reversed(range(self.ports)):",
        "for port in range(self.ports):",
        ("tests/block/scratchpad/test_spare_arbiter.py::test_aged_ports_go_from_the_first_to_the_last",),
    ),
    Fault(
        "a state that is overwritten before its old value is read again",
        "weft/compiler/states.py",
        "if any(first < high and low < end for first, end in stored):",
        "if any(first < low and high < end for first, end in stored):",
        ("tests/unit/compiler/test_states.py::test_random_streams_equal_the_interpreter_step_by_step",),
    ),
    Fault(
        "a store of new bytes that does not wait for loads of the old ones",
        "weft/compiler/dependencies.py",
        'loaded = max(memory.latest(memory.written, "load", spans), self.loaded.latest(*place))',
        'loaded = memory.latest(memory.written, "load", spans)',
        ("tests/unit/compiler/test_states.py::test_new_bytes_wait_for_old_ones_that_no_operator_before_them_reads",),
    ),
    Fault(
        "a bench that copies the states between two jobs",
        "sim/npu_job.py",
        "kept = [] if reset else sorted(",
        "kept = [] if reset or len(program.states) == 1 else sorted(",
        ("tests/rtl/test_states.py::test_streams_are_exact_step_by_step",),
    ),
    Fault(
        "a job that may leave an old value in a state's place",
        "golden/hazards.py",
        "if (self.arena.known[state.new.byte_addresses()] != self.tensor(state.stored)).any():",
        "if (self.arena.known[state.new.byte_addresses()] == 0).any():",
        ("tests/unit/compiler/test_states.py::test_a_state_that_a_job_leaves_old_is_a_hazard",),
    ),
    Fault(
        "an island whose DEQUANTIZE another one needs too, taken from it",
        "weft/run/whole.py",
        "for name in island.members} - others",
        "for name in island.members}",
        ("tests/unit/compiler/test_cut.py::test_an_island_between_host_operators_is_theirs_as_the_file_has_it",),
    ),
    Fault(
        "a table of the compiler's own among the host's operators",
        "weft/compiler/cut/division.py",
        "if operator.name in host and operator.members]",
        "if operator.name in host and not operator.name]",
        ("tests/unit/compiler/test_cut.py::test_an_island_between_host_operators_is_theirs_as_the_file_has_it",),
    ),
    Fault(
        "a tile announced with its first row",
        "hw/npu/weights/plane_handoff.py",
        "self.announce.eq(self.write & (second | (self.last & ~begun)))",
        "self.announce.eq(self.write & ~begun)",
        ("tests/block/weights/test_weight_loader.py", "tests/formal/test_plane_handoff.py"),
    ),
    Fault(
        "a vector without a second operand that leaves with one that has",
        "hw/npu/output/vector_order.py",
        "self.behind.eq(~self.joins & ~joined[:-1].any())",
        "self.behind.eq(~self.joins)",
        ("tests/formal/test_vector_order.py",),
    ),
    Fault(
        "a second operand in the cycle in which the first comes to the multiplier again",
        "hw/npu/output/vector_order.py",
        "self.apart.eq(~joined[-1])",
        "self.apart.eq(1)",
        ("tests/formal/test_vector_order.py",),
    ),
    Fault(
        "a burst of the display whose length is that of the one before",
        "hw/soc/bursts.py",
        'steady(m, self.some, self.start | taken, 1, name="known")',
        "self.some",
        ("tests/formal/test_soc_masters.py", "tests/soc/test_display.py"),
    ),
)
