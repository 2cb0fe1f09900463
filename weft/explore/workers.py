"""Worker processes that cost networks on configurations; a network that does not fit is an answer, not a failure."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.graph import Graph
from weft.explore.cost import Network, NetworkCost, cost_of

Task = tuple[int, NpuConfig, bool]
"""Which network, on which configuration, and whether to search for the best tuning."""
_networks: Sequence[Graph | Network] = ()
"""The networks, in a worker."""


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    networks: Sequence[Graph | Network], tasks: Sequence[Task], jobs: int, advance: Callable[[], object] = lambda: None
) -> list[NetworkCost | str]:
    """The cost of each task, or the reason why the network does not run on the configuration, in the tasks' order.

    Parameters
    ----------
    networks : sequence of Graph or Network
    tasks : sequence of Task
    jobs : int
        Processes; 1 works in this one.
    advance : callable
        Called when a task is done.

    Raises
    ------
    WeftError
        Where a worker process dies.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        answers = []
        for number, config, thorough in tasks:
            answers.append(_answer(networks[number], config, thorough))
            advance()
        return answers
    with _signal(signal.SIGPIPE, signal.SIG_IGN):  # the pool writes to workers that are gone
        return _in_pool(networks, tasks, jobs, advance)


def _in_pool(networks, tasks, jobs, advance):
    before = set(multiprocessing.active_children())
    # spawn: a fork of a process with threads (the progress bar's) may inherit their locks for ever
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_keep, initargs=(tuple(networks),))
    try:
        futures = _submit(pool, tasks)
        for future in as_completed(futures):
            future.result()  # a defect in a worker shows at once
            advance()
        return [future.result() for future in futures]
    except BaseException as error:  # Ctrl-C too
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise WeftError("a worker process died, perhaps for want of memory", remedy="use fewer: --jobs 1") from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool, tasks):
    """The futures. The workers, which start here, inherit a mask that keeps Ctrl-C from them: this process ends them.

    Here it comes when all have started. The mask is not enough for that: numpy's threads take the signal too, and this one handles it.
    """
    held = []
    with _signal(signal.SIGINT, lambda *arguments: held.append(arguments)):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = [pool.submit(_work, task) for task in tasks]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if held:
        raise KeyboardInterrupt
    return futures


@contextmanager
def _signal(number, handler):
    """Handles a signal so for a while; only the main thread may say how."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _keep(networks):
    global _networks
    _networks = networks


def _work(task):
    number, config, thorough = task
    return _answer(_networks[number], config, thorough)


def _answer(network, config, thorough):
    try:
        return cost_of(network, config, thorough=thorough)
    except WeftError as error:
        return str(WeftError(error.message, layer=error.layer, remedy=error.remedy))  # without the file, which every row would repeat
