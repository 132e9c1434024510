"""From the file that a user gives to a spec, or to an error that says what to write."""

import json
from pathlib import Path

import pytest

from engines.errors import ModelError
from engines.inspection import load_spec
from engines.labels import COCO_80
from engines.spec import ColorOrder
from tests.engines.builders import tiny_yolox, write_model

YAML = """\
name: cells
path: tiny.onnx
family: yolox
input:
  width: 64
  height: 64
  color: bgr
labels: [dark, bright]
"""


def test_a_bare_yolox_file_is_recognised(tmp_path: Path) -> None:
    path = write_model(tmp_path / "my model.onnx", tiny_yolox(width=96, height=64))
    spec = load_spec(path)
    assert (spec.input.width, spec.input.height) == (96, 64)
    assert spec.input.color is ColorOrder.BGR
    assert spec.labels == ("class_0", "class_1")
    assert spec.name == "my-model"


def test_a_bare_file_with_free_size_is_taken_at_416(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox(width=None, height=None))
    spec = load_spec(path)
    assert (spec.input.width, spec.input.height) == (416, 416)


def test_eighty_classes_are_those_of_coco(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox(num_classes=80))
    assert load_spec(path).labels == COCO_80


@pytest.mark.parametrize("names", [["cat", "dog"], {"0": "cat", "1": "dog"}])
def test_labels_are_taken_from_the_metadata(tmp_path: Path, names: object) -> None:
    model = tiny_yolox()
    model.metadata_props.add(key="names", value=json.dumps(names))
    assert load_spec(write_model(tmp_path / "a.onnx", model)).labels == ("cat", "dog")


def test_given_labels_win(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox())
    assert load_spec(path, labels=["x", "y"]).labels == ("x", "y")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_inputs": 2}, "does not take one image"),
        ({"width": 96, "height": 80}, "not a multiple of 32"),
        ({"sigmoid": False}, "not probabilities"),
        ({"raw_box": (50, 50, 20, 20)}, "decoded already"),
    ],
)
def test_another_model_is_refused_with_what_was_found_and_what_to_write(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox(**options))
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    assert reason in caught.value.message
    assert "images float32 [?, 3, " in caught.value.message
    assert "output float32 [?, " in caught.value.message
    assert "family: yolox" in caught.value.remedy


def test_wrong_number_of_labels_for_a_bare_file_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox())
    with pytest.raises(ModelError, match="1 labels for 2 classes"):
        load_spec(path, labels=["only"])


def test_metadata_that_is_not_a_spec_is_refused(tmp_path: Path) -> None:
    model = tiny_yolox()
    model.metadata_props.add(key="sightline.spec", value='{"name": "x"}')
    with pytest.raises(ModelError, match="is missing"):
        load_spec(write_model(tmp_path / "a.onnx", model))


def test_a_yaml_spec_finds_its_model_beside_itself(tmp_path: Path) -> None:
    write_model(tmp_path / "tiny.onnx", tiny_yolox())
    (tmp_path / "cells.yaml").write_text(YAML)
    spec = load_spec(tmp_path / "cells.yaml")
    assert spec.path == tmp_path / "tiny.onnx"
    assert spec.labels == ("dark", "bright")


def test_the_yaml_that_an_error_prints_is_a_valid_spec(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", tiny_yolox(sigmoid=False))
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    (tmp_path / "a.yaml").write_text(caught.value.remedy[caught.value.remedy.index("name:") :])
    assert load_spec(tmp_path / "a.yaml").path == path


@pytest.mark.parametrize(
    ("old", "new", "field", "line", "remedy"),
    [
        ("  width: 64", "  width: 0", "input.width", 5, "pixels"),
        ("  width: 64", "  widht: 64", "input.width", 4, "Add it"),
        ("  color: bgr", "  colour: bgr", "input.colour", 7, "Did you mean color?"),
        ("family: yolox", "family: yolo", "family", 3, "prepare the input"),
        ("name: cells", "name: a b", "name", 1, "Name in events"),
        ("labels: [dark, bright]", "labels: []", "labels", 8, "Class names"),
        ("labels: [dark, bright]", "labels:\n- dark\n- [1]", "labels.1", 10, "Class names"),
        ("name: cells\n", "", "name", None, "Add it"),
        ("labels: [dark, bright]", "labels: [a]\nthreshold: 1", "threshold", 9, "Known fields"),
    ],
)
def test_an_error_in_yaml_names_line_field_and_remedy(
    tmp_path: Path, old: str, new: str, field: str, line: int | None, remedy: str
) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text(YAML.replace(old, new))
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    assert caught.value.field == field
    assert remedy in caught.value.remedy
    assert str(path) + (f", line {line}:" if line else ":") in caught.value.message


def test_every_error_of_a_yaml_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text(YAML.replace("width: 64", "width: 0").replace("height: 64", "height: x"))
    with pytest.raises(ModelError, match=r"line 5.*input\.height, line 6"):
        load_spec(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"name: [x\npath: y\n", "line 2: not YAML"),
        ("a.yaml", b"\xff\xfe\x00", "is not text"),
        ("a.yaml", b"", "holds no mapping"),
        ("a.yaml", YAML.encode(), "tiny.onnx, named in .* does not exist"),
        ("a.bin", b"", "neither ONNX nor YAML"),
        ("a.onnx", b"hello", "cannot be read as ONNX"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_spec(path)


@pytest.mark.parametrize("name", ["a.yaml", "a.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=name):
        load_spec(tmp_path / name)
