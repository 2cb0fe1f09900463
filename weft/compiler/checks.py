"""What holds between the passes; an assertion that fails is a defect of the compiler, not the user's."""

from itertools import combinations

from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, QUEUE_OF
from weft.compiler.memory_plan import Buffer, MemoryPlan
from weft.compiler.steps import Network


def check_network(network: Network):
    """Every step reads what is an input or was made before, and every tensor is made once."""
    known = {network.root[name] for name in network.inputs}
    for step in network.steps:
        for name in step.reads:
            assert network.root[name] in known, f"{step.name} reads {name}, which nothing has made"
        again = step.output in known and step.output_view is None
        assert not again, f"{step.name} makes {step.output} again"
        known.add(step.output)
    for name in network.outputs:
        assert network.root[name] in known, f"nothing makes the output {name}"


def check_plan(plan: MemoryPlan, config: NpuConfig):
    """Tensors lie inside the scratchpad, and two that live together do not overlap."""
    present: dict[int, list[Buffer]] = {}
    for (number, _), buffer in plan.buffers.items():
        present.setdefault(number, []).append(buffer)
    for number, buffers in present.items():
        for buffer in buffers:
            assert buffer.address >= 0 and buffer.address + buffer.size <= config.act_bytes, f"{buffer} lies outside"
        over = plan.plan.segments[number].overwritten
        for a, b in combinations(buffers, 2):
            if over in (a.tensor, b.tensor) and a.address == b.address:
                continue
            assert a.address + a.size <= b.address or b.address + b.size <= a.address, f"{a} and {b} overlap"


def check_program(program: Program, network: Network):
    """A wait names only what stands earlier, and every field fits.

    Raises
    ------
    WeftError
        Where a tensor is larger than the fields of a command can say: the one failure that is the user's.
    """
    counts = {"load": 0, "exec": 0, "store": 0}
    for index, planned in enumerate(program.commands):
        command = planned.command
        header = command["header"]
        waits = [(queue, header[f"wait_{queue}"]) for queue in counts]
        if command.opcode in EXECUTE:
            waits.append(("load", command["weights"]["wait_load"]))
        for queue, wait in waits:
            assert (counts[queue] - wait) % (1 << 16) < 1 << 15, f"command {index} waits for a later {queue}"
        try:
            command.pack()
        except WeftError as error:
            file, layer = network.graph.file, network.steps[planned.layer].title
            raise WeftError(error.message, file=file, layer=layer, remedy="use a smaller tensor, or cut it in the network") from None
        counts[QUEUE_OF[command.opcode]] += 1
