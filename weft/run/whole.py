"""A whole file as steps in order: programs for the NPU, and sub-models that the host runs in between.

`compile_whole` cuts the file, and cuts it again where the configuration cannot run an operator that the cut gave to the NPU, until
every part of the NPU is compiled.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from golden.host_process import SubModel
from golden.reference_process import ReferenceRun
from golden.submodel import ModelTree
from hw.npu.config import NpuConfig
from hw.npu.errors import Finding, WeftError
from weft.analysis.search import Searched, search
from weft.compiler.cut.division import Part, absorbed, absorbed_islands, divide, torn_states
from weft.compiler.cut.labels import Labels, label, newly_refused
from weft.compiler.driver import Compiled, compile_graph
from weft.compiler.fold import fold
from weft.compiler.frontends.network_file import NetworkFile
from weft.compiler.frontends.tflite import corruption_of, file_tensor_names
from weft.compiler.frontends.unsupported import CUSTOM, STATEFUL, VARIABLES
from weft.compiler.frontends.verdict import judge, real_model, rewrite
from weft.compiler.graph import Graph, Operator, Tensor
from weft.run.progress import Steps

Tuned = tuple[Compiled, Searched | None]
"""A part of the NPU, compiled, and how it was found where a search found it."""
NAMED = 3
"""Operators that the message of a network without work for the NPU names."""


@dataclass(frozen=True, eq=False)
class NpuStep:
    """A program.

    Attributes
    ----------
    name : str
        Unique among the steps.
    compiled : Compiled
    searched : Searched or None
        How it was found, where a search found it.
    """

    name: str
    compiled: Compiled
    searched: Searched | None = None


@dataclass(frozen=True, eq=False)
class HostStep:
    """What the host runs between two programs, before the first or after the last.

    Attributes
    ----------
    name : str
        Unique among the steps.
    part : Graph
        Its operators; `inputs` and `outputs` are tensors of the network.
    reasons : dict of str to Finding
        Why, for each of its operators.
    submodel : SubModel
    keeps_state : bool
        What it computes depends on the frames before.
    """

    name: str
    part: Graph
    reasons: dict[str, Finding]
    submodel: SubModel
    keeps_state: bool


@dataclass(frozen=True, eq=False)
class Whole:
    """A file, compiled.

    Attributes
    ----------
    graph : Graph
        The file's operators that are left after folding, whoever runs them; the network's inputs and outputs.
    steps : tuple of NpuStep or HostStep
        In the order of execution; there is an NpuStep.
    dynamic : frozenset of str
        Tensors of the host whose shape is known only when the network runs.
    """

    graph: Graph
    steps: tuple[NpuStep | HostStep, ...]
    dynamic: frozenset[str] = frozenset()

    @property
    def npu_steps(self) -> tuple[NpuStep, ...]:
        """The programs."""
        return tuple(step for step in self.steps if isinstance(step, NpuStep))

    @property
    def host_steps(self) -> tuple[HostStep, ...]:
        """What is none."""
        return tuple(step for step in self.steps if isinstance(step, HostStep))

    @cached_property
    def on_npu(self) -> Graph:
        """The operators that the compiler gave to the NPU, and the edges that it leaves to its host, as it sees them."""
        if not self.host_steps:
            return self.npu_steps[0].compiled.graph
        operators = tuple(operator for step in self.npu_steps for operator in step.compiled.graph.operators)
        tensors: dict[str, Tensor] = {}
        for step in self.npu_steps:
            tensors |= step.compiled.graph.tensors
        ends = {name: self.graph.tensors[name] for name in (*self.graph.inputs, *self.graph.outputs)}
        states = tuple(state for step in self.npu_steps for state in step.compiled.graph.states)
        shifted = frozenset().union(*(step.compiled.graph.shifted for step in self.npu_steps))
        return replace(self.graph, tensors=ends | tensors, operators=operators, states=states, shifted=shifted)

    @property
    def searched(self) -> tuple[Searched, ...]:
        """How the programs were found, where a search found them."""
        return tuple(step.searched for step in self.npu_steps if step.searched is not None)

    def refuse_failing_host(self, run: ReferenceRun):
        """Refuse a network of which the reference interpreter cannot run an operator that is the host's.

        Raises
        ------
        WeftError
            It names the operator, and what became of the interpreter.
        """
        names = file_tensor_names(self.graph.file, self.graph.subgraph)
        for operator in (operator for step in self.host_steps for operator in step.part.operators):
            if run.stop is not None and run.stop.tensor >= 0 and names[run.stop.tensor] in operator.outputs:
                raise WeftError(
                    f"the host cannot run it, the reference interpreter {run.version} itself fails: {run.stop.reason}",
                    file=self.graph.file, layer=operator.title, remedy="give other input values, or convert the network again",
                )  # fmt: skip

    def with_custom_layer(self, error: WeftError) -> WeftError:
        """The interpreter's refusal of the file, with the layer of the custom operator that it does not know, if that is why."""
        customs = (operator for step in self.host_steps for operator in step.part.operators if operator.op.startswith(CUSTOM))
        for operator in customs:
            if f"({operator.op.removeprefix(CUSTOM)})" in error.message:
                remedy = "end the network before it, and compute the rest on the host"
                return WeftError(error.message, file=error.file, layer=operator.title, remedy=remedy)
        return error

    def only(self, what: str) -> NpuStep:
        """The program of a network that has one.

        Raises
        ------
        WeftError
            If it has several: `what` cannot be had of them.
        """
        if len(self.npu_steps) != 1:
            raise WeftError(
                f"is {len(self.npu_steps)} programs with host steps between them, and {what} is of one",
                file=self.graph.file, remedy="weft run and weft compile take all of them; --no-host says which operators are in the way",
            )  # fmt: skip
        return self.npu_steps[0]


def whole_of(compiled: Compiled, searched: Searched | None = None) -> Whole:
    """A network that the NPU runs alone."""
    return Whole(compiled.graph, (NpuStep("npu", compiled, searched),))


def compile_whole(
    file: NetworkFile, config: NpuConfig, *, keep_tensors: bool = False, thorough: bool = True, steps: Steps | None = None
) -> Whole:
    """Cut a file and compile its parts.

    Parameters
    ----------
    file : NetworkFile
    config : NpuConfig
    keep_tensors : bool
        Every tensor of a program has a place of its own.
    thorough : bool
        Search for each program's best tuning; else all have the usual one.
    steps : Steps, optional

    Raises
    ------
    WeftError
        If the NPU can run none of its operators, or the file is damaged.
    """

    def compiler(graph: Graph) -> Tuned:
        if not thorough:
            return compile_graph(graph, config, keep_tensors=keep_tensors), None
        searched = search(graph, config, keep_tensors=keep_tensors)
        return searched.compiled, searched

    refused: dict[str, Finding] = {}
    bound: dict[str, str] = {}
    programs: dict[tuple, Tuned] = {}
    while True:
        with corruption_of(file.graph.file):
            labels = label(file, refused, bound)
            _refuse_all_host(file, labels)
            parts = _parts(file, labels)
        islands = absorbed_islands(labels.graph, parts)
        if islands:
            refused |= _members(file, labels, islands)
            continue
        torn = _torn(file, labels, parts)
        if torn:
            bound |= torn
            continue
        found = _compile(file, parts, programs, compiler, steps or Steps(quiet=True))
        if not found:
            return Whole(labels.graph if labels.host else parts[0].graph, tuple(_made(file, parts, programs)), labels.dynamic)
        refused |= newly_refused(file, labels.host, found)


def check_whole(file: NetworkFile):
    """Refuse a file that no configuration runs: a damaged one, or one of which the NPU knows no operator.

    Raises
    ------
    WeftError
    """
    with corruption_of(file.graph.file):
        _refuse_all_host(file, label(file, {}))


def in_part(file: NetworkFile) -> list[Finding]:
    """Why the NPU does not run operators of a file that it runs in part, whatever its configuration: one of each, in the file's order.

    Empty where it runs all of them, or none, or the file is damaged.
    """
    try:
        check_whole(file)
    except WeftError:
        return []
    labels = label(file, {})
    return [replace(labels.host[each.name], subject=each.op) for each in labels.graph.operators if each.name in labels.host]


def _parts(file: NetworkFile, labels: Labels) -> list[Part]:
    """The parts, those of the NPU as the compiler takes them."""
    if labels.host:
        return [replace(part, graph=rewrite(fold(part.graph))) if part.on_npu else part for part in divide(labels)]
    graph = file.rewritten()
    return [Part(True, judge(graph, frozenset(file.broken) & graph.tensors.keys(), file.findings), {})]


def _members(file: NetworkFile, labels: Labels, islands: list[Operator]) -> dict[str, Finding]:
    """The file's operators for which islands stand that the host has, and why it does; not those that another operator stands for too."""
    others = {name for operator in labels.graph.operators if operator not in islands for name in operator.members}
    names = {name for island in islands for name in island.members} - others
    return {operator.name: absorbed(operator) for operator in file.graph.operators if operator.name in names}


def _torn(file: NetworkFile, labels: Labels, parts: list[Part]) -> dict[str, str]:
    """Variables that the cut leaves to no single program, and why they stay what they are in the file."""
    on_host = [operator for part in parts if not part.on_npu for operator in part.graph.operators if operator.op not in VARIABLES]
    names = [*torn_states(labels.graph, parts), *filter(None, (file.variable_of(operator.name) for operator in on_host))]
    return dict.fromkeys(names, "no single program reads and assigns it")


def _compile(
    file: NetworkFile, parts: list[Part], programs: dict[tuple, Tuned], compiler: Callable[[Graph], Tuned], steps: Steps
) -> list[tuple[Operator, Finding]]:
    """Compile the parts of the NPU that are not among the programs yet; the operators that could not be, with the reason of each."""
    found: list[tuple[Operator, Finding]] = []
    wanted = [part.graph for part in parts if part.on_npu]
    for number, graph in enumerate(wanted, 1):
        if _key(graph) in programs:
            continue
        which = f" (program {number} of {len(wanted)})" if len(wanted) > 1 else ""
        with steps.stage(f"compiling {graph.name}{which}"):
            try:
                programs[_key(graph)] = compiler(graph)
            except WeftError as error:
                found += blamed(graph, error, file.numbers)
    return found


def _key(graph: Graph) -> tuple:
    return tuple(operator.stands_for for operator in graph.operators), graph.inputs, graph.outputs


def blamed(graph: Graph, error: WeftError, in_file: Container[str]) -> list[tuple[Operator, Finding]]:
    """The operators that an error of the compiler is about, each with what it says.

    One that names no layer is about the operator with the most bytes; one about an operator that a pass put between those of the file
    is about its neighbours, which are why it stands there.
    """
    named = [operator for operator in graph.operators if operator.title in error.layers]
    if not named:
        named = [max(graph.operators, key=lambda each: sum(graph.tensors[name].size for name in each.outputs))]
    found = {other.name: other for each in named for other in _of_file(graph, each, in_file)}
    return [(each, Finding(each.op, error.message, each.title, error.remedy)) for each in found.values()]


def _of_file(graph: Graph, operator: Operator, in_file: Container[str]) -> list[Operator]:
    """The operator, or, if the file has none for which it stands, those that read it, or else make what it reads."""
    if any(name in in_file for name in operator.stands_for):
        return [operator]
    readers = graph.consumers()
    around = [each for name in operator.outputs for each in readers[name]]
    around = around or [each for each in graph.operators if not set(each.outputs).isdisjoint(operator.inputs)]
    return [each for each in around if any(name in in_file for name in each.stands_for)] or [operator]


def _refuse_all_host(file: NetworkFile, labels: Labels):
    """A network of which the NPU runs nothing."""
    graph = labels.graph
    if any(operator.name not in labels.host for operator in graph.operators):
        return
    finding = real_model(file.graph)
    if finding is not None:
        raise WeftError(finding.sentence, file=graph.file, layer=finding.layer, remedy=finding.remedy)
    kinds: dict[str, Finding] = {}
    for operator in graph.operators:
        kinds.setdefault(operator.op, labels.host[operator.name])
    said = [f"layer {finding.layer}: {finding.sentence}" for finding in list(kinds.values())[:NAMED]]
    more = f"; and {len(kinds) - NAMED} more kinds of operators" if len(kinds) > NAMED else ""
    raise WeftError(
        f"the NPU can run none of its {len(graph.operators)} operators: {'; '.join(said)}{more}",
        file=graph.file, remedy=next(iter(kinds.values())).remedy or "all of it would run on the host",
    )  # fmt: skip


def _made(file: NetworkFile, parts: list[Part], programs: dict[tuple, Tuned]) -> Iterator[NpuStep | HostStep]:
    """The steps; one that is alone of its kind goes by the kind's name."""
    tree = ModelTree(file.content, file.graph.subgraph) if len(parts) > 1 else None
    for number, part in enumerate(parts):
        alone = sum(part.on_npu == other.on_npu for other in parts) == 1
        name = ("npu" if part.on_npu else "host") + ("" if alone else f"_{number}")
        if part.on_npu:
            yield NpuStep(name, *programs[_key(part.graph)])
        else:
            assert tree is not None
            keeps_state = any(operator.op in (*STATEFUL, *VARIABLES) for operator in part.graph.operators)
            yield HostStep(name, part.graph, part.reasons, _submodel(tree, part.graph, file), keeps_state)


def _submodel(tree: ModelTree, part: Graph, file: NetworkFile) -> SubModel:
    raw = file.graph
    index: dict[str | None, int] = {name: number for number, name in enumerate(file_tensor_names(raw.file, raw.subgraph))}
    index[None] = -1
    folded = {name: tensor.data for name, tensor in part.tensors.items() if tensor.data is not None and not raw.tensors[name].constant}
    content = tree.part(
        {file.numbers[operator.name]: [index[name] for name in operator.inputs] for operator in part.operators},
        [index[name] for name in part.inputs],
        [index[name] for name in part.outputs],
        {index[name]: value for name, value in folded.items()},
    )
    return SubModel(content, part.inputs, part.outputs, tuple(operator.title for operator in part.operators))
