"""A netlist of a library's cells, as Yosys writes it in BLIF, and as OpenSTA reads it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from weft.analysis.synthesis.liberty import Cell
from weft.analysis.synthesis.memories import READ_CELL, WRITE_CELL


@dataclass
class Gate:
    """An instance of a cell.

    Attributes
    ----------
    cell : str
        Of the library.
    name : str
        In names of the design where it holds bits; else Yosys' own.
    pins : dict of str to str
        Net at each pin.
    """

    cell: str
    name: str
    pins: dict[str, str]


@dataclass
class Netlist:
    """Gates, and the nets at the top's ports; a port that is driven by another net has that net's name in `aliases`."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def source(self, net: str) -> str:
        """The first of a net's names."""
        while net in self.aliases:
            net = self.aliases[net]
        return net

    def plain_ports(self) -> dict[str, str]:
        """Plain names of the ports, and the names that they have in the design; the clock's is ``clk``."""
        inputs = {name if name == "clk" else f"i{number}": name for number, name in enumerate(self.inputs)}
        return inputs | {f"o{number}": name for number, name in enumerate(self.outputs)}

    def holding(self, cells: dict[str, Cell]) -> list[int]:
        """Numbers of the gates that hold bits: registers, clock gates, and the ports of memories."""
        return [number for number, gate in enumerate(self.gates) if is_memory(gate) or cells[gate.cell].registers]


def is_memory(gate: Gate) -> bool:
    """Whether a gate is a bit of a memory's port."""
    return gate.cell in {READ_CELL, WRITE_CELL}


def read_blif(text: str) -> Netlist:
    """The netlist of `weft.analysis.synthesis.script.WRITE`."""
    netlist = Netlist()
    for line in text.replace("\\\n", " ").splitlines():
        word, *rest = line.split() or [""]
        if word == ".inputs":
            netlist.inputs += rest
        elif word == ".outputs":
            netlist.outputs += rest
        elif word in {".gate", ".subckt"}:
            netlist.gates.append(Gate(rest[0], "", dict(pin.split("=", 1) for pin in rest[1:])))
        elif word == ".cname":
            netlist.gates[-1].name = design_name(rest[0])
        elif word == ".names" and len(rest) == 2:  # a net with two names; one with none or one is a constant's
            netlist.aliases[rest[1]] = rest[0]
    return netlist


def design_name(name: str) -> str:
    """A name of the design out of Yosys': without what passes put around it, but for cells that have only theirs."""
    name = re.sub(r"\$_S?DFF\w*$|\.cut$", "", name).replace("\\", "")
    while name.startswith(prefixes := ("$flatten", "$techmap")):
        name = name.removeprefix(prefixes[0]).removeprefix(prefixes[1])
    return re.sub(r"\$.*$", "register", name)  # of a register without a name there is only the place


def sta_verilog(netlist: Netlist, top: str, names: Sequence[str]) -> str:
    """Verilog of one flat module that OpenSTA of any age reads: plain names, no buses, one bit an assignment.

    Parameters
    ----------
    netlist : Netlist
    top : str
        Name of the module. Its ports are those of `Netlist.plain_ports`.
    names : sequence of str
        Of the instances, plain ones, one a gate.
    """
    ports = netlist.plain_ports()
    plain = {name: port for port, name in ports.items() if name in set(netlist.inputs)}

    def net(name):
        return plain.setdefault(netlist.source(name), f"n{len(plain)}")

    ways = {port: "output" if port.startswith("o") else "input" for port in ports}
    lines = [f"module {top} ({', '.join(ports)});", *(f"  {way} {port};" for port, way in ways.items())]
    wires = dict.fromkeys(net(each) for gate in netlist.gates for each in gate.pins.values())
    lines += [f"  wire {name};" for name in wires if name not in ways]
    for number, name in enumerate(netlist.outputs):
        if (source := net(name)) in wires or source in ways:
            lines.append(f"  assign o{number} = {source};")
    for name, gate in zip(names, netlist.gates):
        lines.append(f"  {gate.cell} {name} ({', '.join(f'.{pin}({net(each)})' for pin, each in gate.pins.items())});")
    return "\n".join([*lines, "endmodule\n"])
