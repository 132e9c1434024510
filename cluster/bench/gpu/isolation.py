"""Runs a part in a process of its own: a fault of the GPU is fatal to its process, and to no other.

The process that starts the parts never opens the GPU itself, so each part finds it as it is.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from cluster.errors import UnavailableError

Report = Callable[[str], None]

_END_TIMEOUT_S = 30.0


def run_isolated(function: Callable[..., Any], *arguments: Any, report: Report) -> Any:
    """Call a function of a module in a new process, and wait for what it returns.

    Args:
        function: Gets the arguments, and ``report`` by name.
        arguments: What can be pickled.
        report: Told here what the function reports there.

    Raises:
        UnavailableError: if it raised, with what; the whole is on stderr. Or if its process died.
    """
    spawn = get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        return _result(here, report)
    except EOFError:
        process.join(_END_TIMEOUT_S)
        raise UnavailableError(f"its process died with exit code {process.exitcode}") from None
    finally:
        process.join(_END_TIMEOUT_S)
        process.kill()


def _result(here: Connection, report: Report) -> Any:
    while True:
        kind, value = here.recv()
        if kind == "report":
            report(value)
        elif kind == "failed":
            raise UnavailableError(value)
        else:
            return value


def _serve(there: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sending = threading.Lock()

    def report(text: str) -> None:
        with sending:  # a builder reports from threads of its own
            there.send(("report", text))

    try:
        value = function(*arguments, report=report)
        there.send(("done", value))
    except Exception as error:  # of whatever library; the other process says it
        traceback.print_exc()
        there.send(("failed", f"{type(error).__name__}: {error}"))
