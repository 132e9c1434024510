"""Reading the raw output of a YOLOX head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.detector import MAX_CANDIDATES
from engines.families.yolox import Yolox, anchor_grid
from engines.frames import Frame
from engines.signature import Signature, TensorInfo
from engines.spec import ModelSpec
from tests.engines.builders import grey_frame, tiny_spec

SPEC = tiny_spec(Path("tiny.onnx"))
NUM_ANCHORS = 8 * 8 + 4 * 4 + 2 * 2
FRAME = grey_frame(64, 64)


def background(num_classes: int = 2) -> NDArray[np.float32]:
    return np.zeros((1, NUM_ANCHORS, 5 + num_classes), np.float32)


def put(rows: NDArray[np.float32], anchor: int, box: list[float], scores: list[float]) -> None:
    rows[0, anchor] = [*box, *scores]


def read(
    rows: NDArray[np.float32], *, frame: Frame = FRAME, spec: ModelSpec = SPEC
) -> list[list[float]]:
    found = Yolox(spec).read([rows], [frame])[0]
    columns = (found.xyxy, found.confidence[:, None], found.class_id[:, None])
    return np.concatenate(columns, axis=1).round(3).tolist()


def test_a_row_is_decoded_with_its_cell_and_stride() -> None:
    rows = background()
    anchor = 64 + 1 * 4 + 2  # stride 16, row 1, column 2
    put(rows, anchor, [0.25, 0.5, np.log(1.5), np.log(0.5)], [0.9, 0.1, 0.8])
    # centre (2.25, 1.5) * 16, size (1.5, 0.5) * 16
    assert read(rows) == [[24, 20, 48, 28, 0.72, 1]]


def test_nothing_is_found_in_background() -> None:
    assert read(background()) == []


def test_the_score_must_reach_the_threshold() -> None:
    rows = background()
    put(rows, 0, [0.5, 0.5, 0, 0], [0.5, 1.0, 0])
    put(rows, 9, [0.5, 0.5, 0, 0], [0.99, 0.5, 0])
    assert [row[4] for row in read(rows)] == [0.5]


def test_boxes_come_in_source_pixels_and_within_the_picture() -> None:
    frame = replace(grey_frame(128, 64), source_width=1280, source_height=640)
    rows = background()  # the pool's 128x64 lies as 64x32 in the input
    put(rows, 8 * 3 + 7, [0.5, 0.5, np.log(2), np.log(2)], [1, 1, 0])
    # centre (60, 28), size 16 -> 52..68 x 20..36, times 20, clipped
    assert read(rows, frame=frame) == [[1040, 400, 1280, 640, 1, 0]]


def test_overlapping_boxes_of_one_class_leave_the_best() -> None:
    rows = background()
    put(rows, 0, [0.5, 0.5, 1, 1], [0.8, 1, 0])
    put(rows, 1, [-0.4, 0.5, 1, 1], [0.9, 1, 0])
    put(rows, 2, [-1.5, 0.5, 1, 1], [0.7, 0, 1])
    assert [(row[4], row[5]) for row in read(rows)] == [(0.9, 0), (0.7, 1)]


def test_at_most_max_detections_are_given_best_first() -> None:
    rows = background()
    for anchor in range(20):
        put(rows, anchor, [0.5, 0.5, -1, -1], [0.6 + anchor / 100, 1, 0])
    found = read(rows, spec=SPEC.model_copy(update={"max_detections": 3}))
    assert [row[4] for row in found] == [0.79, 0.78, 0.77]


def test_noise_over_the_whole_picture_is_bounded() -> None:
    spec = SPEC.model_copy(
        update={
            "input": SPEC.input.model_copy(update={"width": 640, "height": 640}),
            "max_detections": 1000,
        }
    )
    rows = np.random.default_rng(0).uniform(0.8, 1, (1, 8400, 7)).astype(np.float32)
    rows[..., :4] = -2
    assert 0 < len(read(rows, spec=spec)) <= MAX_CANDIDATES


def test_the_grid_counts_rows_first_and_stride_by_stride() -> None:
    left, top, stride = anchor_grid(64, 32)
    assert len(stride) == 8 * 4 + 4 * 2 + 2 * 1
    assert (left[[9, 33]].tolist(), top[[9, 33]].tolist()) == ([8, 16], [8, 0])
    assert stride[[0, 31, 32, 39, 40, 41]].tolist() == [8, 8, 16, 16, 32, 32]


IMAGE = TensorInfo("images", "float32", (None, 3, 64, 64))
ROWS = TensorInfo("output", "float32", (None, NUM_ANCHORS, 7))


def test_a_signature_that_fits_is_accepted() -> None:
    Yolox(SPEC).check_signature(Signature((IMAGE,), (ROWS,)))


@pytest.mark.parametrize(
    ("inputs", "outputs", "field", "remedy"),
    [
        ((IMAGE, IMAGE), (ROWS,), "family", "only input"),
        ((replace(IMAGE, dtype="uint8"),), (ROWS,), "family", "only input"),
        ((replace(IMAGE, shape=(None, 64, 64, 3)),), (ROWS,), "family", "only input"),
        ((replace(IMAGE, shape=(None, 3, 64, 96)),), (ROWS,), "input.width", "Write 96"),
        ((replace(IMAGE, shape=(None, 3, 32, 64)),), (ROWS,), "input.height", "Write 32"),
        ((IMAGE,), (ROWS, ROWS), "family", "export a YOLOX"),
        ((IMAGE,), (replace(ROWS, shape=(None, 7, NUM_ANCHORS)),), "family", "export a YOLOX"),
        ((IMAGE,), (replace(ROWS, shape=(None, NUM_ANCHORS, 9)),), "labels", "Give 4 labels"),
    ],
)
def test_a_signature_that_does_not_fit_names_the_field_and_the_remedy(
    inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...], field: str, remedy: str
) -> None:
    with pytest.raises(ModelError) as caught:
        Yolox(SPEC).check_signature(Signature(inputs, outputs))
    assert caught.value.field == field
    assert remedy in caught.value.remedy


def test_an_input_size_that_the_strides_do_not_divide_is_refused() -> None:
    spec = tiny_spec(Path("tiny.onnx"), height=90)
    with pytest.raises(ModelError, match=r"input\.height: 90 is not a multiple of 32\. Use 96"):
        Yolox(spec).check_signature(Signature((IMAGE,), (ROWS,)))
