"""The model card says of the detector that ships what its specs say."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from actors.analytics.tracking.config import TrackerConfig

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "engines" / "models"


def training(name: str) -> ModuleType:
    """A module of the training scripts, which are no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / "train" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def thresholds(card: str) -> str:
    """What a card says of thresholds, on one line."""
    return " ".join(card.partition("Precision and recall")[2].partition("| class")[0].split())


def written(name: str) -> Any:
    return yaml.safe_load((MODELS / name).read_text())


@pytest.fixture(params=["traffic-yolox.yaml", "traffic-yolox-fp32.yaml"])
def spec(request: pytest.FixtureRequest) -> Any:
    return written(request.param)


def test_the_card_says_the_specs_thresholds_and_why_they_are_lower(spec: Any) -> None:
    said = thresholds((MODELS / "MODEL_CARD.md").read_text())
    assert f"The specs say confidence {spec['confidence']:.2f}, not 0.60, on purpose" in said
    assert f"suppression at IoU {spec['iou']:.2f}" in said
    assert f"begins new ones at {TrackerConfig().begin_confidence:g} only" in said


def test_a_retraining_writes_the_same_words(spec: Any) -> None:
    labels = {"car": {"objects": 1, "ap50": 1.0, "precision": 1.0, "recall": 1.0}}
    numbers = ("size_bytes", "map50", "map75", "ms_inference", "ms_median")
    figures = {
        **dict.fromkeys(numbers, 1.0),
        **dict.fromkeys(("frames", "clips", "objects"), 1),
        "classes": labels,
        "views": {},
        "times_of_day": {},
        "confidence": 0.6,
        "spec_confidence": spec["confidence"],
        "iou": spec["iou"],
        "iou_across": spec["iou_across"],
    }
    values = {"fp32": figures, "int8": figures, "parameters": 1, "gflops": 1.0}
    card = training("model_card").model_card(values, ("car",), "train")
    assert thresholds(card) == thresholds((MODELS / "MODEL_CARD.md").read_text())


def test_a_retraining_writes_the_trackers_confidence(spec: Any) -> None:
    tree = ast.parse((ROOT / "scripts" / "train" / "specs.py").read_text())
    assigned = {ast.unparse(n.targets[0]): n.value for n in tree.body if isinstance(n, ast.Assign)}
    assert ast.literal_eval(assigned["TRACKED_CONFIDENCE"]) == spec["confidence"]
