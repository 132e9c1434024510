"""Suppression against the plain greedy algorithm."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.families.suppression import BLOCK, PART_SHARE, Overlaps, suppress


def plain_greedy(
    xyxy: NDArray[np.float32], class_id: NDArray[np.int64], overlaps: Overlaps
) -> list[int]:
    kept: list[int] = []
    for j in range(len(xyxy)):
        if not any(is_one(xyxy, class_id, i, j, overlaps) for i in kept):
            kept.append(j)
    return kept


def is_one(
    xyxy: NDArray[np.float32], class_id: NDArray[np.int64], i: int, j: int, overlaps: Overlaps
) -> bool:
    (a, b), (p, q) = xyxy[[i, j]], class_id[[i, j]]
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    iou = overlaps.iou if p == q else overlaps.across
    if {p, q} <= set(overlaps.parts) and width * height > PART_SHARE * min(areas):
        return True
    return bool(width * height * (1 + iou) > iou * sum(areas))


@settings(max_examples=150, deadline=None)
@given(
    num=st.integers(0, 60) | st.integers(BLOCK - 1, BLOCK + 60),
    num_classes=st.integers(1, 3),
    iou=st.sampled_from([0.1, 0.3, 0.45, 0.65, 0.9]),
    across=st.sampled_from([0.2, 0.65, 1.0]),
    parts=st.sampled_from([(), (0,), (0, 2)]),
    seed=st.integers(0, 10_000),
)
def test_it_keeps_exactly_what_the_greedy_algorithm_keeps(
    num: int, num_classes: int, iou: float, across: float, parts: tuple[int, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 40, (num, 2))
    xyxy = np.concatenate((corner, corner + rng.integers(1, 30, (num, 2))), 1).astype(np.float32)
    class_id = rng.integers(0, num_classes, num)
    overlaps = Overlaps(iou, across, parts)
    assert suppress(xyxy.T, class_id, overlaps, num) == plain_greedy(xyxy, class_id, overlaps)


def test_a_chain_of_boxes_keeps_every_second_one() -> None:
    left = np.arange(0, 9 * BLOCK, 3, dtype=np.float32)
    sides = np.stack((left, left * 0, left + 10, left * 0 + 10))
    kept = suppress(sides, np.zeros(len(left), int), Overlaps(0.5), len(left))
    assert kept == list(range(0, len(left), 2))


def test_boxes_of_different_classes_do_not_touch_each_other() -> None:
    sides = np.array([[0, 0, 10, 10]] * 3, np.float32).T
    assert suppress(sides, np.array([0, 1, 0]), Overlaps(0.5), 3) == [0, 1]


def test_boxes_that_are_apart_on_both_axes_do_not_overlap() -> None:
    sides = np.array([[0, 0, 10, 10], [100, 100, 110, 110]], np.float32).T
    assert suppress(sides, np.zeros(2, int), Overlaps(0.1), 2) == [0, 1]


def test_it_stops_at_the_best_max_kept() -> None:
    left = np.arange(2 * BLOCK, dtype=np.float32) * 20
    sides = np.stack((left, left * 0, left + 10, left * 0 + 10))
    assert suppress(sides, np.zeros(len(left), int), Overlaps(0.5), 3) == [0, 1, 2]


def test_of_two_classes_in_one_place_the_surer_stays_where_the_model_says_so() -> None:
    sides = np.array([[0, 0, 10, 10], [0, 2, 10, 10], [0, 0, 10, 3]], np.float32).T
    assert suppress(sides, np.array([0, 1, 1]), Overlaps(0.5, 0.65), 3) == [0, 2]
    assert suppress(sides, np.array([0, 1, 1]), Overlaps(0.5), 3) == [0, 1, 2]


def test_of_a_lorry_and_its_cab_the_surer_box_stays_where_the_model_takes_lorries_apart() -> None:
    lorry, cab, car = (281, 136, 415, 178), (283, 128, 326, 181), (430, 140, 480, 175)
    sides = np.array([cab, lorry, car], np.float32).T
    class_id = np.array([0, 1, 0])
    assert suppress(sides, class_id, Overlaps(0.45, 0.65), 9) == [0, 1, 2]
    assert suppress(sides, class_id, Overlaps(0.45, 0.65, (0, 1)), 9) == [0, 2]


def test_who_stands_in_front_of_a_lorry_is_no_part_of_it() -> None:
    lorry, pedestrian = (100, 50, 220, 130), (150, 80, 170, 130)
    sides = np.array([lorry, pedestrian], np.float32).T
    assert suppress(sides, np.array([1, 3]), Overlaps(0.45, 0.65, (0, 1)), 9) == [0, 1]
