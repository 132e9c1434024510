from __future__ import annotations

import pytest

from actors.ingest.pacing import Pacer
from actors.ingest.timeline import Timeline


def test_packets_are_held_back_until_they_are_due():
    pacer = Pacer(0.04)
    assert pacer.delay_s(10.0, now=500.0) == 0
    assert pacer.delay_s(10.04, now=500.01) == pytest.approx(0.03)
    assert pacer.delay_s(10.08, now=500.09) == 0


def test_a_small_delay_is_made_up_for_and_a_large_one_is_not():
    pacer = Pacer(0.04)
    pacer.delay_s(0.0, now=0.0)
    assert pacer.delay_s(0.04, now=0.9) == 0
    assert pacer.delay_s(1.0, now=0.9) == pytest.approx(0.1)
    assert pacer.delay_s(1.04, now=5.0) == 0
    assert pacer.delay_s(1.08, now=5.0) == pytest.approx(0.04)


@pytest.mark.parametrize("pts_s", [3600.0, -3600.0])
def test_a_gap_in_the_file_is_not_waited_for(pts_s):
    pacer = Pacer(0.04)
    pacer.delay_s(0.0, now=0.0)
    assert pacer.delay_s(pts_s, now=1.0) == 0
    assert pacer.delay_s(pts_s + 0.04, now=1.0) == pytest.approx(0.04)


def test_packets_without_a_time_are_due_at_the_nominal_rate():
    pacer = Pacer(0.04)
    assert [pacer.delay_s(None, now=0.0) for _ in range(4)] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_a_file_that_begins_again_goes_on_at_its_pace():
    pacer = Pacer(0.04)
    for time_s in (1.0, 1.04, 1.08):
        pacer.delay_s(time_s, now=0.0)
    pacer.repeat()
    assert pacer.delay_s(1.0, now=0.0) == pytest.approx(0.12)


def test_times_go_on_over_the_end_of_a_file():
    timeline = Timeline(0.04)
    first = [timeline.place(time_s) for time_s in (5.0, 5.08, 5.04)]
    timeline.repeat()
    second = [timeline.place(time_s) for time_s in (5.0, 5.08, 5.04)]
    assert first == [5.0, 5.08, 5.04]
    assert second == pytest.approx([5.12, 5.20, 5.16])


def test_pictures_without_a_time_follow_the_one_before():
    timeline = Timeline(0.1)
    assert [timeline.place(t) for t in (None, None, 0.5, None)] == pytest.approx([0, 0.1, 0.5, 0.6])
