"""The model files that ship, their names, and the specs beside and inside them."""

from __future__ import annotations

from pathlib import Path

import onnx
import yaml
from augment import INPUT_HEIGHT, INPUT_WIDTH, PAD_VALUE

from cluster.demo.world import CLASSES
from engines.graph import describe
from engines.spec import Family, InputSpec, ModelSpec, Precision

# Below the best F1: the tracker keeps tracks alive with unsure detections, and begins new ones
# with sure ones only.
TRACKED_CONFIDENCE = 0.3

# A lorry that may be a car gets both boxes; who rides a motorcycle has less in common with it.
ACROSS_CLASSES = 0.65

# A lorry that fills a third of the picture gets boxes for its cab and for what it carries.
PART_LABELS = ("car", "lorry")

SPEC_NAMES = {Precision.FP32: "traffic-yolox-fp32.yaml", Precision.INT8: "traffic-yolox.yaml"}


def spec_of(precision: Precision, out: Path, iou: float = 0.45) -> ModelSpec:
    """The spec of the model of a precision, with its full path."""
    name = f"traffic-yolox-{precision.value}"
    return ModelSpec(
        name=name,
        path=out / f"{name}.onnx",
        family=Family.YOLOX,
        input=InputSpec(width=INPUT_WIDTH, height=INPUT_HEIGHT, pad_value=PAD_VALUE),
        labels=CLASSES,
        precision=precision,
        confidence=TRACKED_CONFIDENCE,
        iou=iou,
        iou_across=ACROSS_CLASSES,
        part_labels=PART_LABELS,
    )


def write_spec(spec: ModelSpec) -> None:
    """Write the spec into the model file and beside it."""
    onnx.save(describe(onnx.load(spec.path), spec), spec.path)
    values = spec.model_dump(mode="json") | {"path": spec.path.name}
    values["input"] |= {"mean": [0, 0, 0], "std": [1, 1, 1]}
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    comment = "# Written by scripts/train; MODEL_CARD.md says what the model is for.\n"
    (spec.path.parent / SPEC_NAMES[spec.precision]).write_text(comment + text)


def read_spec(precision: Precision, out: Path) -> ModelSpec:
    """Read back what ``write_spec`` wrote."""
    path = out / SPEC_NAMES[precision]
    spec = ModelSpec.model_validate(yaml.safe_load(path.read_text()))
    return spec.model_copy(update={"path": path.parent / spec.path})
