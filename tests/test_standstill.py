from __future__ import annotations

import ctypes
import time

import pytest

from tests import standstill
from tests.standstill import StoodStillError


def fail() -> None:
    with standstill._noticed():
        raise AssertionError("late")


def test_a_failure_while_the_process_stood_still_is_told_as_such():
    time.sleep(0.05)
    ctypes.PyDLL(None).usleep(250_000)  # with Python's lock
    time.sleep(0.05)
    with pytest.raises(StoodStillError, match=r"stood still for \d\.\d+ s"):
        fail()


def test_any_other_failure_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(standstill._clock, "worst_s", 0.0)
    monkeypatch.setattr(standstill, "_LIMIT_S", 10.0)
    with pytest.raises(AssertionError, match="late"):
        fail()
