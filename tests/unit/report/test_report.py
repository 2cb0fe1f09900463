"""The report on made-up records, with sums that are done by hand here."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from golden.machine_stream import stream_bytes
from golden.program import Layer, Planned, Program
from hw.npu.config import PRESETS
from hw.npu.interface.isa import Command, Opcode, Target
from hw.npu.interface.records import RECORD
from weft.analysis.energy import HOROWITZ_45NM, array_element, command_energy
from weft.compiler.graph import Graph, Operator, Tensor
from weft.report.precision import int4_operators
from weft.report.report import CAUSES, build_report
from weft.report.tables import print_report

SMALL = PRESETS["small"]
LOOPS = {"block_rows": 4, "block_cols": 4, "taps_y": 3, "taps_x": 3, "lanes": 16, "span": 1, "column_tiles": 1, "last_cols": 16}


def record(**values):
    """A record with zeros where nothing is given."""
    return {field.name: 0 for field in RECORD} | values


def example():
    """Two layers: load, matmul, matmul, store. Windows end at 300 and 500, the job at 520."""
    load = Command(Opcode.LOAD, {"dma": {"target": Target.WEIGHTS}})
    matmul = Command(Opcode.MATMUL, {"loops": LOOPS, "weights": {"params": 2}})
    commands = (Planned(load, 0), Planned(matmul, 0), Planned(matmul, 1), Planned(Command(Opcode.STORE, {}), 1))
    layers = (Layer("first", "CONV_2D", (1, 4, 4, 16), 25_600), Layer("second", "CONV_2D+ADD", (1, 4, 4, 16), 25_600))
    records = [
        record(ddr_read_bytes=1000, sram_write_bytes=1000, start=5, end=150),
        record(start=0, end=300, active=144, stall_ddr_read=150, stall_command=6, sram_read_bytes=5000, sram_write_bytes=256),
        record(start=300, end=500, active=144, stall_weights=56, sram_read_bytes=5000, sram_write_bytes=256),
        record(ddr_write_bytes=256, sram_read_bytes=256, start=505, end=518),
    ]
    return Program("example", SMALL, commands, layers, b"", 0, (), (), ()), records


def test_a_run_that_was_not_in_a_soc_has_no_keys_of_one():
    content = build_report(*example(), 520).to_json()
    assert "soc" not in content and all("cycles_alone" not in layer for layer in content["layers"])


def test_cycles_of_the_layers_sum_to_the_total():
    report = build_report(*example(), 520)
    assert [layer.cycles for layer in report.layers] == [300, 220]
    assert report.layers[1].stalls["drain"] == 20
    for layer in report.layers:
        assert layer.active + sum(layer.stalls.values()) == layer.cycles
    assert set(report.stalls) == set(CAUSES)


def test_figures_by_hand():
    report = build_report(*example(), 520, clock_mhz=100)
    first = report.layers[0]
    assert first.utilization == pytest.approx(25_600 / (300 * 256))
    assert first.ddr_bytes == {"read": 1000, "write": 0}
    assert first.sram_bytes == {"read": 5000, "write": 1256}
    assert report.ddr_bytes == {"read": 1000, "write": 256}
    assert report.utilization == pytest.approx(51_200 / (520 * 256))
    assert report.latency_ms == pytest.approx(0.0052)
    # 144 waves of 256 products and sums: 144 * 256 * 0.3 pJ
    assert first.energy_parts_uj["array"] == pytest.approx(144 * 256 * 0.3e-6)
    # 1000 bytes of DRAM at 1300 pJ for 8 bytes
    assert first.energy_parts_uj["ddr"] == pytest.approx(1000 / 8 * 1300e-6)
    assert first.energy_uj == pytest.approx(sum(first.energy_parts_uj.values()))
    # 300 cycles at 100 MHz are 3 us; uJ / us is W
    assert first.power_mw == pytest.approx(first.energy_uj / 3 * 1000)
    assert report.energy_uj == pytest.approx(sum(layer.energy_uj for layer in report.layers))


def int4_example(opcodes=(Opcode.MATMUL_INT4, Opcode.DEPTHWISE_INT4)):
    """Two layers of the widths of `opcodes` on an array with int4: 300 cycles, then 200 and a drain of 20."""
    program, records = example()
    loops = LOOPS | {"positions": 6, "stride": 1}
    commands = [Planned(Command(opcode, {"loops": loops, "weights": {"params": 2}}), layer) for layer, opcode in enumerate(opcodes)]
    load, _, _, store = program.commands
    return dataclasses.replace(program, config=SMALL.replace(int4=True), commands=(load, *commands, store)), records


def test_a_product_of_4_bits_is_held_against_twice_the_multipliers_and_a_filter_is_not():
    report = build_report(*int4_example(), 520)
    product, depthwise = report.layers
    assert (product.precision, product.peak_macs) == ("int4", 300 * 512)
    assert (depthwise.precision, depthwise.peak_macs) == ("int4", 220 * 256)
    assert product.utilization == 25_600 / (300 * 512)
    assert depthwise.utilization == 25_600 / (220 * 256)
    assert report.peak_macs == 300 * 512 + 220 * 256
    assert report.utilization == 51_200 / report.peak_macs


def test_8_bit_layers_of_an_array_with_int4_are_held_against_its_elements():
    report = build_report(*int4_example((Opcode.MATMUL, Opcode.SUM)), 520)
    assert [layer.precision for layer in report.layers] == ["int8", ""]
    assert report.peak_macs == 520 * 256
    assert report.notes == ()


def test_a_report_says_where_4_bits_gain_less_than_expected():
    (note,) = build_report(*int4_example(), 520, int4_operators=2).notes
    assert note == "1 depthwise layer with 4-bit weights computed at INT8's rate; the weights took half the bytes"
    assert build_report(*example(), 520).notes == ()
    (note,) = build_report(*example(), 520, int4_operators=2).notes
    assert note == "4-bit weights of 2 layers ran as INT8, at its rate and bytes; --set int4=true runs them as INT4"


def test_the_widths_are_shown_where_the_array_knows_both(capsys):
    console = Console(width=110, force_terminal=False)
    print_report(build_report(*example(), 520), console)
    assert "weights  " not in capsys.readouterr().out.splitlines()[1]
    print_report(build_report(*int4_example((Opcode.MATMUL_INT4, Opcode.MATMUL)), 520, int4_operators=1), console)
    lines = capsys.readouterr().out.splitlines()
    assert "weights" in lines[1]
    assert [next(word for word in line.split() if word.startswith("int")) for line in lines[3:5]] == ["int4", "int8"]
    assert any("98.5 MACs a cycle" in line for line in lines)  # 51 200 / 520


def test_operators_with_4_bit_weights_are_counted_by_their_tensors():
    wide, narrow = (Tensor(name, (1, 1), dtype, data=np.zeros((1, 1), np.int8)) for name, dtype in (("wide", "int8"), ("narrow", "int4")))
    operators = tuple(Operator(f"fc_{i}", "FULLY_CONNECTED", ("x", name, None), (f"y_{i}",)) for i, name in enumerate(("wide", "narrow")))
    tensors = {tensor.name: tensor for tensor in (wide, narrow)}
    assert int4_operators(Graph("both", "both.tflite", tensors, operators, ("x",), ("y_0", "y_1"))) == 1


def test_json_has_the_stable_keys():
    report = json.loads(json.dumps(build_report(*example(), 520, host_ops=["SOFTMAX"], bit_exact=True).to_json()))
    keys = {"network", "config", "bit_exact", "cycles", "macs", "utilization", "host_ops", "layers"}
    assert keys <= set(report)
    layer_keys = {"name", "op", "macs", "precision", "peak_macs", "cycles", "utilization", "stalls", "ddr_bytes", "energy_uj", "power_mw"}
    assert all(layer_keys <= set(layer) for layer in report["layers"])
    assert report["host_ops"] == ["SOFTMAX"] and report["config"] == "small" and report["bit_exact"] is True


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit_the_terminal(width, capsys):
    report = build_report(*example(), 520, bit_exact=True, compared_tensors=3)
    console = Console(width=width, force_terminal=False)
    print_report(report, console)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert any("first" in line and "300" in line for line in lines)
    assert any(line.startswith("bit-exact") and "yes, 3 tensors" in line for line in lines)


def test_a_group_wider_than_the_terminal_is_divided(capsys):
    program, records = example()
    stalls = [field.name for field in RECORD if field.name.startswith("stall_")]
    records[2] |= {"start": 300, "end": 1_000_300, "active": 1_000_000 - 100_000 * len(stalls)} | dict.fromkeys(stalls, 100_000)
    print_report(build_report(program, records, 1_000_320), Console(width=60, force_terminal=False))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    headings = " ".join(line for line in lines if line.startswith(" "))
    assert all(cause.replace("_", " ") in headings for cause in CAUSES)


def test_sram_energy_meets_the_points_of_the_table_and_grows():
    for size, energy in HOROWITZ_45NM.sram_64:
        assert HOROWITZ_45NM.sram_byte(size) * 8 == pytest.approx(energy)
    sizes = [1024, 8192, 16384, 32768, 100_000, 1 << 20, 1 << 22]
    energies = [HOROWITZ_45NM.sram_byte(size) for size in sizes]
    assert energies == sorted(energies)


def test_weight_stream_of_a_convolution():
    command = Command(Opcode.MATMUL, {"loops": LOOPS | {"lanes": 21, "column_tiles": 3}, "weights": {"params": 2, "load_table": 1}})
    assert stream_bytes(SMALL, command) == 256 + 3 * 16 * (9 + 9 * (16 + 5))


def test_a_transfer_costs_only_memories():
    load = Command(Opcode.LOAD, {"dma": {"target": Target.ACTIVATIONS}})
    energy = command_energy(load, record(ddr_read_bytes=64, sram_write_bytes=64), SMALL)
    assert energy.ddr > 0 and energy.activations > 0
    assert energy.array == energy.weights == energy.output == energy.accumulators == 0


def test_a_missing_record_is_noticed():
    program, records = example()
    with pytest.raises(ValueError, match="4 commands left 3 records"):
        build_report(program, records[:-1], 520)


def test_a_depthwise_step_is_billed_for_the_rows_of_its_groups():
    loops = {"span": 3, "taps_x": 3, "block_cols": 28, "positions": 29}
    small, row = SMALL, HOROWITZ_45NM.mac
    assert array_element(Command(Opcode.DEPTHWISE, {"loops": loops}), small, HOROWITZ_45NM) == pytest.approx(9 * row * 28 / 29)
    assert array_element(Command(Opcode.MATMUL, {"loops": loops}), small, HOROWITZ_45NM) == pytest.approx(16 * row)


def test_an_array_with_int4_multiplies_by_halves_whatever_the_width():
    # two products of 0.1 pJ, their sum of 0.05, the partial sum of 0.1
    element, loops = 0.1 + 0.1 + 0.05 + 0.1, {"span": 3, "taps_x": 3, "block_cols": 28, "positions": 29}
    int4 = SMALL.replace(int4=True)
    for opcode, elements in ((Opcode.MATMUL, 16), (Opcode.MATMUL_INT4, 16), (Opcode.DEPTHWISE_INT4, 9 * 28 / 29)):
        assert array_element(Command(opcode, {"loops": loops}), int4, HOROWITZ_45NM) == pytest.approx(elements * element)


def test_4_bit_weights_take_half_the_energy_of_their_scratchpad_and_no_parameter_does():
    command = {"loops": LOOPS | {"lanes": 64, "span": 1}, "weights": {"params": 2}}
    int4 = SMALL.replace(int4=True)
    wide, narrow = (
        command_energy(Command(opcode, command), record(sram_read_bytes=100_000), int4) for opcode in (Opcode.MATMUL, Opcode.MATMUL_INT4)
    )
    assert narrow.weights / wide.weights == pytest.approx((9 * 32 + 9) / (9 * 64 + 9))
