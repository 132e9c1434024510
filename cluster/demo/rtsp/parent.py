"""Ending together with the process that started this one, on Linux."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def on_death_of_parent(stop: Callable[[], object]) -> None:
    """Call ``stop`` when the parent process dies; do nothing on systems other than Linux.

    The kernel signals the end of the *thread* that started us, so SIGHUP is a question:
    only where we have another parent by now is the old one dead.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()

    def ask(signum: int, frame: object) -> None:
        if os.getppid() != parent:
            stop()

    signal.signal(signal.SIGHUP, ask)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
