from __future__ import annotations

import pytest

from actors.ingest.beat import Beat
from actors.ingest.config import IngestConfig

CONFIG = IngestConfig(submit_interval_s=0.004, busy_interval_s=0.008, beat_s=0.01)


def pause_s(
    beat: Beat,
    num_tickets: int,
    began: float,
    now: float | None = None,
    *,
    is_behind: bool = False,
    is_busy: bool = False,
) -> float:
    now = began if now is None else now
    return beat.pause_s(num_tickets, began, now, is_behind=is_behind, is_busy=is_busy)


def calls(beat: Beat, num_tickets: int, *, start: float, num: int = 60) -> list[float]:
    """When calls begin that take no time and each bring as much."""
    began = [start]
    for _ in range(num):
        now = began[-1]
        began.append(now + pause_s(beat, num_tickets, now))
    return began


def test_with_few_frames_the_next_call_comes_after_the_usual_interval():
    beat = Beat(CONFIG)
    assert pause_s(beat, 1, 5.0, 5.001) == pytest.approx(0.003)
    assert pause_s(beat, 0, 5.1, 5.2) == 0.0
    assert pause_s(beat, 1, 5.3, 5.301, is_busy=True) == pytest.approx(0.007)


def test_with_many_frames_actors_call_at_the_same_moments():
    one = calls(Beat(CONFIG), 10, start=7.0011)[-20:]
    two = calls(Beat(CONFIG), 19, start=7.0077)[-20:]
    for moment in (*one, *two):
        assert moment / CONFIG.beat_s == pytest.approx(round(moment / CONFIG.beat_s), abs=1e-6)


def test_where_a_call_leaves_frames_behind_the_next_one_comes_after_half_a_beat():
    beat = Beat(CONFIG)
    now = calls(beat, 16, start=7.0011)[-1] + 0.0011
    half_s = CONFIG.beat_s / 2
    assert pause_s(beat, 16, now, is_behind=True) == pytest.approx(half_s - 0.0011)
    now += half_s
    assert pause_s(beat, 16, now, is_behind=True) == pytest.approx(half_s - 0.0011)
    assert pause_s(beat, 16, now) == pytest.approx(half_s - 0.0011)


def test_a_beat_of_zero_is_none():
    beat = Beat(IngestConfig(submit_interval_s=0.004))
    assert calls(beat, 50, start=1.0, num=3) == pytest.approx([1.0, 1.004, 1.008, 1.012])


def test_cameras_that_leave_end_the_beat():
    beat = Beat(CONFIG)
    last = calls(beat, 16, start=3.0)[-1]
    for number in range(60):
        last += 0.05
        paused_s = pause_s(beat, number % 2, last)
    assert paused_s == pytest.approx(0.004)
