"""A test that failed while its process stood still is run again, twice at most.

Cameras, engines and clocks are real in many tests. Where a machine stops all of them for a moment,
frames are late and some have to go, as they should; what the test asks of a machine that runs does
not hold then. A failure without a standstill stays one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

_STEP_S = 0.01
_LIMIT_S = 0.1


class StoodStillError(Exception):
    """A test failed, and not necessarily because of what it tests."""


class _Clock(threading.Thread):
    """Wakes a hundred times a second, and notes how late it was at worst."""

    def __init__(self) -> None:
        super().__init__(name="standstill", daemon=True)
        self.worst_s = 0.0
        self.start()

    def run(self) -> None:
        while True:
            began = time.monotonic()
            time.sleep(_STEP_S)
            self.worst_s = max(self.worst_s, time.monotonic() - began - _STEP_S)


_clock = _Clock()


@contextmanager
def _noticed() -> Iterator[None]:
    """Say of a failure how long the process stood still in its test."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        if _clock.worst_s < _LIMIT_S:
            raise
        raise StoodStillError(f"the process stood still for {_clock.worst_s:.2f} s") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """A test begins."""
    _clock.worst_s = 0.0
    with _noticed():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """It runs."""
    with _noticed():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """It ends."""
    with _noticed():
        return (yield)
