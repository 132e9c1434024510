"""Which families of models there are, and which fields of a ModelSpec each has a use for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any


class Task(str, Enum):
    """What a model is for."""

    DETECT = "detect"  # objects with boxes and classes
    CLASSIFY = "classify"  # one label for all that is seen
    ATTRIBUTES = "attributes"  # several properties, each with its own labels
    TEXT = "text"  # a line of symbols
    EMBED = "embed"  # a vector that is alike for what looks alike


class Family(str, Enum):
    """Model families that ``engines.families`` can prepare and read."""

    YOLOX = "yolox"
    YOLOV8 = "yolov8"  # YOLO11 and YOLO12 too
    NANODET = "nanodet"
    RTDETR = "rtdetr"
    SSD = "ssd"
    CLASSIFIER = "classifier"
    ATTRIBUTES = "attributes"
    CTC = "ctc"
    EMBEDDING = "embedding"


TASKS: Mapping[Family, Task] = {
    Family.YOLOX: Task.DETECT,
    Family.YOLOV8: Task.DETECT,
    Family.NANODET: Task.DETECT,
    Family.RTDETR: Task.DETECT,
    Family.SSD: Task.DETECT,
    Family.CLASSIFIER: Task.CLASSIFY,
    Family.ATTRIBUTES: Task.ATTRIBUTES,
    Family.CTC: Task.TEXT,
    Family.EMBEDDING: Task.EMBED,
}

_DETECTOR = frozenset({"labels", "confidence", "max_detections"})
_OVERLAPS = frozenset({"iou", "iou_across", "part_labels"})
FIELDS: Mapping[Family, frozenset[str]] = {
    Family.YOLOX: _DETECTOR | _OVERLAPS,
    Family.YOLOV8: _DETECTOR | _OVERLAPS,
    Family.NANODET: _DETECTOR | _OVERLAPS,
    Family.RTDETR: _DETECTOR | {"activation"},
    Family.SSD: _DETECTOR | _OVERLAPS | {"activation", "boxes"},
    Family.CLASSIFIER: frozenset({"labels", "activation"}),
    Family.ATTRIBUTES: frozenset({"heads"}),
    Family.CTC: frozenset({"alphabet", "blank", "activation"}),
    Family.EMBEDDING: frozenset(),
}
"""What a family takes of the fields that not all families have."""

OPTIONAL = frozenset[str]().union(*FIELDS.values())
"""All fields that not all families have."""

NEEDED = frozenset({"labels", "heads", "alphabet"})
"""Of these, what must be given where it is taken at all."""

_UNIT: dict[str, Any] = {"std": (255.0, 255.0, 255.0)}
_STRETCHED: dict[str, Any] = {"resize": "stretch"}
_IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

INPUT_DEFAULTS: Mapping[Family, Mapping[str, Any]] = {
    Family.YOLOV8: _UNIT | {"resize": "centered"},
    Family.NANODET: {
        "color": "bgr",
        "mean": _IMAGENET["mean"][::-1],
        "std": _IMAGENET["std"][::-1],
        "resize": "centered",
        "pad_value": 0.0,
    },
    Family.RTDETR: _UNIT | _STRETCHED,
    Family.SSD: _STRETCHED,
    Family.CLASSIFIER: _STRETCHED,
    Family.ATTRIBUTES: _STRETCHED,
    Family.CTC: _STRETCHED,
    Family.EMBEDDING: _IMAGENET | _STRETCHED,
}
"""The input as the authors of a family publish their models, where a spec does not say."""

DEFAULTS: Mapping[Family, Mapping[str, Any]] = {Family.RTDETR: {"activation": "sigmoid"}}
"""The same for other fields."""
