"""Networks with variables: their states in DDR from job to job, against one reference interpreter that keeps its variables."""

from dataclasses import replace

import flatbuffers
import numpy as np
import pytest

from golden.footprint import Hazard
from golden.hazards import check_hazards
from golden.machine import Machine
from golden.program import Layer, Place, Planned, Program, StatePlace
from golden.reference import invoke_reference, load_reference
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import Command, Opcode, Region
from sim.compare import diagnose
from tests.machine_checks import random_inputs
from tests.network_checks import message_of
from tests.random_states import SCALE, STREAMS, Maker
from tests.tflite_builder import BuilderTensor
from weft.cli.main import main
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate, next_states
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import host_after, host_before
from weft.compiler.transfers import Load, Store, transfers

CONFIGS = (PRESETS["small"], NpuConfig(name="tiny", rows=4, cols=4, act_kib=16, weight_kib=8))


@pytest.fixture
def streams(tmp_path):
    """``streams(kind, rng)``: a random network of a kind, and its file's bytes."""

    def make(kind, rng):
        model = STREAMS[kind](rng)
        (tmp_path / "net.tflite").write_bytes(model)
        return read_tflite(tmp_path / "net.tflite"), model

    return make


def assert_stream(graph, model, config, seed, steps=4, **options):
    """Every tensor of each step, on the golden machine and by the golden operators, against the interpreter."""
    compiled = compile_graph(graph, config, **options)
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert==2.3.0")
    interpreter, machine, states = load_reference(model), Machine(compiled.program, fill=0xA5), {}
    for step in range(steps):
        sample = random_inputs(graph, seed * 100 + step)
        values = evaluate(graph, sample | states)
        states = next_states(graph, values)
        result = machine.run(host_before(compiled, sample), writes=True)
        assert diagnose(compiled.program, None, result, values) is None, f"step {step}\n{graph}"
        reached = {name: value for _, name, value in invoke_reference(interpreter, [sample[name] for name in graph.inputs])}
        outputs = host_after(compiled, result.outputs, sample)
        for name in graph.outputs:
            assert np.array_equal(outputs[name], reached[name]), f"step {step}, {name}\n{graph}"
        for name in values.keys() & reached.keys():
            assert np.array_equal(values[name], reached[name]), f"step {step}, {name}\n{graph}"
    return compiled


@pytest.mark.parametrize("kind", STREAMS)
def test_random_streams_equal_the_interpreter_step_by_step(kind, streams, seed):
    rng, copied = np.random.default_rng([seed, *kind.encode()]), 0
    for number in range(4):
        graph, model = streams(kind, rng)
        compiled = assert_stream(graph, model, CONFIGS[number % 2], seed, keep_tensors=number >= 2)
        copied += sum(state.copied for state in compiled.program.states)
    print(f"{kind}: {copied} states were copied at the end")
    assert (copied > 0) == (kind in ("late_read", "swap")), "a copy where the graph needs none, or none where it does"


def test_a_float_function_between_a_read_and_an_assignment_is_a_table(read):
    """Operators of the file are counted with those of its variables, which the graph has no more."""
    make, shape = Maker(np.random.default_rng(1)), (1, 3, 2, 5)
    make.variable("v", shape)
    total = make.add("ADD", (make.read("v", shape), make.tensor("x", shape)), make.tensor("total", shape))
    make.tensors += [BuilderTensor(name, shape, "float32") for name in ("real", "bent")]
    bent = make.add("TANH", (make.add("DEQUANTIZE", (total,), "real"),), "bent")
    make.assign("v", make.add("QUANTIZE", (bent,), make.tensor("y", shape)))
    model = make.model(["x"], [total])
    assert_stream(read(model), model, PRESETS["small"], 1)


def test_a_reset_brings_the_initial_values_back(streams, seed):
    graph, _ = streams("accumulator", np.random.default_rng(seed))
    program = compile_graph(graph, PRESETS["small"]).program
    machine, inputs = Machine(program), random_inputs(graph, seed)
    first, second = machine.run(inputs), machine.run(inputs)
    machine.reset()
    again = machine.run(inputs)
    assert np.array_equal(first.states["v#next"], again.states["v#next"])
    assert not np.array_equal(first.states["v#next"], second.states["v#next"])


def test_old_bytes_that_are_read_after_new_ones_are_a_hazard(streams, seed, monkeypatch):
    """Two variables that change places, each stored over the other's old value: the prover must see it."""
    graph, _ = streams("swap", np.random.default_rng(seed))
    monkeypatch.setattr("weft.compiler.states._read_late", lambda *arguments: False)
    with pytest.raises(Hazard, match="reads bytes of region ARENA that are another tensor's"):
        compile_graph(graph, PRESETS["small"])


@pytest.mark.parametrize(("loads", "verdict"), [(2, "exact"), (1, "overwrites what load 1 uses"), (0, "reads what load 0 writes")])
def test_new_bytes_must_wait_until_the_old_ones_are_loaded(loads, verdict):
    """A job loads its input and its state, and stores the input where the state lies: only after both loads is that right."""
    old, new, x = (Place(name, (64,), "int8", address, 1, 64, 64, Region.ARENA) for name, address in (("v", 0), ("x", 0), ("x", 64)))
    dma = {"region": Region.ARENA, "row_bytes": 64, "rows": 1}
    commands = (
        Planned(Command(Opcode.LOAD, {"dma": dma | {"ddr_offset": 64, "sram_address": 512}}), 0, tensor="x"),
        Planned(Command(Opcode.LOAD, {"dma": dma}), 0, tensor="v"),
        Planned(Command(Opcode.STORE, {"header": {"wait_load": loads}, "dma": dma | {"sram_address": 512}}), 0, reads=("x",)),
    )
    states = (StatePlace("v", old, new, np.zeros(64, np.int8), "x", False),)
    program = Program("hand made", PRESETS["small"], commands, (Layer("layer", "TEST", (1,), 0),), bytes(64), 128, (x,), (), (), states)
    if verdict == "exact":
        check_hazards(program, whole=True)
    else:
        with pytest.raises(Hazard, match=verdict):
            check_hazards(program, whole=True)


def test_new_bytes_wait_for_old_ones_that_no_operator_before_them_reads(read, monkeypatch):
    """The old value comes ahead, for an operator behind the one that makes the new value: of the waits only the store's own knows of it."""

    def ahead(*arguments):
        actions = transfers(*arguments)
        early = [action for action in actions if isinstance(action, Load) and action.tensor == state.old]
        others = [action for action in actions if action not in early]
        first = next(place for place, action in enumerate(others) if isinstance(action, Store))
        return [*others[:first], *early, *others[first:]]

    make, shape = Maker(np.random.default_rng(1)), (1, 3, 40, 8)
    make.variable("v", shape)
    x, old = make.tensor("x", shape, zero_point=0), make.read("v", shape, zero_point=0)
    new = make.add("NEG", (x,), make.tensor("new", shape, zero_point=0))
    make.assign("v", new)
    total = make.add("ADD", (make.add("ADD", (old, x), make.tensor("sum", shape)), new), make.tensor("y", shape))
    model = make.model(["x"], [total])
    graph = read(model)
    (state,) = graph.states
    monkeypatch.setattr("weft.compiler.driver.transfers", ahead)
    compiled = assert_stream(graph, model, PRESETS["small"], 1)  # compiling proves that nothing is overwritten before it was read
    assert [each.copied for each in compiled.program.states] == [False]


def changed(program, index, command):
    """A program with one command in another's place."""
    commands = list(program.commands)
    commands[index] = replace(commands[index], command=command)
    return replace(program, commands=tuple(commands))


def test_a_state_that_a_job_leaves_old_is_a_hazard(streams, seed):
    graph, _ = streams("accumulator", np.random.default_rng(seed))
    program = compile_graph(graph, PRESETS["small"]).program
    (state,) = program.states
    last = program.commands[state.new.complete_after].command
    elsewhere = Command(last.opcode, {**last.fields, "dma": {**last.fields["dma"], "ddr_offset": program.outputs[0].address}})
    with pytest.raises(Hazard, match="bytes in the place of state v that are not its new value"):
        check_hazards(changed(program, state.new.complete_after, elsewhere), whole=True)


def refused(read, change, seen_as=(1, 8)) -> str:
    """What refuses an accumulator of 8 bytes with a change of its maker, in one line."""
    make, shape = Maker(np.random.default_rng(1)), (1, 8)
    make.variable("v", shape)
    x, old = make.tensor("x", shape), make.read("v", seen_as)
    total = make.add("ADD", (x, x), make.tensor("y", shape))
    make.assign("v", total)
    change(make)
    return message_of(read, make.model(["x"], ["y", old]))


def constant_assigned(make):
    make.tensors.append(BuilderTensor("constant", (1, 8), scale=SCALE, zero_point=3, data=np.ones((1, 8))))
    make.assign("v", "constant")


@pytest.mark.parametrize(("change", "words"), [
    (lambda make: make.initial.clear(), "it is read before anything is assigned to it"),
    (lambda make: make.initial.update(v=np.zeros((1, 8), np.float32)), "it is assigned float32 [1, 8] and read as int8 [1, 8]"),
    (lambda make: make.initial.update(v=np.zeros((1, 8), np.uint8)), "it is assigned uint8 [1, 8] and read as int8 [1, 8]"),
    (lambda make: make.initial.update(v=np.zeros((1, 4), np.int8)), "it is assigned int8 [1, 4] and read as int8 [1, 8]"),
    (lambda make: make.add("WHILE", ("v@0", "x"), make.tensor("w", (1, 8))), "while_0 uses its handle"),
    (constant_assigned, "assign_variable_1 (v@0): RESHAPE: its operands must be computed by the network or be its inputs, not constants"),
])  # fmt: skip
def test_a_variable_that_is_no_plain_state_is_refused_with_the_reason(change, words, read):
    assert words in refused(read, change)


def test_a_variable_of_another_size_than_its_reads_is_refused(read):
    """TFLite's kernel would read behind the end of the variable."""
    assert "it is assigned int8 [1, 8] and read as int8 [3, 3]" in refused(read, lambda make: None, (3, 3))


def test_a_variable_that_a_called_subgraph_touches_is_refused(read):
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")

    def call(tree):
        """A WHILE whose body is the subgraph that CALL_ONCE runs."""
        tree.operatorCodes.append(schema.OperatorCodeT(builtinCode=schema.BuiltinOperator.WHILE, deprecatedBuiltinCode=119))
        options = {"builtinOptions": schema.WhileOptionsT(1, 1), "builtinOptionsType": schema.BuiltinOptions.WhileOptions}
        number = len(tree.operatorCodes) - 1
        tree.subgraphs[0].operators.append(schema.OperatorT(opcodeIndex=number, inputs=[], outputs=[], **options))

    tree = schema.ModelT.InitFromPackedBuf(STREAMS["stream"](np.random.default_rng(1)), 0)
    call(tree)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    message = message_of(read, bytes(builder.Output()))
    assert "a subgraph that control flow calls touches it" in message and "it is control flow" in message


def test_samples_of_a_stream_cannot_judge_narrower_weights_one_by_one(models, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((4, 3, 40), np.int8))
    given = (models / "mww2_okay_nabu.tflite", "-o", tmp_path / "out.tflite", "--data", tmp_path / "x.npy")
    assert main(["quantize", *map(str, given), "--quiet"]) == 2
    assert "this network keeps a state from one to the next; leave --data out" in capsys.readouterr().err
