"""Options that several commands of the command line share, and its exit codes."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from hw.npu.config import PRESETS, NpuConfig

USER_ERROR = 2
"""Exit code of a mistake that the user can mend."""
MISMATCH = 1
"""Exit code of a run whose results differ from the reference."""
FAULT = 1
"""Exit code after a fault of Weft's own."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the signal's number, as in a shell."""
FIELDS = ", ".join(field.name for field in dataclasses.fields(NpuConfig))

Config = Annotated[
    str,
    typer.Option("--config", metavar="NAME|FILE", help=f"Preset ({', '.join(PRESETS)}) or a TOML file with fields of the configuration."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=f"Override a field of the configuration, as in cols=32; may be given several times. The fields are {FIELDS}.",
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A quantized network: a .tflite file.")]
Signature = Annotated[
    str | None,
    typer.Option("--signature", metavar="NAME", help="Which network of a file that holds several; the first if not given."),
]
Clock = Annotated[
    float | None,
    typer.Option(
        "--clock",
        metavar="MHZ",
        min=0.001,
        max=100_000,
        help="Clock for latency and power, MHz; without it that of the NPU's synthesis on record (docs/silicon.md).",
        show_default=False,
    ),
]
KeepTensors = Annotated[
    bool, typer.Option("--keep-tensors", help="No fusion: every tensor of the network is written to a scratchpad, where run compares it.")
]
NoHost = Annotated[
    bool, typer.Option("--no-host", help="Refuse a network that the NPU does not run as a whole; otherwise the host runs what is left.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")]
