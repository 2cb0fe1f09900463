"""Hashes of compiled networks: a hash for the commands of each layer, so that a change names the layers that it moved."""

import tempfile
from collections import defaultdict
from pathlib import Path

from golden.program import Program
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.hashes.digest import digest
from tests.random_networks.batch import networks
from tests.rtl.jobs import TINY
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT.parent / "shared" / "models"
"""Files that not every machine has; what is on record of them stays where they are absent."""
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
FILES = {
    "digits": DIGITS,
    "autoencoder": MODELS / "mlperf_ad_fcae_int8.tflite",
    "resnet8": MODELS / "mlperf_ic_resnet8_int8.tflite",
    "keywords": MODELS / "mlperf_kws_dscnn_int8.tflite",
    "streaming wake word": MODELS / "mlperf_sww_int8.tflite",
    "visual wake words": MODELS / "mlperf_vww_mbv1_025_96_int8.tflite",
}
"""Networks in files: the example's, and those of MLPerf Tiny."""
CONFIGS = (PRESETS["small"], PRESETS["nano"], TINY)
"""Each network in a file is compiled for these: the last is so small that tensors leave the scratchpad."""
RANDOM, NUMBER = 24, 7
"""How many random networks, each on a configuration of its own, and the number from which they follow."""


def file_hashes(network, config) -> dict[str, str]:
    """The hashes of one of `FILES` on one of `CONFIGS`."""
    return program_hashes(compile_graph(read_tflite(FILES[network]), config).program, FILES[network].read_bytes())


def random_hashes() -> dict[str, dict[str, str]]:
    """The hashes of the random networks, by name; of one that is refused, why."""
    hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, network in enumerate(networks(NUMBER, RANDOM)):
            try:
                compiled = compile_graph(
                    network.graph(Path(folder)), network.config, keep_tensors=network.keep_tensors, tuning=network.tuning
                )
            except WeftError as refusal:
                hashes[f"random {number}"] = {"file": digest(network.content), "refused": digest(refusal.message)}
            else:
                hashes[f"random {number}"] = program_hashes(compiled.program, network.content)
    return hashes


def program_hashes(program: Program, content: bytes) -> dict[str, str]:
    """A hash for the commands of each layer; of all commands in their order, of the weight streams, and of the network's own file.

    Where the hash under ``file`` moved, the network is another one, and the others say nothing about the compiler.
    """
    layers = defaultdict(bytes)
    for planned in program.commands:
        layers[planned.layer] += planned.command.pack()
    hashes = {f"layer {number} ({program.layers[number].op})": digest(packed) for number, packed in layers.items()}
    return hashes | {"file": digest(content), "stream": digest(program.command_bytes()), "weights": digest(program.constants)}
