"""On which side an object is, in spite of a box that jitters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.rules.scene import Moment
from actors.analytics.rules.side import Side

SIZE_PX = 40.0


def changes(distances_px: list[float], step_s: float = 0.1) -> list[int]:
    """Numbers of the sightings at which the side became another one."""
    side, found = Side(), []
    for number, distance_px in enumerate(distances_px):
        t_s = number * step_s
        at = Moment(t_s=t_s, ts=t_s, pts_s=t_s)
        if side.stays(distance_px, at):
            continue
        side.observe(distance_px, at)
        if side.settle(SIZE_PX):
            found.append(number)
    return found


def test_a_foot_that_jumps_over_the_border_and_back_stays_on_its_side() -> None:
    assert changes([6.0] * 5 + [-10.0, -10.0] + [6.0] * 5) == [3]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-25.0, 25.0), max_size=40))
def test_asking_first_whether_an_object_stays_changes_nothing(distances_px: list[float]) -> None:
    quick, slow = Side(), Side()
    for number, distance_px in enumerate(distances_px):
        at = Moment(t_s=0.1 * number, ts=0.0, pts_s=0.0)
        slow.observe(distance_px, at)
        became_other = slow.settle(SIZE_PX)
        if quick.stays(distance_px, at):
            assert not became_other
        else:
            quick.observe(distance_px, at)
            assert quick.settle(SIZE_PX) == became_other
        assert quick == slow


def test_an_object_that_stays_across_has_crossed() -> None:
    assert changes([6.0] * 5 + [-6.0] * 5) == [3, 7]


def test_an_object_far_across_has_crossed_at_once() -> None:
    assert changes([30.0] * 3 + [-30.0]) == [0, 3]


@pytest.mark.parametrize("distance_px", [0.0, 1.0])
def test_an_object_on_the_border_needs_longest(distance_px: float) -> None:
    assert changes([distance_px] * 8) == [5]
