"""Pass: an input of narrow rows comes as one run of bytes, and the NPU spreads it into the rows that its reader wants.

Rows of an image lie at a pitch at which the feeder's ports do not meet in a bank. A transfer into such rows is a burst for each of them.
A burst takes `READ_LATENCY` cycles, and only `OUTSTANDING` of them run side by side: rows of a few bytes come far slower than the memory
could give them. Without gaps they are one transfer, and a copy inside the scratchpad takes a cycle a row.
"""

from dataclasses import replace

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from weft.compiler.estimate import COMMAND_CYCLES, DEPENDENT_CYCLES, arrival_cycles, transfer_rate
from weft.compiler.fuse.uses import Uses
from weft.compiler.graph import Tensor
from weft.compiler.steps import IDENTITY, Extent, Network, Step


def spread(network: Network, config: NpuConfig) -> Network:
    """The network with a copy in front of the one reader of each input of narrow rows, where that takes fewer cycles."""
    uses = Uses(network)
    for name in network.inputs:
        readers = uses.readers.get(network.root[name], [])
        if len(readers) == 1 and _pays(network, readers[0], network.root[name], config):
            network = _with_copy(network, readers[0])
    return network


def _pays(network: Network, step: Step, root: str, config: NpuConfig) -> bool:
    """Rows of bursts take longer than one transfer and the copy, and the reader has kernel rows that could meet in a bank."""
    image, memory = step.image, network.extents[root]
    alone = network.root[step.source] == root and root not in Uses(network).leaving
    if (
        not (alone and step.side_by_side)
        or step.source_view is not None
        or (image.height, image.row_bytes) != (memory.height, memory.row_bytes)
    ):
        return False
    copied = image.size // transfer_rate(config) + image.height * -(-image.row_bytes // config.cols) + DEPENDENT_CYCLES + COMMAND_CYCLES
    return copied < arrival_cycles(config, image.height, image.row_bytes, apart=True)


def _with_copy(network: Network, reader: Step) -> Network:
    """The network with the reader behind a copy of its source."""
    source, graph, extent = network.graph.tensors[reader.source], network.graph, Extent(reader.image.height, 1, reader.image.row_bytes)
    rows = Tensor(f"{reader.name}:rows", (1, reader.image.height, reader.image.width, reader.image.channels), source.dtype)
    multiplier, exponent = IDENTITY
    copy = Step(
        f"{reader.name}/rows",
        "COPY",
        reader.title,
        Opcode.SUM,
        reader.source,
        rows.name,
        image=extent,
        result=extent,
        multiplier=np.array([multiplier], np.int32),
        exponent=np.array([exponent], np.int32),
    )
    steps = [each for step in network.steps for each in ([copy, replace(step, source=rows.name)] if step is reader else [step])]
    return replace(
        network,
        graph=replace(graph, tensors=graph.tensors | {rows.name: rows}),
        steps=tuple(steps),
        root=network.root | {rows.name: rows.name},
        temporaries=network.temporaries | {rows.name},
    )
