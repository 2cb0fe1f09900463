"""Pass: the order of the steps. A step that reads what the step before it wrote waits for the pipeline; another one between hides it."""

from dataclasses import replace

from weft.compiler.steps import Network


def _needed(network: Network) -> list[set[int]]:
    """For each step those that must stand before it: they make what it reads or adds to, or read what it overwrites."""
    makers: dict[str, list[int]] = {}
    readers: dict[str, list[int]] = {}
    needed = []
    for index, step in enumerate(network.steps):
        read, made = {network.root[name] for name in step.reads}, network.root[step.output]
        needed.append({other for name in (*read, made) for other in makers.get(name, ())} | set(readers.get(made, ())))
        makers.setdefault(made, []).append(index)
        for name in read:
            readers.setdefault(name, []).append(index)
    return needed


def order(network: Network) -> Network:
    """The first step that can run and does not read the previous step's output, else the first that can run."""
    needed = _needed(network)
    waiting, previous, steps = list(range(len(network.steps))), None, []
    while waiting:
        ready = [index for index in waiting if not needed[index]]
        free = [index for index in ready if previous not in {network.root[name] for name in network.steps[index].reads}]
        chosen = (free or ready)[0]
        waiting.remove(chosen)
        for index in waiting:
            needed[index].discard(chosen)
        steps.append(network.steps[chosen])
        previous = network.root[network.steps[chosen].output]
    return replace(network, steps=tuple(steps))
