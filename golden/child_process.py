"""A file of this package as a child process that is asked and answers: what the reference interpreter can take with it when it aborts.

    child = ChildProcess("golden.host_process", what="...", file=path, remedy="...")
    child.send("load", content)
    answer = child.receive()        # None where it died; `death` says of what

and in the child:

    say = answers()                 # before anything prints
    kind, content = next_message()
    say("done")

Messages are tuples, which pickle carries.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hw.npu.errors import WeftError

ROOT = Path(__file__).resolve().parent.parent
"""Where the child finds this package."""


class ChildProcess:
    """A child that runs a module of this package.

    Parameters
    ----------
    module : str
        Its full name; it is run as a program.
    what : str
        How messages call the child.
    file : str or Path
        The network's file, for messages.
    remedy : str
        What to do where the child cannot even begin.
    """

    def __init__(self, module: str, *, what: str, file, remedy: str):
        self._what, self._file, self._remedy = what, file, remedy
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        command = [sys.executable, "-P", "-m", module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, env=environment)

    def send(self, *message):
        """Send a message; to a dead child nothing is sent, and `receive` says that it is dead."""
        with suppress(OSError):
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def receive(self) -> tuple | None:
        """Wait for the next answer; None where the child ended instead, perhaps within an answer."""
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            return None

    def kill(self):
        """End the child at once; whoever waits for an answer gets None."""
        self._process.kill()

    def close(self):
        """End the child and forget what it printed."""
        self.kill()
        with suppress(OSError), self._process:
            pass  # leaving it closes the pipes, where a message may be left that the child did not read, and waits
        self._noise.close()

    @property
    def ended(self) -> bool:
        """Whether the child is no more."""
        return self._process.poll() is not None

    def death(self) -> str:
        """The signal that ended the child, after `receive` gave None.

        Raises
        ------
        WeftError
            If it was none: the child could not even import what it needs.
        """
        status = self._process.wait()
        if status < 0:
            return signal.Signals(-status).name
        self._noise.seek(0)
        lines = self._noise.read().decode(errors="replace").strip().splitlines()
        raise WeftError(f"{self._what} ended: {lines[-1] if lines else f'exit code {status}'}", file=self._file, remedy=self._remedy)


def answers() -> Callable[..., None]:
    """In the child: what sends an answer. From here on whatever else is printed goes to the standard error."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(*message):
        pickle.dump(message, pipe)
        pipe.flush()

    return say


def next_message() -> tuple:
    """In the child: wait for the next message.

    Raises
    ------
    EOFError
        If there will be none.
    """
    return pickle.load(sys.stdin.buffer)
