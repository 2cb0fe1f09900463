"""The compiler's table of contents: from a graph to a program, one line a pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from golden.hazards import check_hazards
from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import PARAMETER_ROWS, Opcode
from weft.compiler.accumulator import check_accumulators
from weft.compiler.bounds import Homes, check_transfers, check_views
from weft.compiler.checks import check_network, check_plan, check_program
from weft.compiler.dependencies import dependencies
from weft.compiler.fuse import fuse
from weft.compiler.graph import Graph
from weft.compiler.lower import lower
from weft.compiler.memory_plan import MemoryPlan, memory_plan
from weft.compiler.narrow import spread
from weft.compiler.order import order
from weft.compiler.pairs import pair
from weft.compiler.plan import Plan
from weft.compiler.schedule import schedule
from weft.compiler.select import select
from weft.compiler.states import place_states
from weft.compiler.steps import HostOp, Network, channel_by_channel, pixel_by_pixel
from weft.compiler.tile import StepTiler
from weft.compiler.transfers import Action, transfers
from weft.compiler.tuning import USUAL, Tuning
from weft.compiler.weights import weight_image


@dataclass(frozen=True)
class Compiled:
    """What the compiler makes.

    Attributes
    ----------
    program : Program
    host_ops : tuple of HostOp
        Operators that the host computes before and after it.
    graph : Graph
    estimated_cycles : int
        Of the schedule's own simulation.
    plan : Plan
    tuning : Tuning
    network : Network
        Its steps.
    """

    program: Program
    host_ops: tuple[HostOp, ...]
    graph: Graph
    estimated_cycles: int
    plan: Plan
    tuning: Tuning
    network: Network


def compile_graph(
    graph: Graph,
    config: NpuConfig,
    *,
    keep_tensors: bool = False,
    tuning: Tuning = USUAL,
    proven: bool = True,
    announce: Callable[[str], None] = lambda name: None,
) -> Compiled:
    """Compile a network for a configuration.

    Parameters
    ----------
    graph : Graph
    config : NpuConfig
    keep_tensors : bool
        Fuse nothing, so that every tensor of the network is written.
    tuning : Tuning
        What a search may choose.
    proven : bool
        Prove the program sound. A search that compiles many leaves this out, and calls `prove` for the one that it keeps.
    announce : callable
        Called with the name of each pass before it runs.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration; it names the layer and the remedy.
    AssertionError, Hazard, MachineError
        Where the program would be wrong: a fault of the compiler.
    """
    return Compiler(graph, config, keep_tensors=keep_tensors, announce=announce).compile(tuning, proven=proven)


class Compiler:
    """Compiles one network with several tunings; what does not depend on them is done once.

    Parameters
    ----------
    graph, config, keep_tensors, announce
        As of `compile_graph`.
    """

    def __init__(self, graph: Graph, config: NpuConfig, *, keep_tensors: bool = False, announce: Callable[[str], None] = lambda name: None):
        self.graph, self.config, self.keep_tensors, self.announce = graph, config, keep_tensors, announce
        self._selected: Network | None = None
        self._plans: dict[tuple, MemoryPlan] = {}
        self._made: dict[int, list[tuple[list[Action], Compiled]]] = {}  # by the plan, which `_plans` keeps

    def compile(self, tuning: Tuning, *, proven: bool = True) -> Compiled:
        """The program; parameters and errors are those of `compile_graph`."""
        graph, config, run = self.graph, self.config, self._run
        if self._selected is None:
            network = run("select steps", select, graph, config)
            network = network if self.keep_tensors else run("fuse", fuse, network)
            network = run("spread narrow inputs", spread, network, config)
            self._selected = run("pair pixels", pair, network, config)
        network = run("order steps", order, self._selected) if tuning.reorder else self._selected
        run("check network", check_network, network)
        run("check views", check_views, network)
        run("check accumulators", check_accumulators, network, config)
        tilers = [StepTiler(index, step, config, tuning, **_awaited(network, index)) for index, step in enumerate(network.steps)]
        memory = self._memory(network, tilers, tuning)
        run("check memory", check_plan, memory, config)
        actions = run("plan transfers", transfers, network, memory, tilers, config, tuning)
        # all that follows depends on the plan and these alone
        made = self._made.setdefault(id(memory), [])
        compiled = next((compiled for before, compiled in made if before == actions), None)
        if compiled is None:
            compiled = self._compiled(network, tilers, memory, actions, tuning)
            made.append((actions, compiled))
        compiled = replace(compiled, tuning=tuning)
        if proven:
            run("prove", prove, compiled)
        return compiled

    def _compiled(self, network, tilers, memory, actions, tuning) -> Compiled:
        """Actions to a program."""
        config, run = self.config, self._run
        memory, actions = run("place states", place_states, network, memory, actions, config)
        waits = run("find dependencies", dependencies, network, memory, config, actions)
        image = run("lay out weights", weight_image, network, actions, tilers, config)
        merged = run("schedule", schedule, actions, waits, memory, config)
        program = run("lower", lower, network, tilers, memory, image, actions, waits, merged, config)
        homes = Homes(network, memory, image, config)
        run("check transfers", check_transfers, [actions[index] for index in merged.stream], program.commands, homes)
        return Compiled(program, network.host_ops, self.graph, merged.cycles, memory.plan, tuning, network)

    def _run(self, name, step, *arguments):
        self.announce(name)
        return step(*arguments)

    def _memory(self, network, tilers, tuning) -> MemoryPlan:
        """The plan of the memory: of a tuning the order of the steps decides, what a job takes, and what `StepTiler.fir` weighs."""
        filters = any(step.opcode == Opcode.DEPTHWISE for step in network.steps)
        key = tuple(step.name for step in network.steps), tuning.halves, tuning.dependent_cycles if filters else None
        if key not in self._plans:
            self._plans[key] = self._run("plan memory", memory_plan, network, self.config, tilers)
        return self._plans[key]


def _awaited(network: Network, index: int) -> dict:
    """How the step behind one waits for it: arguments of `StepTiler`."""
    step, following = network.steps[index], network.steps[index + 1 : index + 2]
    if not following:
        return {}
    pixels = pixel_by_pixel(step, following[0], network.root)
    weighted = (later for later in network.steps[index + 1 :] if later.weights is not None)
    behind = sum(later.weights.size + PARAMETER_ROWS * later.result.channels for later in weighted)
    return {"awaited": 1 if pixels else 2, "awaited_late": channel_by_channel(step, following[0]), "following": behind}


def prove(compiled: Compiled):
    """Prove that every field of a program fits, and that hardware, which runs three queues at once, computes what stream order says.

    Raises
    ------
    WeftError
        Where a tensor is larger than the fields of a command can say.
    AssertionError, Hazard, MachineError
        Where the program would be wrong: a fault of the compiler.
    """
    check_program(compiled.program, compiled.network)
    check_hazards(compiled.program, whole=True)
