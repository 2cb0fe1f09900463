"""Collects all that is wrong with a network, so that its user reads it at once and not fault by fault."""

from dataclasses import replace

from hw.npu.errors import Finding, WeftError


class Findings:
    """The faults of one file, each kind counted.

    Parameters
    ----------
    file : str or Path
        Named in the message.
    """

    def __init__(self, file):
        self._file = file
        self._kinds: dict[tuple[str, str], Finding] = {}

    def add(self, finding: Finding):
        """Note a fault; of a kind that is there already only the number grows."""
        key = finding.subject, finding.kind or finding.sentence
        known = self._kinds.get(key)
        if known is not None:
            finding = replace(known, count=known.count + finding.count, layers=(*known.all_layers, *finding.all_layers))
        self._kinds[key] = finding

    def add_error(self, subject: str, error: WeftError, remedy: str):
        """Note what stopped a pass; the remedy is for an error that has none."""
        self.add(Finding(subject, error.message, error.layer, error.remedy or remedy, layers=error.layers))

    def refuse(self):
        """Stop if there is a fault.

        Raises
        ------
        WeftError
            With all faults: the only kind with its layer and remedy, or a list of several.
        """
        kinds = tuple(self._kinds.values())
        if not kinds:
            return
        if len(kinds) == 1:
            only = kinds[0]
            more = f" (and {only.count - 1} more like it)" if only.count > 1 else ""
            raise WeftError(only.sentence + more, file=self._file, layer=only.layer, remedy=only.remedy, layers=only.all_layers)
        remedies = dict.fromkeys(kind.remedy for kind in kinds if kind.remedy)
        raise WeftError(
            f"is refused for {len(kinds)} reasons: {'; '.join(map(_listed, kinds))}",
            file=self._file, remedy="; ".join(remedies) or None, findings=kinds,
        )  # fmt: skip


def _listed(kind: Finding) -> str:
    where = f", first in layer {kind.layer}" if kind.layer else ""
    return f"{kind.sentence} ({kind.count}x{where})"
