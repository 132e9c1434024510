"""What a spec says of each family: what is needed, what is filled in, what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from engines.errors import ModelError
from engines.family_fields import FIELDS, INPUT_DEFAULTS, TASKS, Family, Task
from engines.graph.best_candidates import num_candidates
from engines.graph.metadata import describe
from engines.inspection import check_model, load_spec
from engines.labels import COCO_80
from engines.spec import Activation, ColorOrder, ModelSpec, Resize
from tests.engines.answering import answering_model, fixed, growing, spec_of
from tests.engines.builders import write_model

NEEDED = {
    "labels": ["car", "lorry"],
    "heads": {"type": ["car", "van"], "color": {"labels": ["red"], "activation": "sigmoid"}},
    "alphabet": "AB1",
}


def fields_of(family: Family) -> dict[str, object]:
    return {name: value for name, value in NEEDED.items() if name in FIELDS[family]}


@pytest.mark.parametrize("family", Family)
def test_every_family_has_a_task_and_reads_back_what_it_wrote(family: Family) -> None:
    spec = spec_of(Path("a.onnx"), family.value, **fields_of(family))
    assert spec.task is TASKS[family]
    assert ModelSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_spec_is_written_without_what_its_family_has_no_use_for() -> None:
    written = spec_of(Path("a.onnx"), "embedding").model_dump(mode="json")
    assert set(written) == {"name", "path", "family", "task", "input", "precision"}


@pytest.mark.parametrize("family", INPUT_DEFAULTS)
def test_the_input_is_as_the_family_is_published_unless_it_says_otherwise(family: Family) -> None:
    given = spec_of(Path("a.onnx"), family.value, **fields_of(family)).input
    for name, value in INPUT_DEFAULTS[family].items():
        assert getattr(given, name) == value
    own = {"std": [7, 7, 7], "resize": "fill"}
    told = spec_of(Path("a.onnx"), family.value, **fields_of(family), input=own).input
    assert (told.std, told.resize) == ((7, 7, 7), Resize.FILL)


def test_a_yolox_spec_of_before_means_what_it_meant() -> None:
    spec = spec_of(Path("a.onnx"), "yolox", labels=["a"])
    assert (spec.input.std, spec.input.resize) == ((1, 1, 1), Resize.LETTERBOX)
    assert spec.input.color is ColorOrder.RGB
    assert (spec.task, spec.activation) == (Task.DETECT, Activation.NONE)


def test_rtdetr_gives_logits_unless_it_says_otherwise() -> None:
    assert spec_of(Path("a"), "rtdetr", labels=["a"]).activation is Activation.SIGMOID
    spec = spec_of(Path("a"), "rtdetr", labels=["a"], activation="none")
    assert spec.activation is Activation.NONE


def test_an_alphabet_is_a_string_or_a_list() -> None:
    for alphabet in ("AB-", ["A", "B", "-"]):
        assert spec_of(Path("a"), "ctc", alphabet=alphabet).alphabet == ("A", "B", "-")


HEAD = "name: m\npath: m.onnx\ninput: {width: 64, height: 64}\n"


@pytest.mark.parametrize(
    ("body", "field", "line", "words"),
    [
        ("family: ctc\n", "alphabet", None, "is missing. Add it. Symbols in class order"),
        ("family: attributes\n", "heads", None, "is missing. Add it. Attributes by name"),
        ("family: classifier\n", "labels", None, "is missing. Add it. Class names"),
        (
            "family: embedding\nlabels: [a]\n",
            "labels",
            5,
            "family embedding has no use for it (for: yolox, yolov8, nanodet, rtdetr, ssd, "
            "classifier). Leave it out, or give another family.",
        ),
        ("family: rtdetr\nlabels: [a]\niou: 0.6\n", "iou", 6, "(for: yolox, yolov8, nanodet, ssd)"),
        (
            "family: yolox\nlabels: [car, lorry]\npart_labels: [lorry, truck]\n",
            "part_labels",
            6,
            "truck: not among the first 64 labels of the model",
        ),
        ("family: ctc\nalphabet: AB\nboxes: yxyx\n", "boxes", 6, "(for: ssd)"),
        (
            "family: ctc\nalphabet: AB\ntask: detect\n",
            "task",
            6,
            "family ctc is for text (for detect: yolox, yolov8, nanodet, rtdetr, ssd)",
        ),
        ("family: ctc\nalphabet: AB\nblank: middle\n", "blank", 6, "first or last"),
        (
            "family: attributes\nheads:\n  type:\n    lables: [a]\n",
            "heads.type.labels",
            6,
            "Values, in the output's order",
        ),
        (
            "family: attributes\nheads:\n  type: {labels: [a], choise: any}\n",
            "heads.type.choise",
            6,
            "Did you mean choice?",
        ),
        ("family: attributes\nheads: [type]\n", "heads", 5, "Attributes by name"),
        ("family: yolov5\nlabels: [a]\n", "family", 4, "'yolox', 'yolov8', 'nanodet'"),
        ("family: [yolox]\nlabels: [a]\n", "family", 4, "prepare the input"),
    ],
)
def test_what_does_not_go_together_names_line_field_and_remedy(
    tmp_path: Path, body: str, field: str, line: int | None, words: str
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(HEAD + body)
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert (f", line {line}:" if line else f"{path}:") in caught.value.message


def test_a_std_of_zero_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(HEAD.replace("height: 64", "height: 64, std: [1, 0, 1]") + "family: embedding")
    with pytest.raises(ModelError, match=r"input\.std: .*line 3: a std of 0 cannot divide"):
        load_spec(path)


def ultralytics_file(path: Path, **metadata: str) -> Path:
    columns = np.zeros((4 + 2, 8 * 8 + 4 * 4 + 2 * 2))
    model = answering_model({"output0": growing(columns)})
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return write_model(path, model)


def test_a_bare_yolov8_file_is_recognised_with_the_names_that_it_brings(tmp_path: Path) -> None:
    spec = load_spec(ultralytics_file(tmp_path / "a.onnx", names="{0: 'cat', 1: 'dog'}"))
    assert (spec.family, spec.labels) == (Family.YOLOV8, ("cat", "dog"))
    assert (spec.input.std[0], spec.input.resize) == (255, Resize.CENTERED)


def test_the_size_of_a_bare_file_with_free_axes_is_what_its_metadata_say(tmp_path: Path) -> None:
    path = ultralytics_file(tmp_path / "a.onnx", imgsz="[96, 160]")
    model = onnx.load(path)
    for axis, name in ((2, "H"), (3, "W")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    spec = load_spec(write_model(path, model))
    assert (spec.input.width, spec.input.height) == (160, 96)


def test_a_bare_nanodet_file_is_recognised(tmp_path: Path) -> None:
    answers = {}
    for stride in (8, 16, 32):
        num = (64 // stride) ** 2
        answers[f"cls_pred_stride_{stride}"] = fixed(np.zeros((num, 80)))
        answers[f"dis_pred_stride_{stride}"] = fixed(np.zeros((num, 32)))
    spec = load_spec(write_model(tmp_path / "a.onnx", answering_model(answers)))
    assert (spec.family, spec.labels) == (Family.NANODET, COCO_80)
    assert spec.input.color is ColorOrder.BGR


def test_a_bare_file_for_crops_is_refused_with_the_families_that_there_are(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx", answering_model({"v": fixed(np.ones(512))}))
    with pytest.raises(ModelError, match=r"outputs are not those.*(?s:.)*ctc, embedding"):
        load_spec(path)


def test_a_file_that_describes_itself_may_be_of_any_family(tmp_path: Path) -> None:
    spec = spec_of(tmp_path / "a.onnx", "embedding")
    model = answering_model({"v": fixed(np.ones(512))})
    write_model(spec.path, describe(model, spec))
    assert load_spec(spec.path) == spec


def test_a_yaml_spec_is_compared_with_its_model_when_it_is_checked(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx", answering_model({"v": fixed(np.ones(512))}))
    written = {**yaml.safe_load(HEAD), "family": "embedding"}
    (tmp_path / "m.yaml").write_text(json.dumps(written))
    check_model(load_spec(tmp_path / "m.yaml"))
    (tmp_path / "m.yaml").write_text(json.dumps({**written, "family": "ctc", "alphabet": "AB"}))
    with pytest.raises(ModelError, match="family:"):
        check_model(load_spec(tmp_path / "m.yaml"))


@pytest.mark.parametrize("family", ["nanodet", "rtdetr", "ssd", "embedding"])
def test_only_families_with_a_cut_have_best_candidates(family: str) -> None:
    with pytest.raises(ModelError, match=r"yolox and yolov8 can\. Leave its outputs") as caught:
        num_candidates(spec_of(Path("a.onnx"), family, **fields_of(Family(family))))
    assert caught.value.field == "family"
