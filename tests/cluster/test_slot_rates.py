"""Frames a second of a stream, from counts that only grow."""

from __future__ import annotations

import pytest

from actors.ledger import Ledger
from actors.messages import DropReason
from cluster.slot.rates import NOT_OFFERED, RateMeter, Rates


def frames(decoded: int, inferred: int, **dropped: int) -> tuple[int, int]:
    """As the slot reads them from the ledger."""
    ledger = Ledger.create(2)
    row = ledger.row(1)
    for _ in range(decoded):
        row.count_decoded()
    for _ in range(inferred):
        row.count_inferred(0.01, is_on_time=True)
    for reason, num in dropped.items():
        row.count_dropped(DropReason(reason), num)
    ledger.unlink()
    none, found = ledger.frames(NOT_OFFERED).tolist()
    assert none == [0, 0]
    return found[0], found[1]


def test_the_first_look_knows_no_rate() -> None:
    assert RateMeter().measure(*frames(9, 9), 1.0) == Rates()


def test_what_max_fps_takes_out_is_not_offered_and_what_overload_takes_is() -> None:
    meter = RateMeter()
    meter.measure(*frames(0, 0), 0.0)
    rates = meter.measure(*frames(50, 8, sampled=20, corrupt=2, deadline=10, superseded=10), 2.0)
    assert (rates.offered, rates.inferred) == (14.0, 4.0)


def test_the_rate_is_that_of_the_last_three_seconds() -> None:
    meter = RateMeter()
    for second in range(20):
        fast = meter.measure(*frames(min(second, 10) * 10, 0), float(second))
    assert fast.offered == 0.0


@pytest.mark.parametrize("now", [0.0, 1.0])
def test_the_same_moment_twice_is_no_division_by_zero(now: float) -> None:
    meter = RateMeter()
    meter.measure(*frames(1, 1), now)
    assert meter.measure(*frames(1, 1), now) == Rates()
