"""Secondaries that do not fit together are refused by name, before anything runs."""

import pytest
from pydantic import ValidationError

from actors.cascade_specs import SecondarySpec, require_cascade, require_models
from engines.spec import ModelSpec

IMAGE = {"width": 64, "height": 64}
CARS = ModelSpec.model_validate(
    {"name": "cars", "path": "c.onnx", "family": "yolox", "input": IMAGE, "labels": ["car", "bus"]}
)
FINDER = CARS.model_copy(update={"name": "finder", "labels": ("plate",)})
TEXT = ModelSpec.model_validate(
    {"name": "text", "path": "t.onnx", "family": "ctc", "input": IMAGE, "alphabet": "AB"}
)


def secondary(name: str, **fields: object) -> SecondarySpec:
    return SecondarySpec.model_validate({"name": name, "model": f"{name}.yaml", **fields})


def test_a_chain_of_detector_and_text_is_a_cascade() -> None:
    specs = [
        secondary("finder", classes=["car"]),
        secondary("text", after="finder", classes=["plate"]),
    ]
    require_cascade(specs)
    require_models(specs, CARS, {"finder": FINDER, "text": TEXT})


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([secondary("a"), secondary("a")], "secondary a: the name is used twice"),
        ([secondary("a", after="b")], "secondary a: after: there is no b: give one of a"),
        ([secondary("a", after="a")], "goes in a circle (a after a)"),
        (
            [secondary("a", after="b"), secondary("b", after="c"), secondary("c", after="b")],
            "secondary a: after: goes in a circle (b after c after b)",
        ),
        ([secondary("a", max_looks=2, min_votes=3)], "min_votes: 3 votes cannot come of 2 looks"),
    ],
)
def test_what_is_no_cascade_is_refused_by_name(specs: list[SecondarySpec], words: str) -> None:
    with pytest.raises(ValueError, match="secondary") as caught:
        require_cascade(specs)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([secondary("finder", classes=["lorry"])], "classes: cars does not know lorry: give some"),
        (
            [secondary("text"), secondary("finder", after="text")],
            "secondary finder: after: text is for text, it finds no boxes",
        ),
        (
            [secondary("finder"), secondary("text", after="finder", classes=["car"])],
            "secondary text: classes: finder does not know car: give some of plate",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused_by_name(specs: list[SecondarySpec], words: str) -> None:
    with pytest.raises(ValueError, match="secondary") as caught:
        require_models(specs, CARS, {"finder": FINDER, "text": TEXT})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_size_px", 0),
        ("margin", -1),
        ("grown", 1),
        ("settle_at", 0),
        ("max_rate", 0),
        ("again_s", float("nan")),
        ("clases", ["car"]),
        ("name", "a b"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        secondary(**{"name": "a", field: value})  # type: ignore[arg-type]
