"""Random inputs of a component by the names of its ports: streams that hold what they offer, resets now and then, numbers of all sizes."""

RARE = ("reset", "clear", "flush", "halt", "abort", "error", "stop", "start", "swap", "drain", "irq")
"""A single bit with one of these in its name is set now and then only: else nothing else would ever happen."""


class RandomInputs:
    """Draws the inputs of one component, cycle by cycle.

    Parameters
    ----------
    rng : random.Random
    widths : dict of str to int
        Of the inputs, by flat name.
    outputs : dict
        The names of the outputs: a stream's `ready` is known by its name.
    """

    def __init__(self, rng, widths, outputs):
        self.rng, self.widths = rng, widths
        self.values = dict.fromkeys(widths, 0)
        self.odds = {}
        self.streams = {}
        for name in widths:
            path, _, member = name.rpartition("valid")
            if not member and f"{path}ready" in outputs:
                held = [other for other in widths if other.startswith(path)] if path else [name]
                self.streams[f"{path}ready"] = held

    def draw(self, outputs) -> dict:
        """The next cycle's inputs, when the outputs were these in the last one: both by name."""
        if self.rng.random() < 1 / 24 or not self.odds:
            self.odds = {name: self._chance(name) for name in self.widths}
        held = {
            name
            for ready, names in self.streams.items()
            if not outputs.get(ready, 1) and self.values[ready.removesuffix("ready") + "valid"]
            for name in names
        }
        for name, width in self.widths.items():
            if name in held:
                continue
            if width == 1:
                self.values[name] = int(self.rng.random() < self.odds[name])
            elif self.rng.random() < self.odds[name]:
                self.values[name] = self._number(width)
        return self.values

    def _chance(self, name):
        """Of a bit to be set, or of a number to change, for the next while."""
        if any(word in name for word in RARE):
            return self.rng.choice((0, 0, 0.02, 0.1))
        return self.rng.choice((0.05, 0.3, 0.5, 0.7, 0.95, 1.0))

    def _number(self, width):
        """Any bits; few of them set; small bytes, as the fields of a command are; a small number; all ones or none."""
        kind = self.rng.randrange(8)
        if kind < 2:
            return self.rng.getrandbits(width)
        if kind < 3:
            return self.rng.getrandbits(width) & int.from_bytes(b"\3" * (width // 8 + 1), "little")
        if kind < 5:
            return self.rng.getrandbits(width) & self.rng.getrandbits(width) & self.rng.getrandbits(width)
        if kind < 7:
            return self.rng.randrange(min(1 << width, 10))
        return self.rng.choice((0, (1 << width) - 1))
