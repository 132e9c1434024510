"""OnnxRuntimeEngine and OnnxRuntimeReader: detectors, and models for crops, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from engines.crops import View
from engines.detections import Detections
from engines.families import adapter_for, reader_for
from engines.families.adapter import FamilyAdapter
from engines.onnxruntime.model import OnnxRuntimeModel
from engines.readings import Readings


class OnnxRuntimeEngine(OnnxRuntimeModel[list[Detections]]):
    """An ``Engine`` on ONNX Runtime's CPU provider; up to ``max_in_flight`` threads at once."""

    def infer(self, frames: Sequence[View]) -> list[Detections]:
        """See ``Engine.infer``; of a crop, too, boxes come in pixels of the camera's picture."""
        return self._infer(frames) if frames else []

    def _adapter(self) -> FamilyAdapter[list[Detections]]:
        return adapter_for(self.spec)


class OnnxRuntimeReader(OnnxRuntimeModel[Readings]):
    """A ``CropEngine`` on ONNX Runtime's CPU provider: reads attributes, text or embeddings."""

    def infer(self, views: Sequence[View]) -> Readings:
        """See ``CropEngine.infer``."""
        if not views:
            raise ValueError("no views in a batch, at least 1")
        return self._infer(views)

    def _adapter(self) -> FamilyAdapter[Readings]:
        return reader_for(self.spec)
