from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.frame_clock import FrameClock

UTC = 1_700_000_000.0


def stamps(clock: FrameClock, frames: list[tuple[float, float]]) -> list[float]:
    return [clock.stamp(pts, UTC + arrival) - UTC for pts, arrival in frames]


def test_jitter_of_arrival_does_not_show_in_the_spacing():
    frames = [(i / 25, i / 25 + (0.03 if i % 3 else 0.0)) for i in range(250)]
    ts = stamps(FrameClock(), frames)
    steps = [b - a for a, b in pairwise(ts)]
    assert all(step == pytest.approx(0.04, abs=1e-3) for step in steps)


def test_a_burst_after_a_pause_of_the_network_keeps_the_spacing_of_the_camera():
    frames = [(i / 25, i / 25) for i in range(50)]
    frames += [(i / 25, 4.0 + (i - 50) * 0.001) for i in range(50, 100)]
    frames += [(i / 25, i / 25) for i in range(100, 150)]
    clock = FrameClock()
    ts = stamps(clock, frames)
    assert ts == pytest.approx([i / 25 for i in range(150)], abs=0.02)
    assert clock.num_jumps == 0


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 2.5, -2.5])
def test_a_jump_of_the_timestamps_is_seen_and_does_not_show(jump_s):
    frames = [(100 + i / 25 + (jump_s if i >= 50 else 0), i / 25) for i in range(100)]
    clock = FrameClock()
    assert stamps(clock, frames) == pytest.approx([i / 25 for i in range(100)], abs=1e-3)
    assert clock.num_jumps == 1


def test_timestamps_that_stand_still_are_replaced_by_the_arrival():
    frames = [(0.0, i / 25) for i in range(100)]
    assert stamps(FrameClock(), frames) == pytest.approx([i / 25 for i in range(100)])


def test_a_clock_that_stays_behind_begins_anew_after_a_while():
    clock = FrameClock()
    frames = [(i / 25, i / 25 + (5.0 if i > 10 else 0.0)) for i in range(100)]
    ts = stamps(clock, frames)
    assert ts[20] == pytest.approx(20 / 25, abs=0.01)
    assert ts[99] == pytest.approx(99 / 25 + 5.0, abs=0.01)
    assert clock.num_jumps == 1


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_camera_whose_clock_drifts_is_followed_without_a_jump(drift):
    clock = FrameClock()
    ts = stamps(clock, [(i * (1 + drift), float(i)) for i in range(20_000)])
    assert ts[-1] == pytest.approx(19_999, abs=0.01)
    assert clock.num_jumps == 0


def test_a_later_session_does_not_begin_before_the_end_of_the_one_before():
    assert FrameClock(not_before=UTC + 5).stamp(0.0, UTC) == UTC + 5


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 5)), max_size=60))
def test_time_never_goes_backwards_nor_ahead_of_the_arrival(steps):
    clock, arrival, before = FrameClock(), UTC, 0.0
    for pts_s, step_s in steps:
        arrival += step_s
        ts = clock.stamp(pts_s, arrival)
        assert before <= ts <= arrival + 1e-6
        before = ts
