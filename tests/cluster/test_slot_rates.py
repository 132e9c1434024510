"""Frames a second of a stream, from counts that only grow."""

from __future__ import annotations

import pytest

from actors.ledger import Ledger, LedgerEntry
from actors.messages import DropReason
from cluster.slot.rates import RateMeter, Rates


def entry(decoded: int, inferred: int, **dropped: int) -> LedgerEntry:
    ledger = Ledger.create(1)
    row = ledger.row(0)
    for _ in range(decoded):
        row.count_decoded()
    for _ in range(inferred):
        row.count_inferred(0.01, is_on_time=True)
    for reason, num in dropped.items():
        row.count_dropped(DropReason(reason), num)
    ledger.unlink()
    return row.read()


def test_the_first_look_knows_no_rate() -> None:
    assert RateMeter().measure(entry(9, 9), 1.0) == Rates()


def test_what_max_fps_takes_out_is_not_offered_and_what_overload_takes_is() -> None:
    meter = RateMeter()
    meter.measure(entry(0, 0), 0.0)
    rates = meter.measure(entry(50, 8, sampled=20, corrupt=2, deadline=10, superseded=10), 2.0)
    assert (rates.offered, rates.inferred) == (14.0, 4.0)


def test_the_rate_is_that_of_the_last_three_seconds() -> None:
    meter = RateMeter()
    for second in range(20):
        fast = meter.measure(entry(min(second, 10) * 10, 0), float(second))
    assert fast.offered == 0.0


@pytest.mark.parametrize("now", [0.0, 1.0])
def test_the_same_moment_twice_is_no_division_by_zero(now: float) -> None:
    meter = RateMeter()
    meter.measure(entry(1, 1), now)
    assert meter.measure(entry(1, 1), now) == Rates()
