"""Families that read crops, on networks whose answer is known, through the CPU backend."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import EngineFailedError, ModelError
from engines.factory import create_crop_engine
from engines.families import reader_for
from engines.families.ctc import Ctc
from engines.onnxruntime import OnnxRuntimeReader
from engines.readings import Attributes, Embeddings, Texts
from engines.signature import Signature, TensorInfo
from tests.engines.answering import Answer, answering_model, fixed, growing, spec_of
from tests.engines.builders import grey_frame, write_model

WHITE = grey_frame(64, 64, luma=255)
BLACK = grey_frame(64, 64, luma=0)
UNIT = {"std": [255, 255, 255]}


def reader_of(
    folder: Path, family: str, answers: dict[str, Answer], *, half: bool = False, **fields: object
) -> OnnxRuntimeReader:
    path = write_model(folder / f"{family}.onnx", answering_model(answers, half=half))
    reader = OnnxRuntimeReader(spec_of(path, family, **fields))
    reader.load()
    return reader


def dark_or_bright() -> Answer:
    """Probability of two classes, the first for black, the second for white."""
    return np.array([1, 0], np.float32), np.array([-1, 1], np.float32)


def test_a_classifier_gives_the_probability_of_each_label(tmp_path: Path) -> None:
    reader = reader_of(
        tmp_path, "classifier", {"p": dark_or_bright()}, labels=["dark", "bright"], input=UNIT
    )
    read = reader.infer([WHITE, BLACK, WHITE])
    assert isinstance(read, Attributes)
    assert len(read) == 3
    class_id, probability = read.best()
    assert class_id.tolist() == [1, 0, 1]
    np.testing.assert_allclose(probability, 1, atol=1e-5)


def test_logits_become_probabilities_where_the_spec_says_so(tmp_path: Path) -> None:
    answer = {"logits": fixed(np.log([1.0, 2.0, 5.0]))}
    reader = reader_of(tmp_path, "classifier", answer, labels=["a", "b", "c"], activation="softmax")
    read = reader.infer([WHITE])
    assert isinstance(read, Attributes)
    np.testing.assert_allclose(read.probabilities[0], [[1 / 8, 2 / 8, 5 / 8]], atol=1e-6)


def test_axes_of_one_behind_the_classes_are_left_out(tmp_path: Path) -> None:
    answer = {"p": fixed(np.array([0.25, 0.75]).reshape(2, 1, 1))}
    read = reader_of(tmp_path, "classifier", answer, labels=["a", "b"]).infer([WHITE, WHITE])
    assert isinstance(read, Attributes)
    assert read.probabilities[0].shape == (2, 2)


def test_a_model_in_half_precision_takes_and_gives_float32(tmp_path: Path) -> None:
    reader = reader_of(
        tmp_path, "classifier", {"p": dark_or_bright()}, half=True, labels=["d", "b"], input=UNIT
    )
    read = reader.infer([WHITE])
    assert isinstance(read, Attributes)
    assert read.probabilities[0].dtype == np.float32
    np.testing.assert_allclose(read.probabilities[0], [[0, 1]], atol=1e-3)


HEADS = {
    "type": ["car", "van"],
    "lights": {"labels": ["front", "rear"], "choice": "any", "output": "on"},
}


def test_attributes_come_by_head_whatever_the_order_of_the_outputs(tmp_path: Path) -> None:
    answers = {
        "on": growing(np.array([1.0, 0.5])),
        "unused": fixed(np.zeros(9)),
        "type": dark_or_bright(),
    }
    read = reader_of(tmp_path, "attributes", answers, heads=HEADS, input=UNIT).infer([BLACK, WHITE])
    assert isinstance(read, Attributes)
    np.testing.assert_allclose(read.probabilities[0], [[1, 0], [0, 1]], atol=1e-5)
    np.testing.assert_allclose(read.probabilities[1], [[0, 0], [1, 0.5]], atol=1e-5)
    assert read.best(1)[0].tolist() == [0, 0]


def steps(*classes: int, num_classes: int = 4, sure: float = 0.9) -> np.ndarray:
    """Probabilities [steps, classes] with one likely class each."""
    rest = (1 - sure) / (num_classes - 1)
    return np.where(np.array(classes)[:, None] == np.arange(num_classes), sure, rest)


@pytest.mark.parametrize("time_first", [True, False])
@pytest.mark.parametrize(("blank", "shift"), [("last", 0), ("first", 1)])
def test_text_is_read_greedily(tmp_path: Path, time_first: bool, blank: str, shift: int) -> None:
    classes = [-1, 0, 0, -1, 0, 1, 1, 2, -1, -1]  # -1 stands for the blank
    numbers = [(3 if shift == 0 else 0) if c < 0 else c + shift for c in classes]
    table = steps(*numbers)
    answer = {"p": fixed(table if time_first else table.T)}
    read = reader_of(tmp_path, "ctc", answer, alphabet="ABC", blank=blank).infer([WHITE, BLACK])
    assert isinstance(read, Texts)
    assert read.text == ("AABC", "AABC")
    np.testing.assert_allclose(read.confidence, 0.9, atol=1e-6)


def test_a_text_is_as_certain_as_its_least_certain_symbol(tmp_path: Path) -> None:
    table = np.concatenate((steps(0), steps(3, sure=0.4), steps(1, sure=0.7), steps(2)))
    read = reader_of(tmp_path, "ctc", {"p": fixed(table)}, alphabet="ABC").infer([WHITE])
    assert isinstance(read, Texts)
    assert read.confidence == pytest.approx([0.7])


def test_a_picture_without_text_gives_an_empty_one(tmp_path: Path) -> None:
    read = reader_of(tmp_path, "ctc", {"p": fixed(steps(3, 3, 3))}, alphabet="ABC").infer([WHITE])
    assert isinstance(read, Texts)
    assert (read.text, read.confidence.tolist()) == (("",), [0])


def collapsed(classes: list[int], blank: int) -> str:
    """The definition, a symbol at a time."""
    text, last = "", blank
    for number in classes:
        if number not in (blank, last):
            text += "ABC"[number]
        last = number
    return text


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_any_sequence_is_collapsed_by_the_definition(classes: list[int]) -> None:
    reader = Ctc(spec_of(Path("a.onnx"), "ctc", alphabet="ABC"))
    texts = reader.read([steps(*classes)[None].astype(np.float32)], [WHITE])
    assert texts.text == (collapsed(classes, 3),)


def test_embeddings_have_length_one(tmp_path: Path) -> None:
    answer = {"v": growing(np.array([3.0, 4.0]), start=0.001)}
    read = reader_of(tmp_path, "embedding", answer, input={"mean": [0, 0, 0], **UNIT}).infer(
        [WHITE, BLACK]
    )
    assert isinstance(read, Embeddings)
    np.testing.assert_allclose(np.linalg.norm(read.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(read.vectors[0], [0.6, 0.8], atol=1e-3)


def test_a_vector_without_length_stays_as_it_is() -> None:
    reader = reader_for(spec_of(Path("a.onnx"), "embedding"))
    read = reader.read([np.zeros((1, 8), np.float32)], [WHITE])
    assert isinstance(read, Embeddings)
    assert not read.vectors.any()


IMAGE = TensorInfo("image", "float32", (None, 3, 64, 64))


def output(name: str, *shape: int | None) -> TensorInfo:
    return TensorInfo(name, "float32", (None, *shape))


@pytest.mark.parametrize(
    ("family", "fields", "outputs", "field", "remedy"),
    [
        ("classifier", {"labels": ["a"]}, [output("o", 10)], "labels", "Give 10 labels"),
        ("classifier", {"labels": ["a"]}, [output("o", 1, 7)], "family", "up to its classes"),
        ("classifier", {"labels": ["a"]}, [output("o", 1)] * 2, "family", "only that output"),
        ("attributes", {"heads": {"t": ["a"]}}, [output("o", 1)], "heads.t", "write output: o"),
        (
            "attributes",
            {"heads": {"t": ["a"]}},
            [output("t", 3)],
            "heads.t.labels",
            "Give 3 labels",
        ),
        ("ctc", {"alphabet": "AB"}, [output("o", 68, 18)], "alphabet", "Give 17 or 67 symbols"),
        ("ctc", {"alphabet": "AB"}, [output("o", 68)], "family", "up to its classes"),
        ("embedding", {}, [output("o", 8, 4)], "family", "pooled features"),
    ],
)
def test_outputs_that_do_not_fit_name_the_field_and_the_remedy(
    family: str, fields: dict[str, object], outputs: list[TensorInfo], field: str, remedy: str
) -> None:
    reader = reader_for(spec_of(Path("a.onnx"), family, **fields))
    with pytest.raises(ModelError) as caught:
        reader.check_signature(Signature((IMAGE,), tuple(outputs)))
    assert caught.value.field == field
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("family", "fields", "answer", "field", "remedy"),
    [
        ("classifier", {"labels": ["a", "b"]}, [5, -5], "activation", "softmax"),
        (
            "classifier",
            {"labels": ["a", "b"], "activation": "softmax"},
            [1, 0],
            "activation",
            "none",
        ),
        ("attributes", {"heads": {"o": ["a", "b"]}}, [5, -5], "heads.o.activation", "softmax"),
        ("embedding", {}, [0, 0], "input", "mean and std"),
    ],
)
def test_values_that_cannot_be_those_of_the_family_are_refused_at_load(
    tmp_path: Path,
    family: str,
    fields: dict[str, object],
    answer: list[float],
    field: str,
    remedy: str,
) -> None:
    with pytest.raises(ModelError) as caught:
        reader_of(tmp_path, family, {"o": fixed(np.array(answer, float))}, **fields)
    assert caught.value.field == field
    assert remedy in caught.value.remedy


def test_a_detector_reads_nothing_of_a_crop() -> None:
    with pytest.raises(ModelError, match=r"reads nothing of a crop.*classifier, attributes, ctc"):
        reader_for(spec_of(Path("a.onnx"), "yolov8", labels=["a"]))


def test_the_factory_gives_a_reader_that_batches(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", answering_model({"p": dark_or_bright()}))
    reader = create_crop_engine(
        spec_of(path, "classifier", labels=["a", "b"], input=UNIT), max_batch_size=3
    )
    with pytest.raises(EngineFailedError, match="not loaded"):
        reader.infer([WHITE])
    reader.load()
    assert reader.batch_sizes == (1, 2, 3)
    assert len(reader.infer([WHITE] * 3)) == 3
    with pytest.raises(ValueError, match="4 frames in a batch, at most 3"):
        reader.infer([WHITE] * 4)
    with pytest.raises(ValueError, match="at least 1"):
        reader.infer([])


def test_readings_outlive_the_next_batch(tmp_path: Path) -> None:
    reader = reader_of(
        tmp_path, "classifier", {"p": dark_or_bright()}, labels=["a", "b"], input=UNIT
    )
    first = reader.infer([WHITE])
    reader.infer([replace(BLACK)])
    assert isinstance(first, Attributes)
    assert first.best()[0].tolist() == [1]
