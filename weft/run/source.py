"""A network's file, read once: what its inputs are chosen by, what the interpreter runs, and what is compiled."""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.analysis.search import search
from weft.compiler.frontends.network_file import NetworkFile
from weft.compiler.frontends.tflite import read_file, read_tflite
from weft.compiler.graph import Graph
from weft.run.progress import Steps
from weft.run.whole import Whole, compile_whole, whole_of


@dataclass(frozen=True, eq=False)
class Source:
    """A network to compile.

    Attributes
    ----------
    graph : Graph
        Its operators, inputs and outputs.
    file : NetworkFile or None
        What may be cut into parts of the NPU and of the host; None where the NPU is to run the whole network.
    """

    graph: Graph
    file: NetworkFile | None

    def compiled(self, config: NpuConfig, *, keep_tensors: bool = False, steps: Steps | None = None) -> Whole:
        """The programs with the tunings that the timing model finds best, and the host's steps between them.

        Raises
        ------
        WeftError
            If it does not run on the configuration.
        """
        steps = steps or Steps(quiet=True)
        if self.file is not None:
            return compile_whole(self.file, config, keep_tensors=keep_tensors, steps=steps)
        with steps.stage(f"compiling {self.graph.name} for {config.name}"):
            searched = search(self.graph, config, keep_tensors=keep_tensors)
        return whole_of(searched.compiled, searched)


def read_source(model, signature: str | None = None, *, host: bool = True) -> Source:
    """Read a `.tflite` file; without `host` it is refused where the NPU does not run all of it.

    Raises
    ------
    WeftError
        As `weft.compiler.frontends.tflite.read_file` and `read_tflite`.
    """
    if not host:
        return Source(read_tflite(model, signature), None)
    file = read_file(model, signature)
    return Source(file.rewritten(), file)
