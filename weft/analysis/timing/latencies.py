"""Cycles from one part of the NPU to another."""

from dataclasses import dataclass

from hw.npu.array.accumulators import Accumulators
from hw.npu.array.array import array_latency
from hw.npu.config import NpuConfig
from hw.npu.control.execute_checks import CHECK_CYCLES
from hw.npu.feed.feed_gate import FeedGate
from hw.npu.feed.feeder import Feeder
from hw.npu.feed.step_counts import StepCounts
from hw.npu.feed.step_issuer import StepIssuer
from hw.npu.output.output_stage import OutputStage
from hw.npu.scratchpad.port_queue import PortQueue
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
    fillers : int
        From a command's last wave in the generator to the first of its fillers, beyond the next cycle.
    near : int
        From an accepted wave to a gate that knows that it is in the array.
    pending : int
        From a wave that leaves the generator to the scratchpad.
    gate : int
        From a count of tokens, or an array that is empty, to a gate that lets a wave leave the generator.
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
        Vectors between their issue and their bank, at most; ``room``: from the write of the one that makes room to the issue.
    write_ahead : int
        By which a write is offered before a read of the feeder that meets it at the arbiter is accepted.
    output, second_output : int
        From a vector's issue to its write, without and with second operand.
    turn : int
        From the issue of a vector with a second operand to the cycle in which none is issued, since the first is in the scale again.
    retire : int
        From a command's last write to its completion.
    load_take, row_read : int
        From a command that the loader takes to its first row asked for; from that to its delivery.
    scratchpad : int
        Of the activations: from a request to its answer.
    hand : int
        From a command whose last word is taken to its queue; ``next_command``: from there to the next one's first word.
    judged : int
        Cycles that a command's words stand behind its first one, until it is known what that means.
    """

    array: int
    offered: int
    send: int
    take: int
    between: int
    fillers: int
    near: int
    pending: int
    gate: int
    announcing: int
    loaded: int
    loaded_at_gate: int
    enter: int
    final: int
    free: int
    shortest_tile: int
    issue: int
    waiting: int
    room: int
    write_ahead: int
    output: int
    second_output: int
    turn: int
    retire: int
    load_take: int
    row_read: int
    scratchpad: int
    hand: int
    next_command: int
    judged: int


def latencies(config: NpuConfig) -> Latencies:
    """The latencies of a configuration: each is that of the hardware's class, or a register that its docstring names."""
    loaded = 2 + config.stream_registers  # count, the reader's decision; the announcement
    pending = Feeder.latency(config.stream_registers)
    sizes = {"rows": config.rows, "cols": config.cols, "broadcast": config.broadcast}
    more = {"multiplier_registers": config.multiplier_registers}
    stage = OutputStage(
        cols=config.cols,
        lanes=config.lanes,
        accumulator_bits=config.accumulator_bits,
        depth=config.ACCUMULATOR_DEPTH,
        size=config.act_bytes,
        read_latency=ActivationScratchpad.answer_latency(config.memory_registers),
        **more,
        memory_registers=config.memory_registers,
    )
    return Latencies(
        array=array_latency(**sizes, **more),
        offered=CHECK_CYCLES + 1,  # the decision's register
        send=CHECK_CYCLES + 2,
        take=StepIssuer.TAKE,
        between=StepIssuer.BETWEEN - StepIssuer.TAKE,
        fillers=StepIssuer.ENDED,
        near=StepCounts.NEAR,
        pending=pending,
        gate=FeedGate.LATE,
        announcing=2,  # `PlaneHandoff`
        loaded=loaded,
        loaded_at_gate=loaded + pending,
        enter=Feeder.enter(config.memory_registers),
        final=Accumulators.latency(config.memory_registers) + 1,
        free=3,
        shortest_tile=ReductionWalk.SETTLES + 1,
        issue=OutputStage.COMMAND_GAP,
        waiting=stage.slots + PortQueue.ROOM - 1,  # one place may be claimed before it is known
        room=PortQueue.LATENCY + 1 + 4,  # the queue moves on; accepted, counted, free, issued
        write_ahead=PortQueue.LATENCY - ActivationScratchpad.ahead(config.memory_registers),
        output=stage.latency,
        second_output=stage.second_latency,
        turn=stage.pipeline.turn,
        retire=OutputStage.RETIRE,
        load_take=WeightLoader.TAKE,
        row_read=WeightScratchpad.read_latency(config.memory_registers) + 2,  # the register ahead of the array, too
        scratchpad=ActivationScratchpad.answer_latency(config.memory_registers),
        hand=2,  # offered
        next_command=2,  # that the one before was taken counts a cycle later
        judged=3,  # compared, chosen, open again
    )
