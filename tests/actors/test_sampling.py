from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.sampling import FrameSampler, RateMeter


def admitted(times, max_fps: float | None) -> list[int]:
    sampler = FrameSampler()
    return [index for index, ts in enumerate(times) if sampler.admit(ts, max_fps)]


@pytest.mark.parametrize("jitter_s", [0.0, 0.005, 0.009])
def test_25_to_5_takes_exactly_every_fifth(jitter_s):
    rng = Random(7)
    times = [i / 25 + rng.uniform(-jitter_s, jitter_s) for i in range(2500)]
    assert admitted(times, 5) == list(range(0, 2500, 5))


@pytest.mark.parametrize(
    ("fps", "max_fps"), [(24, 10), (30, 25), (25, 24), (29.97, 7), (60, 1), (25, 0.3)]
)
def test_the_limit_is_reached_within_a_percent_where_it_does_not_divide(fps, max_fps):
    num = len(admitted([i / fps for i in range(int(600 * fps))], max_fps))
    assert num == pytest.approx(600 * max_fps, rel=0.01)


def test_24_to_10_is_even():
    picked = admitted([i / 24 for i in range(2400)], 10)
    assert {b - a for a, b in pairwise(picked)} == {2, 3}


@pytest.mark.parametrize("max_fps", [None, 25, 26, 1000])
def test_a_limit_above_the_rate_takes_all_in_spite_of_jitter(max_fps):
    rng = Random(3)
    times = [i / 25 + rng.uniform(0, 0.008) for i in range(1000)]
    assert len(admitted(times, max_fps)) == 1000


def test_cameras_that_send_together_take_turns():
    times = [i / 25 for i in range(250)]
    samplers = [FrameSampler(phase) for phase in (0.0, 0.2, 0.4, 0.6, 0.8)]
    picked = [{i for i in times if sampler.admit(i, 5)} for sampler in samplers]
    assert all(len(each) in (49, 50) for each in picked)
    assert set.intersection(*picked) == {0.0}
    assert max(sum(ts in each for each in picked) for ts in times[1:]) == 1


def test_a_pause_is_not_made_up_for():
    times = [i / 25 for i in range(50)] + [100 + i / 25 for i in range(50)]
    picked = admitted(times, 5)
    assert picked == list(range(0, 100, 5))


def test_a_changed_limit_holds_from_the_next_picture_on():
    sampler = FrameSampler()
    slow = [i for i in range(100) if sampler.admit(i / 25, 1)]
    fast = [i for i in range(100, 200) if sampler.admit(i / 25, 12.5)]
    assert len(slow) == 4
    assert len(fast) == 50


@given(
    st.lists(st.floats(0.001, 2), min_size=1, max_size=200), st.floats(0.1, 60), st.integers(1, 9)
)
def test_no_window_holds_more_than_its_share(steps, max_fps, num_periods):
    times, sampler, now = [], FrameSampler(), 0.0
    for step in steps:
        now += step
        if sampler.admit(now, max_fps):
            times.append(now)
    window_s = num_periods / max_fps
    for begin in times:
        assert sum(begin <= ts < begin + window_s for ts in times) <= num_periods + 2


def test_the_meter_shows_the_rate_of_the_last_second_and_zero_when_it_stopped():
    meter = RateMeter()
    assert meter.fps(0.0) == 0
    for i in range(76):
        meter.count(100 + i / 25)
    assert meter.fps(103.0) == pytest.approx(25)
    assert meter.fps(106.0) == 0


def test_the_meter_shows_a_slow_camera():
    meter = RateMeter()
    for i in range(5):
        meter.count(i * 4.0)
    assert meter.fps(18.0) == pytest.approx(0.25)
