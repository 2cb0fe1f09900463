"""Waveforms: what FST's compressors write can be read again, FST says what VCD says, and both show what happened."""

import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from hw.emit.emit import emit_verilog
from hw.npu.config import PRESETS
from sim.build import FST, BuildOptions, build
from sim.ddr import DdrConfig
from sim.job import Job, TraceError
from tests.sim.copy_engine import CopyEngine
from tests.sim.waveforms import read_fst, read_vcd, unlz4
from weft.run.inputs import random_sample
from weft.run.network import prepare, run_samples

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"

COMPRESSOR = """
#include <cstdio>
#include <lz4.h>
#include <zlib.h>

int main() {  // for each (size, bytes) on stdin its LZ4 block and its zlib stream, each with its size, on stdout
    for (uint32_t size; std::fread(&size, 4, 1, stdin) == 1;) {
        std::vector<char> bytes(size + 1), block(LZ4_compressBound(size)), stream(compressBound(size));
        if (size && std::fread(bytes.data(), size, 1, stdin) != 1) return 1;
        uint32_t count = LZ4_compress_default(bytes.data(), block.data(), size, block.size());
        std::fwrite(&count, 4, 1, stdout), std::fwrite(block.data(), 1, count, stdout);
        uLongf length = stream.size();
        if (compress2(reinterpret_cast<Bytef*>(stream.data()), &length, reinterpret_cast<Bytef*>(bytes.data()), size, 9) != Z_OK) return 1;
        count = length;
        std::fwrite(&count, 4, 1, stdout), std::fwrite(stream.data(), 1, count, stdout);
    }
}
"""


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """Function: the LZ4 block and the zlib stream of each of some texts."""
    folder = tmp_path_factory.mktemp("compressor")
    source, program = folder / "main.cpp", folder / "main"
    source.write_text(COMPRESSOR)
    switches = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover", f"-I{FST}"]
    subprocess.run([os.environ.get("CXX", "g++"), *switches, str(source), "-o", str(program)], check=True)

    def compress(texts):
        sent = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        got = subprocess.run([str(program)], input=sent, capture_output=True, check=True).stdout
        parts = []
        while got:
            (count,) = struct.unpack_from("<I", got)
            parts.append(got[4 : 4 + count])
            got = got[4 + count :]
        assert len(parts) == 2 * len(texts)
        return list(zip(parts[::2], parts[1::2]))

    return compress


def noise(size, values=256, seed=0):
    return np.random.default_rng(seed).integers(0, values, size, dtype=np.uint8).tobytes()


def test_every_short_text_can_be_read_again(compressed):
    texts = [noise(size, values, size) for size in range(64) for values in (1, 2, 3, 256)]
    for text, (block, stream) in zip(texts, compressed(texts)):
        assert unlz4(block, len(text)) == text, text
        assert zlib.decompress(stream) == text, text


@pytest.mark.parametrize("length", [14, 15, 16, 269, 270, 271, 524, 525, 526])
def test_lengths_that_take_another_byte_can_be_read_again(compressed, length):
    before, after = noise(length), noise(12, seed=1)
    literals, match = before + before[:8] + after, b"abcdefgh" + b"h" * (length + 3) + after  # the match starts at the second h
    for text, (block, _) in zip((literals, match), compressed((literals, match))):
        assert unlz4(block, len(text)) == text
        assert len(block) < len(text), "no match was found"


@pytest.mark.parametrize(("distance", "found"), [(65534, True), (65535, True), (65536, False)])
def test_a_match_lies_at_most_65535_back(compressed, distance, found):
    repeated = noise(1000, seed=1)
    between = bytes(distance - len(repeated))
    ((block, _),) = compressed([repeated + between + repeated])
    assert unlz4(block, distance + len(repeated)) == repeated + between + repeated
    assert (len(block) < 1500) == found


def test_long_texts_can_be_read_again(compressed, seed):
    rng = np.random.default_rng(seed)
    texts = [bytes(65535), bytes(65536), noise(200_000, 256, seed), noise(200_000, 4, seed)]
    texts += [np.repeat(rng.integers(0, 256, 500, np.uint8), rng.integers(1, 1 << shift, 500)).tobytes() for shift in range(1, 10)]
    for text, (block, stream) in zip(texts, compressed(texts)):
        assert unlz4(block, len(text)) == text, f"seed {seed}"
        assert zlib.decompress(stream) == text, f"seed {seed}"


def traced(kind, folder):
    """Two copies by the engine with a stalling DDR, as a waveform."""
    rng = np.random.default_rng(1)
    job = Job(64 * 1024, lanes=8)
    job.reset(DdrConfig.stalling(0.3, seed=1))
    for beats in (1, 200):
        job.load(0x1080, rng.integers(0, 256, beats * 8, dtype=np.uint8))
        for register, value in (("COMMANDS_BYTES", beats), ("MODEL_BASE_LO", 0x1080), ("ARENA_BASE_LO", 0x8200), ("CONTROL", 1)):
            job.poke(register, value)
        job.wait(10_000, log=False)
        job.poke("IRQ_STATUS", 1)
    path = folder / f"trace.{kind}"
    job.run(build(emit_verilog(CopyEngine(), "npu", prefix="copy"), BuildOptions("quick", trace=kind)), trace=path)
    return path


def test_fst_and_vcd_of_one_run_show_the_same_changes_of_every_signal(tmp_path):
    fst, vcd = read_fst(traced("fst", tmp_path)), read_vcd(traced("vcd", tmp_path))
    assert fst.keys() == vcd.keys()
    assert {"npu.irq", "npu.m_axi_arvalid", "npu.m_axi_rdata", "npu.s_axil_wdata"} <= fst.keys()
    assert len(fst["npu.m_axi_rdata"]) > 100, "the copy is not in the waveform"
    for name, changes in vcd.items():
        assert fst[name] == changes, name


def test_a_waveform_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match=r"file/\S+: the waveform cannot be written: "):
        traced("fst", tmp_path / "file")


@pytest.mark.slow
def test_the_waveform_of_a_network_shows_the_writes_that_the_bench_saw(tmp_path):
    path = tmp_path / "digits.fst"
    prepared = prepare(DIGITS, PRESETS["nano"], trace=path)
    (outcome,) = run_samples(prepared, [random_sample(prepared.whole.graph, 1)], trace=path)
    assert outcome.mismatch is None
    seen = read_fst(path)
    names = ("clk", "obs_write_valid", "obs_write_address", "obs_write_mask", "obs_write_data")
    clock, *ports = (Signal(seen[f"npu.{name}"]) for name in names)
    rows = ([int(port.at(time), 2) for port in ports] for time, bits in clock.changes if bits == "0")
    shown = [(address, mask, data) for valid, address, mask, data in rows if valid]
    log = outcome.run.waited.writes
    logged = [(int(one["address"]), int(one["mask"]), int.from_bytes(one["data"].tobytes(), "little")) for one in log]
    assert len(logged) > 100
    assert shown == logged


class Signal:
    """A signal's value at times that do not fall."""

    def __init__(self, changes):
        self.changes, self.place = changes, 0

    def at(self, time):
        """The last value at a time or before."""
        while self.place + 1 < len(self.changes) and self.changes[self.place + 1][0] <= time:
            self.place += 1
        return self.changes[self.place][1]
