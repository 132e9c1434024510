"""A test that failed while its process stood still is run again, twice at most.

Cameras, engines and clocks are real in many tests. Where a machine stops all of them for a moment,
frames are late and some have to go, as they should; what the test asks of a machine that runs does
not hold then. A failure without a standstill stays one. No pytest-rerunfailures: it cannot ask what
the process did meanwhile, and beside xdist it takes 25 ms a test.
"""

from __future__ import annotations

import threading
import time

import pytest
from _pytest.runner import runtestprotocol

_NUM_RUNS = 3
_STEP_S = 0.01
_LIMIT_S = 0.1


class StoodStillWarning(UserWarning):
    """A test failed, and not necessarily because of what it tests."""


class _Clock(threading.Thread):
    """Wakes a hundred times a second, and notes how late it was at worst."""

    def __init__(self) -> None:
        super().__init__(name="standstill", daemon=True)
        self.restart()
        self.start()

    @property
    def worst_s(self) -> float:
        """Since it was restarted, seconds; also when it should have woken and has not yet."""
        return max(self._worst_s, time.monotonic() - self._woke_at - _STEP_S)

    def restart(self) -> None:
        self._woke_at, self._worst_s = time.monotonic(), 0.0

    def run(self) -> None:
        while True:
            time.sleep(_STEP_S)
            self._worst_s = self.worst_s
            self._woke_at = time.monotonic()


_clock = _Clock()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test with all that belongs to it, as pytest does, or again; the last run counts."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _run(item, nextitem)
    for _ in range(_NUM_RUNS - 1):
        if _clock.worst_s < _LIMIT_S or not any(report.failed for report in reports):
            break
        text = f"failed while its process stood still for {_clock.worst_s:.2f} s: run again"
        item.warn(StoodStillWarning(text))
        reports = _run(item, nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    _clock.restart()
    return runtestprotocol(item, log=False, nextitem=nextitem)
