"""Compile a graph, run it on the golden machine, and compare every tensor with the golden operators."""

import numpy as np

from golden.machine import Machine
from sim.compare import diagnose
from weft.compiler.driver import Compiled, compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.graph import Graph
from weft.compiler.host import host_after, host_before
from weft.compiler.select import ALIASES


def random_inputs(graph: Graph, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    values = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        signed = rng.integers(-128, 128, tensor.shape).astype(np.int8)
        values[name] = signed.astype(np.float32) / 16 if tensor.dtype == "float32" else signed.view(tensor.dtype)
    return values


def assert_exact(graph: Graph, config, *, keep_tensors=False, seed=0, fill=0xA5, inputs=None) -> Compiled:
    """Every tensor that the program writes, and every output of the network, equals the golden operators'. Inputs are random, or given."""
    compiled = compile_graph(graph, config, keep_tensors=keep_tensors)
    inputs = random_inputs(graph, seed) if inputs is None else inputs
    expected = evaluate(graph, inputs)
    result = Machine(compiled.program, fill=fill).run(host_before(compiled, inputs), writes=True)
    outputs, mismatch = host_after(compiled, result.outputs, inputs), diagnose(compiled.program, None, result, expected)
    where = f"seed {seed}, {config.rows}x{config.cols}"
    for name, value in {**result.tensors, **outputs}.items():
        wrong = np.argwhere(np.asarray(value) != expected[name])
        assert not len(wrong), (
            f"{where}: tensor {name} {value.shape}: {len(wrong)} wrong, first at {tuple(wrong[0])}: "
            f"expected {expected[name][tuple(wrong[0])]}, got {value[tuple(wrong[0])]}; the verdict is {mismatch or 'yes'}, "
            f"wrong outputs are {[each for each in outputs if not np.array_equal(outputs[each], expected[each])]}"
        )
    assert mismatch is None, f"{where}: every tensor is right, but the verdict is {mismatch}"
    if keep_tensors:
        missing = {name for operator in graph.operators for name in operator.outputs} - set(result.tensors) - _renamed_inputs(graph)
        assert missing <= {name for host in compiled.host_ops for name in host.operator.outputs}, f"not written: {missing}"
    return compiled


def _renamed_inputs(graph: Graph) -> set[str]:
    """Aliases of inputs: rows of these that nobody reads are not loaded."""
    found = set(graph.inputs)
    for operator in graph.operators:
        if operator.op in ALIASES and operator.inputs[0] in found:
            found |= set(operator.outputs)
    return found
