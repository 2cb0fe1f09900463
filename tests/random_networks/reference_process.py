"""The reference interpreter in a process of its own, which it takes with it on some files: a dead one is replaced."""

import multiprocessing
import os

import numpy as np

from tests.reference import run_reference

START_SECONDS, RUN_SECONDS = 60, 60


class Died(Exception):
    """The interpreter's process ended, or did not answer."""


class Refused(Exception):
    """The interpreter does not take the file; the text is its own."""


def _serve(connection):
    """Answer each file and its inputs with every tensor's value, or with the interpreter's complaint."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # the interpreter logs to the standard error whatever it refuses, and why it dies
    while True:
        try:
            content, inputs = connection.recv()
        except EOFError:
            return
        try:
            answer = run_reference(content, inputs), None
        except (RuntimeError, ValueError) as error:
            answer = None, str(error)
        connection.send(answer)


class ReferenceProcess:
    """Runs files, one after another; the process starts with the first."""

    def __init__(self):
        self._process, self._connection = None, None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def run(self, content: bytes, inputs) -> dict[str, np.ndarray]:
        """Every tensor that the reference kernels compute or read, by name, as `tests.reference.run_reference` gives them.

        Raises
        ------
        Refused
            If the interpreter does not take the file.
        Died
            If it aborts on it, or takes longer than a minute.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send((content, inputs))
            if not self._connection.poll(RUN_SECONDS):
                raise EOFError
            tensors, complaint = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            raise Died from None
        if complaint is not None:
            raise Refused(complaint)
        return tensors

    def _start(self):
        context = multiprocessing.get_context("forkserver")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def close(self):
        """End the process."""
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process = None
