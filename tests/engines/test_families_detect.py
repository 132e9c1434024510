"""Detectors beside YOLOX, on networks whose answer is known, through the CPU backend."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.crops import Crop
from engines.detections import Detections
from engines.errors import ModelError
from engines.families import adapter_for
from engines.families.detector import MAX_CANDIDATES
from engines.families.nanodet import anchor_points, decode_distances
from engines.onnxruntime import OnnxRuntimeEngine
from engines.signature import Signature, TensorInfo
from tests.engines.answering import Answer, answering_model, fixed, growing, spec_of
from tests.engines.builders import grey_frame, write_model

NUM_ANCHORS = 8 * 8 + 4 * 4 + 2 * 2
LABELS = ("car", "lorry")
WHITE = grey_frame(64, 64, luma=255)
BLACK = grey_frame(64, 64, luma=0)


def engine_of(
    folder: Path, family: str, answers: dict[str, Answer], **fields: object
) -> OnnxRuntimeEngine:
    path = write_model(folder / f"{family}.onnx", answering_model(answers))
    engine = OnnxRuntimeEngine(spec_of(path, family, labels=LABELS, **fields))
    engine.load()
    return engine


def rows(found: Detections) -> list[list[float]]:
    columns = (found.xyxy, found.confidence[:, None], found.class_id[:, None])
    return np.concatenate(columns, axis=1).round(2).tolist()


def yolov8_answer(*boxes: tuple[list[float], list[float]]) -> dict[str, Answer]:
    """Boxes fixed, classes growing to what is written as the picture becomes white."""
    columns = np.zeros((4 + len(LABELS), NUM_ANCHORS))
    for anchor, (box, scores) in enumerate(boxes):
        columns[:, anchor] = box + scores
    start, slope = growing(columns)
    start[:4], slope[:4] = columns[:4], 0
    return {"output0": (start, slope)}


def test_yolov8_gives_decoded_boxes_of_the_best_class(tmp_path: Path) -> None:
    answer = yolov8_answer(([32, 32, 16, 8], [0.2, 0.9]), ([10, 10, 8, 8], [0.6, 0.1]))
    engine = engine_of(tmp_path, "yolov8", answer)
    found, none = engine.infer([WHITE, BLACK])
    assert rows(found) == [[24, 28, 40, 36, 0.9, 1], [6, 6, 14, 14, 0.6, 0]]
    assert len(none) == 0


def test_yolov8_drops_the_weaker_of_two_boxes_of_a_class(tmp_path: Path) -> None:
    box, near = [32, 32, 16, 16], [33, 32, 16, 16]
    answer = yolov8_answer((box, [0.8, 0]), (near, [0.9, 0]), (near, [0, 0.7]))
    found = engine_of(tmp_path, "yolov8", answer).infer([WHITE])[0]
    assert [(row[4], row[5]) for row in rows(found)] == [(0.9, 0), (0.7, 1)]


def test_boxes_of_a_picture_in_the_middle_of_the_input_come_in_its_own_pixels(
    tmp_path: Path,
) -> None:
    # 128 x 64 lies as 64 x 32, 16 pixels down; the camera's picture is ten times larger.
    frame = replace(grey_frame(128, 64, luma=255), source_width=1280, source_height=640)
    answer = yolov8_answer(([32, 32, 16, 16], [0.9, 0]), ([60, 18, 16, 16], [0.8, 0]))
    found = engine_of(tmp_path, "yolov8", answer, input={"pad_value": 255}).infer([frame])[0]
    assert rows(found)[0] == [480, 160, 800, 480, 0.9, 0]
    assert rows(found)[1] == [1040, 0, 1280, 200, 0.8, 0]


def test_boxes_in_a_crop_come_in_pixels_of_the_whole_picture(tmp_path: Path) -> None:
    frame = replace(grey_frame(100, 100, luma=255), source_width=1000, source_height=1000)
    answer = yolov8_answer(([32, 32, 32, 32], [0.9, 0]))
    engine = engine_of(tmp_path, "yolov8", answer)
    found = engine.infer([Crop(frame, (200, 400, 328, 528))])[0]
    assert rows(found) == [[232, 432, 296, 496, 0.9, 0]]


def rtdetr_answer(
    boxes: list[list[float]], logits: list[list[float]], *, swap: bool = False
) -> dict[str, Answer]:
    answers = {
        "pred_boxes": fixed(np.array(boxes, float)),
        "logits": growing(np.array(logits, float), start=-9),
    }
    return dict(reversed(answers.items())) if swap else answers


@pytest.mark.parametrize("swap", [False, True])
def test_rtdetr_gives_every_query_that_is_certain_and_suppresses_none(
    tmp_path: Path, swap: bool
) -> None:
    boxes = [[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 0.5, 0.25], [0.1, 0.1, 0.1, 0.1]]
    answer = rtdetr_answer(boxes, [[2, -9], [1, -9], [-9, -3]], swap=swap)
    found = engine_of(tmp_path, "rtdetr", answer).infer([WHITE])[0]
    assert rows(found) == [[16, 24, 48, 40, 0.88, 0], [16, 24, 48, 40, 0.73, 0]]


def test_rtdetr_gives_a_query_once_for_each_class_that_is_certain(tmp_path: Path) -> None:
    answer = rtdetr_answer([[0.5, 0.5, 1, 1]], [[1, 2]])
    found = engine_of(tmp_path, "rtdetr", answer).infer([WHITE])[0]
    assert found.class_id.tolist() == [1, 0]


def test_rtdetr_in_one_output_has_its_sigmoid(tmp_path: Path) -> None:
    rows_of = np.array([[0.5, 0.5, 0.5, 0.5, 0.1, 0.75]])
    answer = {"output0": fixed(rows_of)}
    engine = engine_of(tmp_path, "rtdetr", answer, activation="none")
    assert rows(engine.infer([WHITE])[0]) == [[16, 16, 48, 48, 0.75, 1]]


def test_rtdetr_stretches_its_picture(tmp_path: Path) -> None:
    answer = rtdetr_answer([[0.5, 0.5, 0.5, 0.5]], [[2, -9]])
    found = engine_of(tmp_path, "rtdetr", answer).infer([grey_frame(200, 40, luma=255)])[0]
    np.testing.assert_allclose(found.xyxy, [[50, 10, 150, 30]], atol=0.01)


def ssd_answer(boxes: list[list[float]], scores: list[list[float]]) -> dict[str, Answer]:
    return {"scores": fixed(np.array(scores)), "boxes": fixed(np.array(boxes, float))}


@pytest.mark.parametrize(
    ("layout", "box"),
    [
        ("xyxy", [0.25, 0.5, 0.75, 1.0]),
        ("yxyx", [0.5, 0.25, 1.0, 0.75]),
        ("cxcywh", [0.5, 0.75, 0.5, 0.5]),
    ],
)
def test_ssd_reads_boxes_in_their_layout(tmp_path: Path, layout: str, box: list[float]) -> None:
    answer = ssd_answer([box], [[0.1, 0.8]])
    found = engine_of(tmp_path, "ssd", answer, boxes=layout).infer([WHITE])[0]
    assert rows(found) == [[16, 32, 48, 64, 0.8, 1]]


def test_ssd_leaves_the_background_out(tmp_path: Path) -> None:
    answer = ssd_answer([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], [[0.9, 0.1, 0], [0.2, 0, 0.8]])
    found = engine_of(tmp_path, "ssd", answer).infer([WHITE])[0]
    assert rows(found) == [[32, 32, 64, 64, 0.8, 1]]


def test_ssd_suppresses(tmp_path: Path) -> None:
    answer = ssd_answer([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.49]], [[0.7, 0.1], [0.9, 0.1]])
    found = engine_of(tmp_path, "ssd", answer).infer([WHITE])[0]
    assert found.confidence.tolist() == pytest.approx([0.9])


def test_ssd_tells_boxes_and_scores_of_four_classes_apart_by_name(tmp_path: Path) -> None:
    answer = {"scores": fixed(np.eye(4)), "boxes": fixed(np.tile([0.0, 0.0, 0.5, 0.5], (4, 1)))}
    path = write_model(tmp_path / "a.onnx", answering_model(answer))
    engine = OnnxRuntimeEngine(spec_of(path, "ssd", labels=["a", "b", "c", "d"]))
    engine.load()
    assert sorted(engine.infer([WHITE])[0].class_id) == [0, 1, 2, 3]


def distribution(distances: list[float], num_bins: int = 8) -> list[float]:
    """Logits whose expectation is each distance, in strides: two bins share it."""
    logits = np.full((len(distances), num_bins), -50.0)
    for row, distance in zip(logits, distances, strict=True):
        low = int(distance)
        row[low], row[low + 1] = np.log(low + 1 - distance + 1e-9), np.log(distance - low + 1e-9)
    return logits.ravel().tolist()


def nanodet_levels(cell: int, box: list[float], score: float) -> list[NDArray[np.float64]]:
    """Classes and distances of three levels; one cell of stride 8 sees something."""
    levels = []
    for stride in (8, 16, 32):
        num = (64 // stride) ** 2
        levels += [np.zeros((num, len(LABELS))), np.zeros((num, 32))]
    levels[0][cell, 1] = score
    levels[1][cell] = box
    return levels


@pytest.mark.parametrize("order", [[0, 2, 4, 1, 3, 5], [4, 5, 2, 3, 0, 1]])
def test_nanodet_in_pairs_measures_from_the_middle_of_the_cell(
    tmp_path: Path, order: list[int]
) -> None:
    levels = nanodet_levels(8 + 2, distribution([0.5, 0.25, 1.5, 2.75]), 0.9)
    answer = {f"level_{index}": fixed(levels[index]) for index in order}
    found = engine_of(tmp_path, "nanodet", answer).infer([WHITE])[0]
    # anchor (2 * 8 + 3.5, 1 * 8 + 3.5)
    assert rows(found) == [[15.5, 9.5, 31.5, 33.5, 0.9, 1]]


def test_nanodet_in_one_output_gives_the_same(tmp_path: Path) -> None:
    levels = nanodet_levels(8 + 2, distribution([0.5, 0.25, 1.5, 2.75]), 0.9)
    joined = np.concatenate((np.concatenate(levels[::2]), np.concatenate(levels[1::2])), axis=1)
    found = engine_of(tmp_path, "nanodet", {"output": fixed(joined)}).infer([WHITE])[0]
    assert rows(found) == [[15.5, 9.5, 31.5, 33.5, 0.9, 1]]


def test_nanodet_plus_measures_from_the_corner_of_the_cell(tmp_path: Path) -> None:
    joined = np.zeros((NUM_ANCHORS + 1, len(LABELS) + 32))
    joined[8 + 2] = [0, 0.9, *distribution([0.5, 0.25, 1.5, 2.75])]
    found = engine_of(tmp_path, "nanodet", {"output": fixed(joined)}).infer([WHITE])[0]
    assert rows(found) == [[12, 6, 28, 30, 0.9, 1]]


def test_distances_are_expectations_of_their_distributions() -> None:
    points = anchor_points(32, 16, (8, 16), 0.5)
    assert points[:, [0, 5, 8]].T.tolist() == [[3.5, 3.5, 8], [11.5, 11.5, 8], [7.5, 7.5, 16]]
    even = np.zeros((1, 4 * 3), np.float32)  # three bins, all alike: one stride
    np.testing.assert_allclose(decode_distances(even, points[:, 8:9]).T, [[-8.5, -8.5, 23.5, 23.5]])


def test_noise_over_the_whole_picture_is_bounded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.5, 1, (4000, 2))
    boxes = np.repeat(rng.uniform(0, 0.9, (4000, 2)), 2, axis=1)[:, [0, 2, 1, 3]] + [
        0,
        0,
        0.01,
        0.01,
    ]
    answer = {"boxes": fixed(boxes), "scores": fixed(scores)}
    found = engine_of(tmp_path, "ssd", answer, max_detections=1000).infer([WHITE])[0]
    assert 0 < len(found) <= MAX_CANDIDATES


IMAGE = TensorInfo("image", "float32", (None, 3, 64, 64))


def output(name: str, *shape: int | None) -> TensorInfo:
    return TensorInfo(name, "float32", (None, *shape))


@pytest.mark.parametrize(
    ("family", "outputs", "field", "remedy"),
    [
        ("yolov8", [output("o", 8, 84)], "labels", "Give 4 labels"),
        ("yolov8", [output("o", 84, 6)], "family", "nms=False"),
        ("yolov8", [output("o", 6, 84), output("p", 32, 16, 16)], "family", "nms=False"),
        ("rtdetr", [output("b", 300, 4), output("l", 300, 80)], "labels", "Give 80 labels"),
        ("rtdetr", [output("b", 300, 5), output("l", 300, 2)], "family", "postprocessing"),
        ("rtdetr", [output("b", 300)], "family", "postprocessing"),
        ("ssd", [output("b", 99, 4), output("s", 99, 21)], "labels", "Give 21 labels, or 20"),
        ("ssd", [output("b", 99, 4), output("s", 99)], "family", "without suppression"),
        ("nanodet", [output("o", 84, 34), output("p", 84, 34)], "family", "Give all labels"),
        ("nanodet", [output(str(i), 84, 7) for i in range(6)], "family", "Give all labels"),
    ],
)
def test_outputs_that_do_not_fit_name_the_field_and_the_remedy(
    family: str, outputs: list[TensorInfo], field: str, remedy: str
) -> None:
    adapter = adapter_for(spec_of(Path("a.onnx"), family, labels=LABELS))
    with pytest.raises(ModelError) as caught:
        adapter.check_signature(Signature((IMAGE,), tuple(outputs)))
    assert caught.value.field == field
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("family", "answer", "field", "remedy"),
    [
        ("yolov8", {"o": fixed(np.full((6, 84), 3.0))}, "family", "with its sigmoid"),
        ("nanodet", {"o": fixed(np.zeros((80, 34)))}, "input", "size that the model"),
        ("nanodet", {"o": fixed(np.zeros((84, 35)))}, "labels", "all labels"),
        ("rtdetr", rtdetr_answer([[32, 32, 9, 9]], [[2, 1]]), "family", "postprocessing"),
        ("ssd", ssd_answer([[0, 0, 1, 1]], [[-3, 4]]), "activation", "activation: sigmoid"),
        ("ssd", ssd_answer([[0, 0, 1, 1]], [[-3, 4, 1]]), "activation", "activation: softmax"),
        ("ssd", ssd_answer([[0, 0, 60, 60]], [[0, 1]]), "boxes", "divided by the input"),
    ],
)
def test_values_that_cannot_be_those_of_the_family_are_refused_at_load(
    tmp_path: Path, family: str, answer: dict[str, Answer], field: str, remedy: str
) -> None:
    with pytest.raises(ModelError) as caught:
        engine_of(tmp_path, family, answer)
    assert caught.value.field == field
    assert remedy in caught.value.remedy


def test_probabilities_are_not_put_through_a_sigmoid_again(tmp_path: Path) -> None:
    answer = {"boxes": fixed(np.zeros((1, 4))), "logits": fixed(np.full((1, 2), 0.5))}
    with pytest.raises(ModelError, match=r"probabilities already\. Write activation: none"):
        engine_of(tmp_path, "rtdetr", answer)


def test_a_model_that_reads_crops_is_no_detector() -> None:
    spec = spec_of(Path("a.onnx"), "embedding")
    with pytest.raises(ModelError, match=r"is for embed, it finds no objects.*yolox, yolov8"):
        adapter_for(spec)
