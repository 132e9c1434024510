"""Lanes on the CPU: the graph that TensorRT is given, on ONNX Runtime, for tests without a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier

import numpy as np

from engines.crops import View
from engines.families.letterbox import Letterbox
from engines.families.suppression import Overlaps, suppress
from engines.onnxruntime.session import open_session, signature_of
from engines.spec import ModelSpec, Precision
from engines.tensorrt.builder import graph_for
from engines.tensorrt.lane import Outputs

SIZES = (1, 2, 4)


class HostLane:
    """A detector that is cut to its best candidates; suppression is NumPy's."""

    def __init__(self, spec: ModelSpec) -> None:
        graph = graph_for(spec, Precision.FP32)
        self._spec = spec
        self._session = open_session(graph.SerializeToString())
        self.signature = signature_of(self._session)
        self._letterbox = Letterbox(spec.input)
        self._records = np.zeros((SIZES[-1], 1 + spec.max_detections, 6), np.float32)
        self.batches: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.meeting: Barrier | None = None

    def run(self, views: Sequence[View], batch_size: int) -> Outputs:
        self.batches.append((len(views), batch_size))
        if self.error is not None:
            raise self.error
        if self.meeting is not None:
            self.meeting.wait(10)
        image = self._spec.input
        batch = np.zeros((batch_size, 3, image.height, image.width), np.float32)
        for view, out in zip(views, batch, strict=False):
            self._letterbox.write(view, out)
        outputs = self._session.run(None, {self.signature.inputs[0].name: batch})
        return [self._suppressed(outputs)[: len(views)]]

    def _suppressed(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        self._records[:] = np.nan
        for record, boxes, scores, classes in zip(self._records, *outputs, strict=False):
            num = int(np.count_nonzero(scores >= self._spec.confidence))
            sides = np.ascontiguousarray(boxes[:num].T)
            overlaps = Overlaps.of(self._spec)
            kept = suppress(sides, classes[:num], overlaps, self._spec.max_detections)
            record[0, 0] = len(kept)
            rows = np.concatenate((boxes, scores[:, None], classes[:, None]), axis=1)
            record[1 : 1 + len(kept)] = rows[kept]
        return self._records


class HostRuntime:
    """Two lanes on the CPU."""

    def __init__(self, spec: ModelSpec, batch_sizes: tuple[int, ...]) -> None:
        self.batch_sizes = batch_sizes
        self.lanes = [HostLane(spec), HostLane(spec)]
        self.signature = self.lanes[0].signature
        self.num_closed = 0

    def close(self) -> None:
        self.num_closed += 1
