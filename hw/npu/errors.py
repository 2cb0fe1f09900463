"""The one exception for everything that a user can cause.

It lives on the ground floor so that every room can raise it. The command line turns it into one
line and exit code 2; every other exception is a fault of Weft, which ends in one line and exit code 1.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One kind of fault in a file.

    Attributes
    ----------
    subject : str
        What has it: an operator's or an element type's name.
    sentence : str
        What is wrong, with the value; it names the subject.
    layer : str or None
        The first layer that has it.
    remedy : str or None
        What to do.
    kind : str
        What findings share that are counted as one; they may differ in the value.
    count : int
        How many there are of the kind.
    layers : tuple of str
        All layers that have it; empty is the first one alone.
    """

    subject: str
    sentence: str
    layer: str | None = None
    remedy: str | None = None
    kind: str = ""
    count: int = 1
    layers: tuple[str, ...] = ()

    @property
    def all_layers(self) -> tuple[str, ...]:
        """The layers that have it, the first one in front."""
        return self.layers or ((self.layer,) if self.layer else ())


class WeftError(Exception):
    """A mistake that the user can mend.

    Parameters
    ----------
    message : str
        One line: what is wrong, with the name and the value.
    file, layer : str, optional
        Where: printed in front of the message.
    remedy : str, optional
        What to do: printed behind it.
    findings : tuple of Finding, optional
        Where a file has several kinds of faults: all of them, which the message names too. The command line prints them as a table.
    layers : tuple of str, optional
        All layers that the mistake is in; without them `layer` alone.
    """

    def __init__(self, message, *, file=None, layer=None, remedy=None, findings=(), layers=()):
        self.message, self.file, self.layer, self.remedy, self.findings = message, file, layer, remedy, findings
        self.layers = layers or ((layer,) if layer else ())
        where = [str(file)] if file else []
        if layer:
            where.append(f"layer {layer}")
        text = ": ".join([*where, message])
        super().__init__(f"{text}; {remedy}" if remedy else text)
