"""Model families: how their input is prepared and their output read, whatever the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engines.detections import Detections
from engines.errors import ModelError
from engines.families.adapter import FamilyAdapter
from engines.families.attributes import AttributeHeads
from engines.families.classifier import Classifier
from engines.families.ctc import Ctc
from engines.families.embedding import Embedding
from engines.families.nanodet import NanoDet
from engines.families.rtdetr import RtDetr
from engines.families.ssd import Ssd
from engines.families.yolov8 import Yolov8
from engines.families.yolox import Yolox
from engines.readings import Readings
from engines.spec import Family, ModelSpec, Task

DETECTORS: Mapping[Family, Callable[[ModelSpec], FamilyAdapter[list[Detections]]]] = {
    Family.YOLOX: Yolox,
    Family.YOLOV8: Yolov8,
    Family.NANODET: NanoDet,
    Family.RTDETR: RtDetr,
    Family.SSD: Ssd,
}
READERS: Mapping[Family, Callable[[ModelSpec], FamilyAdapter[Readings]]] = {
    Family.CLASSIFIER: Classifier,
    Family.ATTRIBUTES: AttributeHeads,
    Family.CTC: Ctc,
    Family.EMBEDDING: Embedding,
}


def adapter_for(spec: ModelSpec) -> FamilyAdapter[list[Detections]]:
    """A new adapter of a detector's family; each engine has its own.

    Raises:
        ModelError: if the model is no detector.
    """
    if spec.family not in DETECTORS:
        raise ModelError(
            f"{spec.name} is for {spec.task.value}, it finds no objects",
            field="family",
            remedy=f"Give a detector here ({_listed(DETECTORS)}).",
        )
    return DETECTORS[spec.family](spec)


def reader_for(spec: ModelSpec) -> FamilyAdapter[Readings]:
    """A new adapter of a family that reads crops; each engine has its own.

    Raises:
        ModelError: if the model is a detector.
    """
    if spec.family not in READERS:
        raise ModelError(
            f"{spec.name} is for {Task.DETECT.value}, it reads nothing of a crop",
            field="family",
            remedy=f"Give a model for crops here ({_listed(READERS)}).",
        )
    return READERS[spec.family](spec)


def _listed(families: Mapping[Family, object]) -> str:
    return ", ".join(family.value for family in families)
