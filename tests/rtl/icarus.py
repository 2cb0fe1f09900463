"""The Verilog that ships in Icarus, a simulator with four states; it runs the same jobs as the bench of `sim`."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hw.emit.verilog import npu_verilog
from hw.npu.config import NpuConfig
from hw.npu.interface.axi import ID_BITS
from hw.npu.interface.registers import MAP_BITS
from tests.rtl.jobs import MEMORY

BENCH = Path(__file__).parent / "four_state" / "bench.v"


@dataclass(frozen=True)
class IcarusSimulator:
    """What a `tests.rtl.jobs.Session` needs of a simulator: a configuration, and a program that runs a job file.

    The answers to waits have no log of the output stage, since the Verilog that ships does not show it.
    """

    config: NpuConfig
    executable: Path

    @classmethod
    def build(cls, config, folder, *, verilog=None) -> "IcarusSimulator":
        """Compile the configuration's Verilog, or another text, into a folder."""
        (folder / "npu.v").write_text(verilog or npu_verilog(config))
        values = {
            "AXI_BITS": config.axi_bits,
            "ADDRESS_BITS": config.address_bits,
            "ID_BITS": ID_BITS,
            "MAP_BITS": MAP_BITS,
            "MEMORY": MEMORY,
        }
        parameters = [f"-Pbench.{name}={value}" for name, value in values.items()]
        command = [shutil.which("iverilog"), "-g2005-sv", "-s", "bench", *parameters, "-o", "npu.vvp", str(BENCH), "npu.v"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        executable = folder / "bench"
        executable.write_text(f'#!/bin/sh\nexec vvp -n "{folder}/npu.vvp" "+job=$1" "+result=$2"\n')
        executable.chmod(0o755)
        return cls(config, executable)
