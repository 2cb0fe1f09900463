"""The host's part: operators at the edges of a network that the NPU does not run."""

from weft.compiler.driver import Compiled
from weft.compiler.evaluate import EVALUATORS
from weft.compiler.graph import Graph, label_of


def host_before(compiled: Compiled, inputs: dict) -> dict:
    """Values of `Program.inputs`, from the network's inputs."""
    values = _run(compiled, inputs, before=True)
    return {place.tensor: values[place.tensor] for place in compiled.program.inputs}


def host_after(compiled: Compiled, outputs: dict, inputs: dict) -> dict:
    """Values of the network's outputs, from `Program.outputs` and the network's inputs; an output may be an input too, or a constant."""
    values = _run(compiled, _run(compiled, inputs, before=True) | outputs, before=False)
    tensors = compiled.graph.tensors
    return {name: tensors[name].data if tensors[name].constant else values[name] for name in compiled.graph.outputs}


def handed_out(graph: Graph) -> list[str]:
    """A line for each output that the host hands out as it is known: an input of the network, or a constant."""
    kinds = {name: "a constant" for name in graph.outputs if graph.tensors[name].constant}
    kinds |= {name: "an input of the network" for name in graph.outputs if name in graph.inputs}
    return [f"output {label_of(name)} is {kind}: the host hands it out" for name, kind in kinds.items()]


def _run(compiled, given, *, before):
    values = dict(given)
    for host in compiled.host_ops:
        if host.before == before:
            values[host.operator.outputs[0]] = EVALUATORS[host.operator.op](compiled.graph, host.operator, values)
    return values
