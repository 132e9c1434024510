"""The suppression kernel against the one of the CPU."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.cuda.suppress import Suppressor
from engines.families.detector import MAX_CANDIDATES
from engines.families.suppression import Overlaps, suppress
from tests.engines.cuda_backends import ON_BOTH, Backend, backend_of

Array = NDArray[np.float32]


@pytest.fixture(params=ON_BOTH)
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


def candidates(
    batch: int, num: int, *, num_classes: int = 3, crowd: int = 60, seed: int = 0
) -> tuple[Array, Array, NDArray[np.int32]]:
    """Boxes in a square of ``crowd`` pixels, sorted by score."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, crowd, (batch, num, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(1, 30, (batch, num, 2))), 2)
    scores = -np.sort(-rng.uniform(0, 1, (batch, num)), axis=1)
    classes = rng.integers(0, num_classes, (batch, num))
    return boxes.astype(np.float32), scores.astype(np.float32), classes.astype(np.int32)


def expected(
    boxes: Array,
    scores: Array,
    classes: NDArray[np.int32],
    confidence: float,
    overlaps: Overlaps,
    most: int,
) -> Array:
    num = int((scores >= confidence).sum())
    kept = suppress(np.ascontiguousarray(boxes[:num].T), classes[:num], overlaps, most)
    return np.concatenate((boxes, scores[:, None], classes[:, None]), 1)[kept].astype(np.float32)


@pytest.mark.parametrize(
    "overlaps",
    [Overlaps(0.1), Overlaps(0.45, 0.65), Overlaps(0.7, 0.3), Overlaps(0.45, 0.65, (0, 2))],
)
@pytest.mark.parametrize(
    ("num", "confidence", "most", "crowd"),
    [(1, 0.3, 10, 60), (40, 0.3, 100, 60), (300, 0.05, 100, 200), (512, 0.01, 300, 2000)],
)
def test_it_keeps_the_same_rows_in_the_same_order(
    backend: Backend,
    num: int,
    confidence: float,
    most: int,
    crowd: int,
    overlaps: Overlaps,
) -> None:
    given = candidates(3, num, crowd=crowd, seed=num)
    settings = {"confidence": confidence, "overlaps": overlaps, "max_detections": most}
    for image, rows in enumerate(backend.suppress(*given, **settings)):
        wanted = expected(*(part[image] for part in given), confidence, overlaps, most)
        np.testing.assert_array_equal(rows, wanted)


def test_an_image_without_a_candidate_above_the_threshold_has_no_rows(backend: Backend) -> None:
    boxes, scores, classes = candidates(2, 30)
    scores[0] *= 0.1
    rows = backend.suppress(
        boxes, scores, classes, confidence=0.2, overlaps=Overlaps(0.5, 1.0), max_detections=10
    )
    assert [len(r) > 0 for r in rows] == [False, True]


def test_a_chain_keeps_every_second_box_and_other_classes_do_not_touch_it(
    backend: Backend,
) -> None:
    left = np.arange(0, 90, 3, dtype=np.float32)
    boxes = np.stack((left, left * 0, left + 10, left * 0 + 10), axis=1)[None]
    scores = np.linspace(0.9, 0.5, len(left), dtype=np.float32)[None]
    same = np.zeros(scores.shape, np.int32)
    settings = {"confidence": 0.1, "overlaps": Overlaps(0.5, 1.0), "max_detections": 100}
    assert len(backend.suppress(boxes, scores, same, **settings)[0]) == len(left) // 2
    other = np.arange(len(left), dtype=np.int32)[None]
    assert len(backend.suppress(boxes, scores, other, **settings)[0]) == len(left)


def test_boxes_that_touch_the_threshold_exactly_stay(backend: Backend) -> None:
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 5], [0, 5, 10, 10]]], np.float32)
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    classes = np.zeros((1, 3), np.int32)
    rows = backend.suppress(
        boxes, scores, classes, confidence=0.1, overlaps=Overlaps(0.5, 1.0), max_detections=9
    )
    assert len(rows[0]) == 3


def test_more_candidates_than_the_kernel_holds_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_CANDIDATES}"):
        Suppressor(
            MAX_CANDIDATES + 1, confidence=0.3, overlaps=Overlaps(0.5, 1.0), max_detections=10
        )
