"""Which crop requests a frame gets, which of its detections they mean, and how many are taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.crop_messages import CropRequest
from actors.inference.crop_desk import (
    MAX_AGE_S,
    MAX_REQUESTS,
    CropDesk,
    first_of_each,
    rows_of,
)
from engines.detections import Detections

BOX = (100.0, 100.0, 140.0, 120.0)
STILL = (0.0, 0.0, 0.0, 0.0)


def request(track: int = 1, **fields: object) -> CropRequest:
    given = {"stream": "gate", "session": 4, "secondary": "shade", "class_id": 0, "box": BOX}
    return CropRequest(**{**given, "velocity_px_s": STILL, "ts": 50.0, "track": track, **fields})


def found(*boxes: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    num = len(boxes)
    xyxy = np.array(boxes, float).reshape(-1, 4)
    return Detections.of(xyxy, np.ones(num), np.full(num, class_id))


def test_a_frame_takes_what_waits_for_its_stream_once() -> None:
    desk = CropDesk()
    desk.put([request(1), request(2), request(3, stream="yard")], 10.0)
    assert [r.track for r in desk.take("gate", 4, 10.1)] == [1, 2]
    assert desk.take("gate", 4, 10.1) == ()
    assert len(desk) == 1


def test_the_newest_request_for_a_track_counts_and_others_stay() -> None:
    desk = CropDesk()
    desk.put([request(1), request(2)], 10.0)
    desk.put([request(1, ts=51.0)], 10.1)
    assert {r.track: r.ts for r in desk.take("gate", 4, 10.2)} == {2: 50.0, 1: 51.0}


def test_requests_of_another_source_session_come_to_nothing() -> None:
    desk = CropDesk()
    desk.put([request(1), request(2, session=5)], 10.0)
    assert [r.track for r in desk.take("gate", 5, 10.0)] == [2]


def test_requests_live_for_a_short_time_also_where_no_frame_ever_comes() -> None:
    desk = CropDesk()
    desk.put([request(1)], 10.0)
    assert desk.take("gate", 4, 10.1 + MAX_AGE_S) == ()
    desk.put([request(1)], 20.0)
    desk.put([request(1, stream="yard")], 20.1 + MAX_AGE_S)
    assert len(desk) == 1


def test_of_too_many_requests_of_a_stream_the_newest_stay() -> None:
    desk = CropDesk()
    desk.put([request(track) for track in range(MAX_REQUESTS + 5)], 10.0)
    assert [r.track for r in desk.take("gate", 4, 10.0)] == list(range(5, MAX_REQUESTS + 5))


def test_a_request_means_the_object_that_overlaps_most_where_it_should_be_by_then() -> None:
    moving = request(velocity_px_s=(100.0, 0.0, 100.0, 0.0))
    frame = found(BOX, (150, 100, 190, 120))
    assert rows_of([moving, request(2)], 50.5, frame).tolist() == [1, 0]


@pytest.mark.parametrize(
    "frame",
    [found(), found((300, 100, 340, 120)), found(BOX, class_id=1), found((100, 100, 111, 120))],
    ids=["empty", "elsewhere", "another class", "too small an overlap"],
)
def test_a_request_without_its_object_means_nothing(frame: Detections) -> None:
    assert rows_of([request()], 50.1, frame).tolist() == [-1]


def test_a_clock_that_runs_away_takes_no_box_further_than_requests_live() -> None:
    moving = request(velocity_px_s=(10.0, 0.0, 10.0, 0.0))
    assert rows_of([moving], 5000.0, found((110, 100, 150, 120))).tolist() == [0]
    assert rows_of([moving], 0.0, found(BOX)).tolist() == [0]


@given(counts=st.lists(st.integers(0, 9), max_size=6), limit=st.integers(0, 40))
def test_a_limit_is_used_up_and_shared_evenly(counts: list[int], limit: int) -> None:
    taken = first_of_each(counts, limit)
    assert sum(taken) == min(limit, sum(counts))
    assert all(0 <= a <= b for a, b in zip(taken, counts, strict=True))
    cut = [a for a, b in zip(taken, counts, strict=True) if a < b]
    assert max(cut, default=0) - min(cut, default=0) <= 1
    assert not cut or max(taken) <= min(cut) + 1
