"""Ctrl-C, SIGTERM and a time limit stop in the same way."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from cluster.stopping import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


def interrupt(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def fail_while_stoppable() -> None:
    with Stop() as stop:
        stop.take_signals()
        raise ValueError("broken")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    with Stop() as stop:
        stop.take_signals()
        assert not stop.wait(0)
        os.kill(os.getpid(), number)
        assert stop.wait(10)
        assert stop.wait(None)


@pytest.mark.parametrize("number", SIGNALS)
def test_while_things_start_a_signal_interrupts(number: signal.Signals) -> None:
    # Shells let what they start in the background ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Stop():
            interrupt(number)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, 0.05])
def test_the_time_limit_ends_the_wait_without_a_signal(timeout_s: float) -> None:
    with Stop() as stop:
        stop.take_signals()
        assert not stop.wait(timeout_s)


def test_former_handlers_come_back_also_after_an_error() -> None:
    before = handlers()
    with pytest.raises(ValueError, match="broken"):
        fail_while_stoppable()
    assert handlers() == before


def test_handlers_are_its_own_only_while_it_is_open() -> None:
    before = handlers()
    with Stop() as stop:
        stop.take_signals()
        assert all(a != b for a, b in zip(handlers(), before, strict=True))
    assert handlers() == before
