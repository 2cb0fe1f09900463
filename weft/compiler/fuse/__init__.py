"""Pass: fewer steps. What one step hands to one other is often work of a single command: padding, a table, a second operand."""

from dataclasses import replace

from weft.compiler.fuse.joins import fuse_joins
from weft.compiler.fuse.pads import fuse_pads
from weft.compiler.fuse.seconds import fuse_seconds
from weft.compiler.fuse.tables import fuse_tables
from weft.compiler.steps import Network


def fuse(network: Network) -> Network:
    """All fusions, in the order in which one makes room for the next."""
    for fusion in (without_unread, fuse_pads, fuse_tables, fuse_seconds, fuse_joins):
        network = fusion(network)
    return network


def without_unread(network: Network) -> Network:
    """The network without steps whose results nobody wants, such as parts of a SPLIT."""
    wanted, kept = {network.root[name] for name in network.outputs}, []
    for step in reversed(network.steps):
        if network.root[step.output] in wanted:
            kept.append(step)
            wanted.update(network.root[name] for name in step.reads)
    read = {network.root[name] for step in kept for name in step.reads}
    inputs = tuple(name for name in network.inputs if name in read)
    return replace(network, steps=tuple(reversed(kept)), inputs=inputs)


__all__ = ["fuse", "without_unread"]
