"""What a search may choose for a whole network: each is exact, they differ in cycles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Choices that no formula settles; `weft.analysis.search` tries them on the timing model.

    Attributes
    ----------
    reorder : bool
        Move a step that does not depend on the one before it between two that do.
    streamed_bytes : int
        Weights of one work where they are used once: the next are read while these compute. Each work is two commands of DDR
        traffic, which counts where weights decide; a little over 8 KiB takes four tiles of 128 weights and a bias on 16 columns.
    tapered : bool
        A work takes no more weights than still come behind its step: where weights decide, little is left to compute when the last ones
        have come.
    piece_bytes : int
        Largest load of weights, and at most a quarter of the ring: small enough that space is used as it becomes free, large enough
        that the commands themselves are little traffic.
    early : bool
        Begin with the channels that are ready where the last works of the step before are still on their way. Each place where that is
        done takes a command or two more.
    dependent_cycles : int
        What a dependent layer is taken to wait when the last accumulator has left: more makes more and smaller blocks.
    halves : bool
        A job is taken to last until its half of the accumulators is free again, which is right where every job is as long as the one
        before it, and too much where short ones stand between long ones.
    """

    reorder: bool = True
    streamed_bytes: int = 8704
    piece_bytes: int = 12288
    dependent_cycles: int = 36
    early: bool = True
    tapered: bool = False
    halves: bool = True

    def __str__(self):
        order = "steps reordered" if self.reorder else "steps in the file's order"
        kept = f"{self.streamed_bytes} bytes of weights a command, loads of {self.piece_bytes}"
        ready = "" if self.early else ", whole tensors awaited"
        less = ", fewer at the end" if self.tapered else ""
        alone = "" if self.halves else ", halves of the accumulators taken for free"
        return f"{order}, {kept}{less}, blocks for a wait of {self.dependent_cycles}{alone}{ready}"


USUAL = Tuning()
"""What is taken where nothing is searched."""
