"""The host's part: operators at the edges of a network that the NPU does not run."""

from weft.compiler.driver import Compiled
from weft.compiler.evaluate import EVALUATORS


def host_before(compiled: Compiled, inputs: dict) -> dict:
    """Values of `Program.inputs`, from the network's inputs."""
    values = _run(compiled, inputs, before=True)
    return {place.tensor: values[place.tensor] for place in compiled.program.inputs}


def host_after(compiled: Compiled, outputs: dict) -> dict:
    """Values of the network's outputs, from `Program.outputs`."""
    values = _run(compiled, outputs, before=False)
    return {name: values[name] for name in compiled.graph.outputs}


def _run(compiled, given, *, before):
    values = dict(given)
    for host in compiled.host_ops:
        if host.before == before:
            values[host.operator.outputs[0]] = EVALUATORS[host.operator.op](compiled.graph, host.operator, values)
    return values
