"""The version of Weft: of the package, of the Verilog that it emits and of the files that it writes."""

VERSION = "0.1.0"
