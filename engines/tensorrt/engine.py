"""TensorRtEngine and TensorRtReader: detectors, and models for crops, on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Sequence

from engines.crops import View
from engines.detections import Detections
from engines.families import adapter_for, reader_for
from engines.graph.best_candidates import CUT_FAMILIES
from engines.readings import Readings
from engines.signature import Signature
from engines.tensorrt.lane import Lane
from engines.tensorrt.model import TensorRtModel
from engines.tensorrt.reading import OutputReader, RecordReader, family_reader


class TensorRtEngine(TensorRtModel[list[Detections]]):
    """An ``Engine`` on TensorRT: pictures of a ``DevicePool``, or crops of them, to detections.

    YOLOX and YOLOv8 are cut to their best candidates and suppressed on the GPU; what other families
    give is read by the CPU, which is for crops rather than for the frames of many cameras.
    """

    def infer(self, frames: Sequence[View]) -> list[Detections]:
        """See ``Engine.infer``; of a crop, too, boxes come in pixels of the camera's picture."""
        return self._infer(frames) if frames else []

    def _reader(self, lane: Lane, signature: Signature) -> OutputReader[list[Detections]]:
        if self.spec.family in CUT_FAMILIES:
            return RecordReader(self.spec)
        return family_reader(adapter_for(self.spec), signature, lane, self.batch_sizes[0])


class TensorRtReader(TensorRtModel[Readings]):
    """A ``CropEngine`` on TensorRT: reads attributes, text or embeddings.

    What the network gives is copied, and read by the CPU with the code of the family.
    """

    def infer(self, views: Sequence[View]) -> Readings:
        """See ``CropEngine.infer``."""
        if not views:
            raise ValueError("no views in a batch, at least 1")
        return self._infer(views)

    def _reader(self, lane: Lane, signature: Signature) -> OutputReader[Readings]:
        return family_reader(reader_for(self.spec), signature, lane, self.batch_sizes[0])
