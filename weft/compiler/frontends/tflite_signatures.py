"""The networks of a TFLite file: each signature names a subgraph, and one that no signature leads to goes by its own name."""

from hw.npu.errors import WeftError
from weft.compiler.frontends.tflite_file import Reader, printable


def signature_subgraph(path, reader: Reader, name: str) -> int:
    """The number of the subgraph that a name stands for.

    Raises
    ------
    WeftError
        If there is no such name; it lists those there are.
    """
    found = _subgraphs(reader)
    if name not in found:
        remedy = f"the file has {', '.join(found)}" if found else "it names none of its networks: leave --signature out"
        raise WeftError(f"there is no signature {name}", file=path, remedy=remedy)
    return found[name]


def _subgraphs(reader: Reader) -> dict[str, int]:
    """The number of the subgraph of each name."""
    found: dict[str, int] = {}
    for signature in reader.items(reader.model, "SignatureDefs"):
        found.setdefault(printable(signature.SignatureKey() or b""), signature.SubgraphIndex())
    for number, subgraph in enumerate(reader.items(reader.model, "Subgraphs")):
        if number not in found.values() and (name := printable(subgraph.Name() or b"")):
            found.setdefault(name, number)
    return found
