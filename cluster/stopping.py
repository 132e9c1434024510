"""One way to stop: Ctrl-C, SIGTERM and a time limit all become the same flag."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Holds the signal handlers for the time of a ``with``, and puts the former ones back.

    While things start, a signal interrupts as usual; after ``take_signals`` it sets the flag.
    """

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def take_signals(self) -> None:
        """From now on signals set the flag; call it after Ray has started, which takes SIGTERM."""
        for number in _SIGNALS:
            signal.signal(number, lambda _number, _frame: self._flag.set())

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until a signal comes or the time is over; True where a signal came."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._flag.is_set():
            left = 1.0 if deadline is None else min(1.0, deadline - time.monotonic())
            if left <= 0:
                break
            self._flag.wait(left)
        return self._flag.is_set()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
