"""Pass: the order of the steps. A step that reads what the step before it wrote waits for the pipeline; another one between hides it."""

from dataclasses import replace

from weft.compiler.steps import Network


def order(network: Network) -> Network:
    """The first step that can run and does not read the previous step's output, else the first that can run."""
    waiting = list(network.steps)
    made = {step.output for step in network.steps}
    done, previous, steps = set(), None, []
    while waiting:
        ready = [step for step in waiting if all(network.root[name] in done or network.root[name] not in made for name in step.reads)]
        free = [step for step in ready if previous not in {network.root[name] for name in step.reads}]
        step = (free or ready)[0]
        waiting.remove(step)
        steps.append(step)
        previous = step.output
        done.add(previous)
    return replace(network, steps=tuple(steps))
