"""Cycles from one part of the NPU to another, without and with register cuts (`NpuConfig.pipeline`)."""

from dataclasses import dataclass

from hw.npu.array.accumulators import Accumulators
from hw.npu.array.array import array_latency
from hw.npu.config import POWERS_4_TO_64, NpuConfig
from hw.npu.control.execute_checks import CHECK_CYCLES
from hw.npu.feed.staged_feeder import StagedFeeder
from hw.npu.output.output_stage import OutputStage
from hw.npu.output.second_operand import SecondOperand
from hw.npu.scratchpad.scratchpad import ActivationScratchpad
from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad
from hw.npu.walks.reduction_walk import ReductionWalk
from hw.npu.weights.weight_loader import WeightLoader


@dataclass(frozen=True)
class Latencies:
    """Cycles; each begins with the one in which the first thing happens.

    Attributes
    ----------
    array : int
        From a wave at row 0 to its sums.
    offered, send : int
        From a command at the head of the execute queue to the stages, beyond the cycle in which it is there; from one command to the next.
    take : int
        From a command that the feeder takes to its first wave in the generator.
    between : int
        From a command's last wave in the generator to the next command that the feeder takes.
    pending : int
        From a wave that leaves the generator to the scratchpad.
    gate : int
        From what a wave waits for to a gate that lets it leave the generator.
    announcing : int
        Rows of a tile on their way into the array that its waves wait for, at most.
    loaded : int
        From the last of these to a wave of MATMUL at the scratchpad; others: ``loaded_at_gate``.
    enter : int
        From an accepted wave to row 0 of the array, or to the accumulators.
    final : int
        From a job's last sums to an output stage that knows its first entry is final.
    free : int
        From a job's last vector, issued, to a feeder that knows its half is free.
    shortest_tile : int
        Cycles from one tile's last wave to the next tile's, at least.
    issue : int
        From a command that the output stage takes to its first vector.
    waiting : int
        Vectors that can wait to be written before none is issued.
    output, second_output, second : int
        From a vector's issue to its write, without and with second operand; what the latter adds before the first one of a command.
    retire : int
        From a command's last write to its completion.
    load_take, row_read : int
        From a command that the loader takes to its first row asked for; from that to its delivery.
    scratchpad : int
        Of the activations: from a request to its answer.
    hand : int
        From a command whose last word is taken to its queue; ``next_command``: to the next one's first word.
    """

    array: int
    offered: int = 0
    send: int = 1
    take: int = 2
    between: int = 1
    pending: int = 2
    gate: int = 0
    announcing: int = max(POWERS_4_TO_64)
    loaded: int = 4
    loaded_at_gate: int = 4
    enter: int = ActivationScratchpad.READ_LATENCY + 1
    final: int = Accumulators.LATENCY + 1
    free: int = 2
    shortest_tile: int = 1
    issue: int = 2
    waiting: int = OutputStage.SLOTS - OutputStage.LATENCY
    output: int = OutputStage.LATENCY
    second_output: int = OutputStage.SECOND_LATENCY
    second: int = SecondOperand.LATENCY
    retire: int = OutputStage.RETIRE
    load_take: int = 2
    row_read: int = WeightScratchpad.READ_LATENCY + 1
    scratchpad: int = ActivationScratchpad.READ_LATENCY
    hand: int = 1
    next_command: int = 0


def latencies(config: NpuConfig) -> Latencies:
    """The latencies of a configuration: each with cuts is that of the hardware's class, or a register that its docstring names."""
    sizes = {"rows": config.rows, "cols": config.cols, "broadcast": config.broadcast}
    array = array_latency(**sizes, pipeline=config.pipeline)
    if not config.pipeline:
        return Latencies(array)
    scratchpad = ActivationScratchpad.read_latency(True)
    take = 1 + StagedFeeder.PREPARED + 1
    output = OutputStage.LATENCY + OutputStage.CUTS
    return Latencies(
        array,
        offered=1 + CHECK_CYCLES + 1,  # the head's register, and the decision's
        send=CHECK_CYCLES + 3,
        take=take,
        between=StagedFeeder.BETWEEN - take,
        pending=StagedFeeder.LATENCY,
        gate=1,
        announcing=2,  # `PlaneHandoff`
        loaded=3,  # row register, count, the reader's decision
        loaded_at_gate=3 + StagedFeeder.LATENCY,
        enter=scratchpad + 1 + StagedFeeder.SENT,
        final=Accumulators.LATENCY + Accumulators.CUTS + 1,
        free=3,
        shortest_tile=ReductionWalk.SETTLES + 1,
        issue=2 + OutputStage.COMMAND_CUTS,
        waiting=OutputStage.SLOTS_IN_STEPS - output - 1,
        output=output,
        second_output=OutputStage.SECOND_LATENCY + OutputStage.SECOND_CUTS,
        second=SecondOperand.LATENCY + SecondOperand.CUTS,
        retire=OutputStage.RETIRE + OutputStage.RETIRE_CUTS,
        load_take=2 + WeightLoader.CUTS,
        row_read=WeightScratchpad.read_latency(True) + 2,  # the register ahead of the array, too
        scratchpad=scratchpad,
        hand=2,  # offered
        next_command=5,  # that the one before was taken counts a cycle later; what its first word means is known three behind it
    )
