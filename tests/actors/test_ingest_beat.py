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
        began.append(now + beat.pause_s([now] * num_tickets, now, now, is_busy=False))
    return began


def test_with_few_frames_the_next_call_comes_after_the_usual_interval():
    beat = Beat(CONFIG)
    assert beat.pause_s([5.0], 5.0, 5.001, is_busy=False) == pytest.approx(0.003)
    assert beat.pause_s([], 5.1, 5.2, is_busy=False) == 0.0
    assert beat.pause_s([5.3], 5.3, 5.301, is_busy=True) == pytest.approx(0.007)


def test_with_many_frames_actors_call_at_the_same_moments():
    one = calls(Beat(CONFIG), 5, start=7.0011)[-20:]
    two = calls(Beat(CONFIG), 9, start=7.0077)[-20:]
    for moment in (*one, *two):
        assert moment / CONFIG.beat_s == pytest.approx(round(moment / CONFIG.beat_s), abs=1e-6)


def test_where_a_camera_brings_two_frames_in_a_beat_the_next_call_comes_after_half_of_it():
    beat = Beat(CONFIG)
    for began in (7.0011 + CONFIG.beat_s * number for number in range(60)):
        beat.pause_s([began] * 8, began, began, is_busy=False)
    now, half_s = began + CONFIG.beat_s, CONFIG.beat_s / 2
    waited = [began - 0.002, *[now - 0.001] * 7]
    pause_s = beat.pause_s(waited, now, now, is_busy=False)
    assert pause_s == pytest.approx(half_s - 0.0011)
    now += half_s
    pause_s = beat.pause_s([now] * 8, now, now, is_busy=False)
    assert pause_s == pytest.approx(half_s - 0.0011)


def test_a_beat_of_zero_is_none():
    beat = Beat(IngestConfig(submit_interval_s=0.004))
    assert calls(beat, 50, start=1.0, num=3) == pytest.approx([1.0, 1.004, 1.008, 1.012])


def test_cameras_that_leave_end_the_beat():
    beat = Beat(CONFIG)
    last = calls(beat, 8, start=3.0)[-1]
    for number in range(60):
        last += 0.05
        pause_s = beat.pause_s([last] * (number % 2), last, last, is_busy=False)
    assert pause_s == pytest.approx(0.004)
