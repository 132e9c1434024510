"""A lock that is a file: one process at a time, also over machines that share the folder.

It is the kernel's (``flock``), which a shared file system honours too, and which ends with its
holder, however that ends: nothing is left behind that could keep others waiting.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

POLL_S = 0.5

Waiting = Callable[[str], None]
"""Told who holds the lock, again and again."""


@contextmanager
def locked(path: Path, waiting: Waiting) -> Iterator[None]:
    """Hold a lock; waits while another process has it.

    Args:
        path: The file, which is made; it stays, and says who had the lock last.
        waiting: Called every ``POLL_S`` while another process has it.

    Raises:
        OSError: if the file cannot be opened for writing, or cannot be locked there.
    """
    with path.open("a+", encoding="utf-8") as file:
        while not _take(file):
            file.seek(0)
            waiting(file.read().strip() or "another process")
            time.sleep(POLL_S)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _take(file: IO[str]) -> bool:
    """Take the lock, if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
