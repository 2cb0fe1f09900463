"""Names that Verilog takes as they are: no escaped identifier, no keyword."""

import re
from collections.abc import Iterable

_RESERVED = """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins binsof bit
    break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const constraint context continue
    cover covergroup coverpoint cross deassign default defparam design disable dist do edge else end endcase endchecker endclass
    endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram endproperty
    endsequence endspecify endtable endtask enum event eventually expect export extends extern final first_match for force foreach
    forever fork forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies
    import incdir include initial inout input inside instance int integer interconnect interface intersect join join_any join_none
    large let liblist library local localparam logic longint macromodule matches medium modport module nand negedge nettype new
    nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority
    program property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
    randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always
    s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small soft solve specify
    specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task this
    throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union unique unique0
    unsigned until until_with untyped use uwire var vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire
    with within wor xnor xor
"""
KEYWORDS = frozenset(_RESERVED.split())
"""The reserved words of IEEE 1800-2017, annex B; those of Verilog-2005 are among them."""


def plain(name) -> str:
    """A name that Verilog takes unescaped: ``settings.timeout`` -> ``settings__timeout``, ``error[1]`` -> ``error_1``, ``end`` -> ``end_``.

    The running number that Amaranth puts behind a name to make it unique, as in ``load$284``, goes: `unique` puts a shorter one there.
    """
    name = re.sub(r"\$\d+", "", name)
    name = re.sub(r"\W", "", re.sub(r"\[(\w+)\]", r"_\1", name.replace(".", "__")))
    if name in KEYWORDS:
        return f"{name}_"
    return f"_{name}" if re.match(r"\d", name) else name


def unique(name, taken: Iterable[str]) -> str:
    """The name, or where it is taken the name with the first number behind it, from 2 on, with which it is not."""
    chosen, number = name, 1
    while chosen in taken:
        number += 1
        chosen = f"{name}_{number}"
    return chosen


def plain_rtlil(text) -> str:
    """RTLIL of one module whose names Verilog takes as they are. The types of cells, and the name of the module, stay.

    Parameters
    ----------
    text : str
        A name in it is a backslash and all that follows up to a space; one is renamed everywhere, to the first name that is free.
    """
    spelled = re.compile(r'"(?:[^"\\]|\\.)*"|^ *(?:cell|module) \\\S+|\\\S+', re.MULTILINE)
    found = dict.fromkeys(match[0][1:] for match in spelled.finditer(text) if match[0].startswith("\\"))
    chosen = {name: name for name in found if plain(name) == name}
    taken = set(chosen)
    for name in found:
        if name not in chosen:
            chosen[name] = unique(plain(name), taken)
            taken.add(chosen[name])
    return spelled.sub(lambda match: f"\\{chosen[match[0][1:]]}" if match[0].startswith("\\") else match[0], text)


def named_parts(module) -> str:
    r"""Verilog of one module in which a register that is a part of a signal is named for the signal.

    Yosys makes one where the bits of a register are enabled apart: ``reg [1:0] _189_`` with ``assign settings[1:0] = _189_`` becomes
    ``settings_part``, and ``\error_reg[1]`` becomes ``error_reg_1``.
    """
    taken = set(re.findall(r"\w+", module))
    assigned = re.findall(r"^ +assign \W*(\w+).* = (_\d+_)(?:\[[\d:]+\])?;$", module, flags=re.MULTILINE)
    chosen = {net: f"{signal}_part" for signal, net in reversed(assigned)}
    unnamed = re.findall(r"^ +reg (?:signed )?(?:\[\d+:\d+\] )?(_\d+_);$", module, flags=re.MULTILINE)
    chosen = {net: chosen[net] for net in unnamed if net in chosen}
    chosen |= {escaped: plain(escaped[1:-1]) for escaped in re.findall(r"\\\S+ ", module)}
    for name in chosen:
        chosen[name] = unique(chosen[name], taken)
        taken.add(chosen[name])
    return re.sub(r"\\\S+ |\b_\d+_\b", lambda match: chosen.get(match[0], match[0]), module)
