"""Who makes and who reads each tensor, and whether a tensor is anything but the way from one to the other."""

from dataclasses import replace

from weft.compiler.steps import IDENTITY, Extent, Network, Step, View


class Uses:
    """Makers and readers of the tensors of a network.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network):
        self.network = network
        self.readers: dict[str, list[Step]] = {}
        self.makers: dict[str, list[Step]] = {}
        self.leaving = {network.root[name] for name in network.outputs}
        for step in network.steps:
            self.makers.setdefault(network.root[step.output], []).append(step)
            for name in dict.fromkeys(network.root[name] for name in step.reads):
                self.readers.setdefault(name, []).append(step)

    def made_for(self, name: str, reader: Step) -> list[Step]:
        """The makers of a tensor that nobody but `reader` needs, which reads it under its own name and once; else none."""
        root = self.network.root[name]
        private = root == name and root not in self.leaving and self.readers.get(root) == [reader]
        once = [self.network.root[each] for each in reader.reads].count(root) == 1
        return self.makers.get(root, []) if private and once else []


def is_copy(step: Step) -> bool:
    """The step's arithmetic changes nothing but by a table or a clamp: one byte in, one byte out."""
    scaling = (int(step.multiplier[0]), int(step.exponent[0])) if len(step.multiplier) == 1 else None
    plain = step.kernel == step.stride == (1, 1) and step.pad == (0, 0) and step.bias is None and not step.average
    sum_of_one = step.opcode.name == "SUM" and scaling == IDENTITY and step.zero_point == 0 and not step.single_rounding
    return plain and sum_of_one and step.image == step.result


def changes_nothing(step: Step) -> bool:
    """Neither a table nor a clamp."""
    return not step.table and (step.clamp_min, step.clamp_max) == (-128, 127)


class NotSeen(Exception):
    """A view has no counterpart for an image of another extent."""


def seen_as(view: View | None, old: Extent, new: Extent) -> View | None:
    """A view of an image of one extent for an image of another that has the same rows of bytes.

    Raises
    ------
    NotSeen
        If the rows differ, or the view does not take a row's bytes one after the other.
    """
    if old == new:
        return view
    if (old.height, old.row_bytes) != (new.height, new.row_bytes) or (view is not None and view.dx != old.channels):
        raise NotSeen
    return None if view is None else replace(view, dx=new.channels)
