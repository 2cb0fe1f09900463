"""TFLite files as trees of tables: what is read is written again, and nothing that nobody touched changes."""

import importlib
import struct

import numpy as np
import pytest
import tflite

from tests.random_operators import OPERATORS
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import DIGITS
from weft.quantize.schema import ITEM_BYTES, OPTIONS, SCHEMA
from weft.quantize.tables import Block, Table, UnknownField, Vector, read_tables, write_tables

UNIONS = {("Operator", 4), ("Operator", 12), ("QuantizationParameters", 5)}


class Recorder:
    """Stands in for a flatbuffers builder and notes what the generated functions ask of it."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


def accessors(kind):
    """Of a table of the `tflite` package how many fields it has, and which of them are offsets."""
    module, recorder = importlib.import_module(f"tflite.{kind}"), Recorder()
    getattr(module, f"{kind}Start")(recorder)
    for name in dir(module):
        if name.startswith(f"{kind}Add"):
            getattr(module, name)(recorder, 1)
    fields = recorder.calls[0][1]
    return fields, {slot for name, slot, *_ in recorder.calls[1:] if "UOffset" in name}


@pytest.mark.parametrize("kind", sorted({*SCHEMA, *OPTIONS.values()} - {"NONE"}))
def test_the_table_of_offsets_agrees_with_the_generated_accessors(kind):
    fields, offsets = accessors(kind)
    known, ours = SCHEMA.get(kind, (fields, {}))
    assert (known, set(ours)) == (fields, offsets)
    for slot, target in ours.items():
        assert target.strip("[]") in SCHEMA or target in ITEM_BYTES or target in ("string", "unsupported", "BuiltinOptions")
        assert (target in ("unsupported", "BuiltinOptions")) or (kind, slot) not in UNIONS


def plain(thing):
    """A tree of the newest schema's objects as values that can be compared."""
    if isinstance(thing, (list, tuple)):
        return [plain(item) for item in thing]
    if isinstance(thing, np.ndarray):
        return thing.tolist()
    return {name: plain(value) for name, value in vars(thing).items()} if hasattr(thing, "__dict__") else thing


def contents(content):
    """Everything in a file, by the newest schema."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    return plain(schema.ModelT.InitFromPackedBuf(content, 0))


def assert_kept(content):
    written = write_tables(read_tables(content))
    assert contents(written) == contents(content)
    assert write_tables(read_tables(written)) == written


def test_a_file_of_the_converter_is_written_as_it_was():
    assert_kept(DIGITS.read_bytes())


@pytest.mark.parametrize("name", ["mlperf_kws_dscnn_int8", "mlperf_sww_int8", "tflm_person_detect_int8", "synth_kwt1_int8"])
def test_other_converters_files_are_written_as_they_were(models, name):
    assert_kept((models / f"{name}.tflite").read_bytes())


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_every_operators_options_are_written_as_they_were(op, seed):
    assert_kept(OPERATORS[op](np.random.default_rng(seed)))


def tiny():
    tensors = [BuilderTensor(name, (1, 4), scale=0.5) for name in "xy"]
    return build_model(tensors, [BuilderOperator("RESHAPE", ("x",), ("y",), {"new_shape": (1, 4)})], ["x"], ["y"])


def test_numbers_and_children_get_new_values_and_absent_fields_a_place():
    model = read_tables(tiny())
    code = model.children[1].items[0]
    assert code.number(2, "i", 1) == 1
    code.set_number(2, "i", 5)
    assert (code.number(2, "i"), code.number(3, "i")) == (5, tflite.BuiltinOperator.RESHAPE)
    code.set_child(1, Block(b"name", 1, 1, string=True))
    written = tflite.Model.GetRootAs(write_tables(model), 0)
    read = written.OperatorCodes(0)
    assert (read.Version(), read.BuiltinCode(), read.CustomCode()) == (5, 22, b"name")


def test_a_wide_number_gets_an_aligned_place():
    table = Table("Buffer", phase=4)
    table.set_number(1, "Q", 77)
    assert (table.phase + table.slots[1]) % 8 == 0
    model = read_tables(tiny())
    model.children[4].items.append(table)
    written = tflite.Model.GetRootAs(write_tables(model), 0)
    assert written.Buffers(written.BuffersLength() - 1).Offset() == 77


def test_what_two_tables_share_stays_one():
    model = read_tables(tiny())
    first, second = model.children[2].items[0].children[0].items
    second.children[3] = first.children[3]
    again = read_tables(write_tables(model))
    first, second = again.children[2].items[0].children[0].items
    assert first.children[3] is second.children[3]
    assert second.children[3].raw == b"x"


def test_data_stands_on_16_bytes():
    model = read_tables(DIGITS.read_bytes())
    content = write_tables(model)
    for buffer in model.children[4].items:
        if 0 in buffer.children and len(raw := buffer.children[0].raw) > 16:
            assert content.find(struct.pack("<I", len(raw)) + raw) % 16 == 12


@pytest.mark.parametrize(("kind", "slot"), [("Operator", 14), ("Model", 8), ("Tensor", 6), ("QuantizationParameters", 5)])
def test_fields_that_cannot_be_carried_over_are_refused(kind, slot):
    model = read_tables(tiny())
    graph = model.children[2].items[0]
    tensor = graph.children[0].items[0]
    tables = {"Model": model, "Operator": graph.children[3].items[0], "Tensor": tensor, "QuantizationParameters": tensor.children[4]}
    tables[kind].set_child(slot, Table("Buffer"))
    with pytest.raises(UnknownField, match=rf"{kind} has field {slot} of the schema"):
        read_tables(write_tables(model))


def test_damaged_files_are_read_or_end_in_an_exception_that_is_meant(seed):
    rng, model = np.random.default_rng(seed), tiny()
    ends = 0
    for _ in range(2000):
        changed = np.frombuffer(model, np.uint8).copy()
        where = rng.integers(0, len(model), rng.integers(1, 4))
        changed[where] = rng.choice([0, 1, 0x7F, 0x80, 0xFF], where.size)
        try:
            tree = read_tables(changed.tobytes())
        except (struct.error, ValueError):
            ends += 1
            continue
        assert isinstance(tree, Table)
    assert 0 < ends < 2000


def test_the_rewritten_file_runs_in_the_reference_interpreter(seed):
    rng = np.random.default_rng(seed)
    content = OPERATORS["CONV_2D"](rng)
    graph = read_tables(content).children[2].items[0]
    assert isinstance(graph.children[0], Vector)
    shape = tuple(np.frombuffer(next(t for t in graph.children[0].items if t.children[3].raw == b"x").children[0].raw, "<i4"))
    x = rng.integers(-128, 128, shape).astype(np.int8)
    assert np.array_equal(run_reference(write_tables(read_tables(content)), [x])["y"], run_reference(content, [x])["y"])


def test_a_cut_file_never_loops():
    model = tiny()
    assert all(refusal_of(model[:size]) for size in range(4, len(model) - 8, 4))


def refusal_of(content):
    """Whether it ends, in whatever way."""
    try:
        return isinstance(read_tables(content), Table)
    except (struct.error, ValueError):
        return True
