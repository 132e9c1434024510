"""Matching and average precision, on cases that can be counted by hand."""

import numpy as np
import pytest

from engines.detections import Detections
from engines.evaluation import Outcome, Truth, evaluate, iou_matrix, match

A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [80, 80, 90, 90]


def found(*boxes: tuple[list[int], float], class_id: int = 0) -> Detections:
    xyxy = np.array([box for box, _ in boxes], float).reshape(-1, 4)
    return Detections.of(xyxy, np.array([c for _, c in boxes]), np.full(len(boxes), class_id))


def there(*boxes: list[int], class_id: int = 0, ignore: tuple[int, ...] = ()) -> Truth:
    mask = np.isin(np.arange(len(boxes)), ignore)
    return Truth.of(np.array(boxes), np.full(len(boxes), class_id), mask)


def test_iou_of_boxes_side_by_side_halved_and_equal() -> None:
    boxes = np.array([A, [0, 0, 10, 5], B], np.float32)
    expected = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(iou_matrix(boxes, boxes), expected)


def test_an_object_is_found_once_by_the_most_confident() -> None:
    outcomes = match(found((A, 0.5), (A, 0.9)), there(A))
    assert outcomes.tolist() == [Outcome.FALSE_POSITIVE, Outcome.TRUE_POSITIVE]


def test_two_objects_that_overlap_are_both_found() -> None:
    left, right = [0, 0, 10, 10], [3, 0, 13, 10]
    outcomes = match(found(([2, 0, 12, 10], 0.9), ([1, 0, 11, 10], 0.8)), there(left, right))
    assert outcomes.tolist() == [Outcome.TRUE_POSITIVE] * 2


def test_a_detection_of_another_class_finds_nothing() -> None:
    assert match(found((A, 0.9)), there(A, class_id=1)).tolist() == [Outcome.FALSE_POSITIVE]


def test_detections_within_an_ignored_region_do_not_count() -> None:
    truth = there(B, [0, 0, 100, 100], ignore=(1,))
    outcomes = match(found((A, 0.9), (B, 0.8), ([95, 0, 135, 10], 0.7)), truth)
    assert outcomes.tolist() == [
        Outcome.IGNORED,
        Outcome.TRUE_POSITIVE,
        Outcome.FALSE_POSITIVE,
    ]


def test_perfect_detections_have_average_precision_one() -> None:
    evaluation = evaluate([(found((A, 0.9), (B, 0.8)), there(A, B))])
    assert evaluation.mean_average_precision == 1


def test_average_precision_is_the_area_under_the_monotone_curve() -> None:
    # hit, miss, hit of 3: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    evaluation = evaluate([(found((A, 0.9), (FAR, 0.8), (B, 0.7)), there(A, B, [50, 50, 60, 60]))])
    curve = evaluation.curves[0]
    assert curve.average_precision == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert curve.at(0.75) == pytest.approx((1 / 2, 1 / 3))
    assert curve.at(0.95) == (1.0, 0.0)


def test_classes_are_averaged_and_confidence_is_ranked_over_all_pictures() -> None:
    evaluation = evaluate(
        [
            (found((FAR, 0.5)), there(A)),
            (found((A, 0.9)), there(A)),
            (found((A, 0.9), class_id=1), there(A, class_id=1)),
            (Detections.empty(), there()),
        ]
    )
    assert evaluation.curves[0].average_precision == 0.5
    assert evaluation.mean_average_precision == 0.75


def test_objects_that_nobody_found_count_as_missed() -> None:
    assert evaluate([(Detections.empty(), there(A))]).mean_average_precision == 0


def test_no_pictures_give_no_curves() -> None:
    assert evaluate([]).curves == {}
