"""Who leaves the picture does not come back as somebody else, on whichever side it is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from actors.analytics.tracking import Tracker
from engines.detections import Detections

SIZE = 640, 360
STEP_S = 1 / 6

Box = tuple[float, float, float, float]


def lorry(left: float, top: float) -> Box:
    """160 by 60 px, as much of it as is in the picture."""
    return max(left, 0.0), top, min(left + 160.0, 640.0), top + 60.0


def leaving() -> list[Box]:
    """To the left, 150 px a second, gone after two seconds."""
    return [lorry(140 - 25 * n, 140) for n in range(12)]


def entering() -> list[Box]:
    """To the right, on the near lane, from where the other one leaves, and hiding it there."""
    return [lorry(-70 + 35 * n, 155) for n in range(10)]


def turned(box: Box, side: str) -> Box:
    """The same at another side of a picture as high as it is wide."""
    left, top, right, bottom = box
    boxes = {
        "left": box,
        "right": (640 - right, top, 640 - left, bottom),
        "top": (top, left, bottom, right),
        "bottom": (top, 640 - right, bottom, 640 - left),
    }
    return boxes[side]


def follow(tracker: Tracker, boxes: Iterable[Box], class_ids: Iterable[int] = ()) -> list[int]:
    """The track of the one object of each frame, 0 where it has none yet."""
    found, names = [], list(class_ids)
    for n, box in enumerate(boxes):
        class_id = names[n] if names else 0
        seen = Detections.of(np.array([box]), np.array([0.9]), np.array([class_id]))
        tracked = tracker.update(seen, n * STEP_S).track_id.tolist()
        found.append(tracked[0] if tracked else 0)
    return found


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_who_comes_in_where_another_one_leaves_is_somebody_else(side: str) -> None:
    boxes = [turned(box, side) for box in [*leaving()[:11], *entering()]]
    found = follow(Tracker(size=(640, 640)), boxes)
    assert set(found[1:11]) == {1}
    assert set(found[-6:]) == {2}


def test_without_the_size_of_the_picture_nobody_is_known_to_leave() -> None:
    assert set(follow(Tracker(), [*leaving()[:11], *entering()])) == {0, 1}


def test_who_leaves_keeps_its_track_to_the_last() -> None:
    found = follow(Tracker(size=SIZE), [box for box in leaving() if box[2] > 4])
    assert set(found[1:]) == {1}


def test_who_brakes_at_the_border_and_sets_out_again_keeps_its_track() -> None:
    way_px = np.cumsum([25, 25, 20, 14, 8, 3, 0, 0, 0, 0, 3, 8, 14, 20, 25])
    found = follow(Tracker(size=SIZE), [lorry(40 - px, 140) for px in way_px])
    assert set(found[1:]) == {1}


def test_another_kind_of_object_beside_where_one_was_is_not_that_one() -> None:
    cars = [(230.0 - 1.5 * n, 40.0 - 1.2 * n, 247.0 - 1.5 * n, 53.0 - 1.2 * n) for n in range(12)]
    lorries = [(200.0 + n, 9.0 + n, 221.0 + n, 32.0 + n) for n in range(6)]
    found = follow(Tracker(size=SIZE), [*cars, *lorries], [0] * 12 + [1] * 6)
    assert set(found[1:12]) == {1}
    assert set(found[13:]) == {2}


def test_a_class_that_is_mistaken_for_a_moment_breaks_no_track() -> None:
    boxes = [(100.0 + 12 * n, 100.0, 180.0 + 12 * n, 140.0) for n in range(12)]
    found = follow(Tracker(size=SIZE), boxes, [0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0])
    assert set(found[1:]) == {1}


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_who_comes_in_nearer_where_another_one_leaves_is_somebody_else(side: str) -> None:
    nearer = [(0.0, 150.0, 85.0 + 35 * n, 240.0) for n in range(6)]
    boxes = [turned(box, side) for box in [*leaving()[:9], *nearer]]
    found = follow(Tracker(size=(640, 640)), boxes)
    assert set(found[1:9]) == {1}
    assert set(found[10:]) == {2}
