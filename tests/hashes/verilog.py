"""Hashes of the Verilog that ships, a hash for each kind of module, so that a change names the component that it changed."""

import re
from collections import defaultdict

from hw.emit.verilog import npu_verilog, soc_verilog
from hw.npu.config import PRESETS
from tests.hashes.digest import digest
from tests.rtl.switches import IN_TEST, SWITCHED
from tests.soc.test_soc_verilog import CONFIG as SOC_CONFIG

SWITCHINGS = {
    "nano": (("int4",), ("interpolation",), ("int4", "interpolation")),
    "small": (("int4",),),
}
CONFIGS = (
    PRESETS
    | {"+".join((name, *on)): PRESETS[name].replace(**dict.fromkeys(on, True)) for name, sets in SWITCHINGS.items() for on in sets}
    | SWITCHED
)
"""By name: every preset, the two small ones with switches that they have not by themselves, and the campaigns' table of switches."""
SOC = "soc"
"""The SoC is on record too: the one that `tests/soc/test_soc_verilog.py` reads."""
QUICK = frozenset({"nano", "nano+int4", SOC, *(config.name for config in IN_TEST)})
"""What `make test` looks at: other tests emit nearly all of it too, and what was emitted is kept. The others take up to minutes each."""
NAMES = (*CONFIGS, SOC)
"""All that are on record."""


def verilog_hashes(name) -> dict[str, str]:
    """The hashes of one of `NAMES`."""
    return module_hashes(soc_verilog(SOC_CONFIG) if name == SOC else npu_verilog(CONFIGS[name]))


def module_hashes(verilog) -> dict[str, str]:
    """A hash for each kind of module, and one of the whole text under ``text``.

    A kind is the name of its modules without their numbers, which emission gives to those that nothing else tells apart. Its hash is of
    the bodies of all its modules, in which the names of the modules inside are without numbers too: where a component changes, those
    around it keep their hashes, and where one more is made, those behind it do. What numbers alone tell, which of several modules of a
    kind stands where, is in the hash of the whole text. The header, which holds the version of the generator, and the comments above
    modules are in none.

    Parameters
    ----------
    verilog : str
        As `hw.emit.emit.emit_verilog` makes it: it holds no name of a file, no line and no path.
    """
    modules = dict(re.findall(r"^(?=module (\S+?)\()(.*?^endmodule$)", verilog, flags=re.MULTILINE | re.DOTALL))
    kinds = {name: re.sub(r"_\d+$", "", name) for name in modules}
    bodies = defaultdict(list)
    for name, body in modules.items():
        bodies[kinds[name]].append(re.sub(r"\w+", lambda word: kinds.get(word[0], word[0]), body))
    hashes = {kind: digest("\n".join(sorted(texts))) for kind, texts in bodies.items()}
    return {"text": digest("\n".join(modules.values()))} | hashes
