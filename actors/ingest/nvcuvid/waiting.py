"""How a camera's thread waits for the GPU.

A wait inside the driver puts the thread to sleep until the GPU interrupts, which takes several
system calls. Looking again after a sleep of the usual length takes one, and is about as quick.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engines.errors import DeviceError

_MAX_WAIT_S = 10.0
_SHORTER = 0.98  # after a wait that was long enough, so that it does not stay too long
_CLOSER = 0.3  # of the way to what a wait that was too short should have been


@dataclass
class Waiting:
    """What a thread does while the GPU works for it.

    Attributes:
        decode: Look after sleeps whether a picture is decoded, or let the driver wait as it is
            fetched.
        copy: Look after sleeps whether it is copied, or let the driver wait for the copy's stream,
            or for an event.
        step_s: From one look to the next, once the usual time has passed.
    """

    decode: Literal["poll", "driver"] = "poll"
    copy: Literal["poll", "stream", "event"] = "poll"
    step_s: float = 0.0003


class Patience:
    """Looks whether something is done, first after as long as it has usually taken.

    Args:
        what: What is waited for, for messages.
        waiting: Has the time between looks.
    """

    def __init__(self, what: str, waiting: Waiting) -> None:
        self._what = what
        self._waiting = waiting
        self._usual_s = 0.0

    def wait(self, began: float, is_done: Callable[[], bool]) -> None:
        """Return when it is done.

        Args:
            began: When it was begun, ``time.monotonic()``.
            is_done: Looks.

        Raises:
            DeviceError: if it takes ten seconds; and what ``is_done`` raises.
        """
        left_s = began + self._usual_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        if is_done():
            self._usual_s *= _SHORTER
            return
        while True:
            time.sleep(self._waiting.step_s)
            took_s = time.monotonic() - began
            if is_done():
                self._usual_s += _CLOSER * (took_s - self._usual_s)
                return
            if took_s > _MAX_WAIT_S:
                raise DeviceError(f"NVDEC: {self._what} has taken {took_s:.0f} s")
