"""Files with several networks: a signature chooses one, and the reference interpreter judges that one."""

from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from golden.operators.lookup import all_bytes
from golden.reference_process import ReferenceProcess
from golden.submodel import with_subgraph_first
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact, random_inputs
from tests.signatures import join_models
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.cli.main import main
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.run.reference_judge import judge

CASE = Path(__file__).parents[4] / "shared" / "cases" / "z01_two_signatures.tflite"
NETWORKS = {"encode": ("RELU", "TANH"), "decode": ("ABS", "EXP", "LOG"), "": ("RELU6",)}
"""For each signature the functions of its network; the last is a subgraph without a signature, by its name ``spare``."""


def chain(ops, name):
    """Functions one after the other; each tensor has a name that the other networks have too, and another place in them."""
    names = ["x", *(f"t{i}" for i in range(len(ops)))]
    tensors = [BuilderTensor(each, (1, 16, 16, 1), scale=0.05) for each in names]
    tensors.insert(0, BuilderTensor("unused", (1,), scale=1.0)) if len(ops) == 3 else None
    operators = [BuilderOperator(op, (a,), (b,)) for op, a, b in zip(ops, names, names[1:])]
    return build_model(tensors, operators, ["x"], names[:0:-1], name=name)


def joined() -> bytes:
    """One file of all `NETWORKS`."""
    return join_models((key, chain(ops, key or "spare")) for key, ops in NETWORKS.items())


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("signatures") / "several.tflite"
    path.write_bytes(joined())
    return path


@pytest.mark.parametrize(("signature", "number"), [(None, 0), ("encode", 0), ("decode", 1), ("spare", 2)])
def test_a_signature_is_compiled_and_judged(file, signature, number):
    graph = read_tflite(file, signature)
    assert graph.subgraph == number
    assert tuple(operator.op for operator in graph.operators) == list(NETWORKS.values())[number]
    assert_exact(graph, PRESETS["small"])
    inputs = random_inputs(graph, 1)
    with ReferenceProcess(file, [inputs["x"]], graph.subgraph) as reference:
        run, values = reference.result(), evaluate(graph, inputs)
    verdict, mismatch = judge(graph, file, run, values)
    assert mismatch is None and verdict.tensors == len(graph.operators)
    values[graph.operators[-1].outputs[0]] = all_bytes("int8").reshape(1, 16, 16, 1)
    assert judge(graph, file, run, values)[1] is not None


def test_an_unknown_signature_lists_those_there_are(file, tmp_path, capsys):
    with pytest.raises(WeftError, match="there is no signature nobody; the file has encode, decode, spare"):
        read_tflite(file, "nobody")
    for command in (["run"], ["compile", "-o", str(tmp_path / "image")], ["traffic"], ["explore"]):
        assert main([command[0], str(file), *command[1:], "--signature", "nobody"]) == 2
        assert "there is no signature nobody; the file has encode, decode, spare" in capsys.readouterr().err


def test_the_reported_file_has_two_networks():
    if not CASE.is_file():
        pytest.skip("no ../shared/cases/z01_two_signatures.tflite: the files of reported faults are kept beside the repository")
    assert [assert_exact(read_tflite(CASE, name), PRESETS["small"]).graph.subgraph for name in (None, "serving_default", "dec")] == [
        0,
        0,
        1,
    ]


def test_what_names_a_subgraph_follows_it(file):
    """Signatures and operators that call a subgraph, when another comes first."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    tree = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
    caller = tree.subgraphs[2].operators[0]
    caller.builtinOptionsType, caller.builtinOptions = (
        schema.BuiltinOptions.IfOptions,
        schema.IfOptionsT(thenSubgraphIndex=0, elseSubgraphIndex=2),
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    moved = schema.ModelT.InitFromPackedBuf(with_subgraph_first(bytes(builder.Output()), 1), 0)
    assert [signature.subgraphIndex for signature in moved.signatureDefs] == [1, 0]
    options = moved.subgraphs[2].operators[0].builtinOptions
    assert (options.thenSubgraphIndex, options.elseSubgraphIndex) == (1, 2)
    assert np.array_equal([len(each.operators) for each in moved.subgraphs], [3, 2, 1])
