from __future__ import annotations

import pytest

from actors.ingest.beat import Beat
from actors.ingest.config import IngestConfig

CONFIG = IngestConfig(submit_interval_s=0.004, busy_interval_s=0.008, beat_s=0.01)


def calls(beat: Beat, num_tickets: int, *, start: float, num: int = 60) -> list[float]:
    """When calls begin that take no time and each bring as much."""
    began = [start]
    for _ in range(num):
        now = began[-1]
        began.append(now + beat.pause_s(num_tickets, now, now, is_busy=False))
    return began


def test_with_few_frames_the_next_call_comes_after_the_usual_interval():
    beat = Beat(CONFIG)
    assert beat.pause_s(1, 5.0, 5.001, is_busy=False) == pytest.approx(0.003)
    assert beat.pause_s(0, 5.1, 5.2, is_busy=False) == 0.0
    assert beat.pause_s(1, 5.3, 5.301, is_busy=True) == pytest.approx(0.007)


def test_with_many_frames_actors_call_at_the_same_moments():
    one = calls(Beat(CONFIG), 3, start=7.0011)[-20:]
    two = calls(Beat(CONFIG), 5, start=7.0077)[-20:]
    for moment in (*one, *two):
        assert moment / CONFIG.beat_s == pytest.approx(round(moment / CONFIG.beat_s), abs=1e-6)


def test_a_beat_of_zero_is_none():
    beat = Beat(IngestConfig(submit_interval_s=0.004))
    assert calls(beat, 50, start=1.0, num=3) == pytest.approx([1.0, 1.004, 1.008, 1.012])


def test_cameras_that_leave_end_the_beat():
    beat = Beat(CONFIG)
    last = calls(beat, 5, start=3.0)[-1]
    for number in range(60):
        last += 0.05
        pause_s = beat.pause_s(number % 2, last, last, is_busy=False)
    assert pause_s == pytest.approx(0.004)
