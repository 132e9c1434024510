"""When the API answered, asked ten times a second from a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx

_ASK_EVERY_S = 0.1
_TIMEOUT_S = 2.0


class AnswerWatch:
    """Asks from its start until ``close``.

    Args:
        url: Of the API; ``/healthz`` is asked, which looks at nothing behind it.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/healthz"
        self._seen_at: list[float] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def seen_at(self) -> list[float]:
        """Moments of the answers so far, by the monotonic clock."""
        with self._lock:
            return list(self._seen_at)

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            while not self._closed.wait(_ASK_EVERY_S):
                with contextlib.suppress(httpx.TransportError):
                    if client.get(self._url).status_code == 200:
                        with self._lock:
                            self._seen_at.append(time.monotonic())
