"""The codes of the weight measurement are lossless, and as long as is counted."""

from itertools import pairwise

import numpy as np
import pytest

from hw.npu.config import PRESETS
from weft.analysis.timing import DdrParameters, replay
from weft.analysis.weight_codes.bits import BitReader, BitWriter
from weft.analysis.weight_codes.codes import CODES, entropy_bits, widths
from weft.analysis.weight_codes.measure import measure, pieces_of, rows_of, with_sizes
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite

KINDS = {
    "every byte": lambda rng, shape: np.resize(np.arange(-128, 128), shape),
    "uniform": lambda rng, shape: rng.integers(-128, 128, shape),
    "narrow": lambda rng, shape: rng.normal(0, 12, shape).round(),
    "sparse": lambda rng, shape: rng.normal(0, 30, shape).round() * (rng.random(shape) < 0.2),
    "zeros": lambda rng, shape: np.zeros(shape),
    "two values": lambda rng, shape: rng.choice((-128, 127), shape),
}


def piece(kind, shape, seed):
    return KINDS[kind](np.random.default_rng(seed), shape).clip(-128, 127).astype(np.int8)


def check(code, rows, k):
    """The code with this k gives the rows back, and takes the bits that it says."""
    writer = BitWriter()
    code.encode(rows, k, writer)
    assert writer.length == code.size(rows, k), f"{code.name} {k}"
    reader = BitReader(writer)
    assert np.array_equal(code.decode(reader, rows.shape, k), rows), f"{code.name} {k}"
    assert reader.length == 0, f"{code.name} {k} leaves bits"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 16), (17, 16), (33, 32)], ids=str)
@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_a_code_is_lossless_and_as_long_as_counted(code, shape, kind, seed):
    rows = piece(kind, shape, seed)
    for k in code.choices:
        if code.size(rows, k) is None:
            assert len(np.unique(rows)) > 1 << k, f"{code.name} {k} refuses what it could code"
            continue
        check(code, rows, k)


def test_a_piece_that_wins_nothing_stays_as_it_is(seed):
    rows = piece("uniform", (64, 16), seed)
    assert [code.best(rows) for code in CODES] == [(8 * rows.size, None)] * len(CODES)


def test_widths_are_those_of_twos_complement():
    assert widths(np.array([0, -1, 1, -2, 2, 63, 64, -64, -65, 127, -128], np.int8)).tolist() == [0, 1, 2, 2, 3, 7, 8, 7, 8, 8, 8]


def test_entropy_of_four_equally_frequent_values_is_two_bits():
    assert entropy_bits(np.tile(np.array([-7, 0, 3, 100], np.int8), 25)) == pytest.approx(200)


@pytest.fixture(scope="module")
def keyword(models):
    """The keyword network, compiled for ``small``."""
    return compile_graph(read_tflite(models / "mlperf_kws_dscnn_int8.tflite"), PRESETS["small"]).program


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_stream_of_a_network_comes_back(keyword, code):
    for stream in dict.fromkeys(pieces_of(keyword)):
        rows = rows_of(keyword, stream)[-40:]  # weights, and the parameters behind them
        k = code.best(rows)[1] or code.choices[0]
        if code.size(rows, k) is not None:  # a palette that is too small
            check(code, rows, k)


def test_pieces_are_all_bytes_of_the_streams(keyword):
    found = sorted(set(pieces_of(keyword)))
    assert sum(size for _, size in found) == len(keyword.constants)
    assert all(before + size == after for (before, size), (after, _) in pairwise(found))


def test_the_what_if_with_plain_sizes_is_the_program(keyword):
    sizes = {stream: stream[1] for stream in pieces_of(keyword)}
    assert replay(with_sizes(keyword, sizes, DdrParameters())).cycles == replay(keyword).cycles


def test_a_decoder_gives_no_more_than_a_row_a_cycle(keyword):
    pieces = pieces_of(keyword)
    shortest = pieces_of(with_sizes(keyword, dict.fromkeys(pieces, 0), DdrParameters()))
    rows = [-(-size // keyword.config.cols) for _, size in pieces]
    assert [size // keyword.config.axi_bytes for _, size in shortest] == rows  # beats of 8 bytes, a cycle each


def test_a_network_costs_no_more_bytes_coded_than_plain(models):
    one = measure(read_tflite(models / "mlperf_kws_dscnn_int8.tflite"), PRESETS["small"])
    assert one.weights == 22016
    assert set(one.coded) == {code.name for code in CODES} | {"best"}
    assert all(one.coded["best"] <= one.coded[code.name] <= one.image for code in CODES if not code.serial)
    assert one.coded["best"] < one.image
    assert one.cycles["free"] < one.cycles["plain"]
