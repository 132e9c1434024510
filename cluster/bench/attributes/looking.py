"""Films through detector, secondary models and analytics, as in a slot but one frame after another.

The engine with its secondaries and the stream's pipeline are the product's own; only processes,
pool and scheduler between them are left out, so that it is the same in each run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from actors.analytics.events import Event
from actors.analytics.pipeline import StreamPipeline
from actors.crop_messages import SecondaryModel
from actors.inference.secondaries import CascadeEngine, Secondary
from actors.messages import FrameResult, Ticket
from actors.specs import StreamSpec
from cluster.bench.events.film import frame_of
from engines.factory import create_crop_engine, create_engine
from engines.frames import Frame
from engines.inspection import load_spec
from engines.spec import ModelSpec

_DETECTOR = "models/yolox_nano_dyn.onnx"
_CONFIDENCE = 0.1  # the tracker keeps tracks alive with unsure detections
_IN_TIME_S = 3600.0  # for all crops that are asked for
_NUM_THREADS = 2
_MAX_CROPS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One frame, analysed.

    Attributes:
        index: Its number in the film, from 0.
        t_s: When it is shown, seconds since the start of the film.
        frame: The picture.
        result: Its detections, and what secondaries have read.
        pipeline: After the frame.
        events: What came of it.
    """

    index: int
    t_s: float
    frame: Frame
    result: FrameResult
    pipeline: StreamPipeline
    events: list[Event]


def detector_spec(data: Path) -> ModelSpec:
    """YOLOX-Nano, with its unsure detections.

    Raises:
        ModelError: if it cannot be used, or is not there.
    """
    return load_spec(data / _DETECTOR).model_copy(update={"confidence": _CONFIDENCE})


def look(
    film: Path,
    detector: ModelSpec,
    models: Sequence[SecondaryModel],
    job: StreamSpec,
    every: int = 1,
) -> Iterator[Looked]:
    """Each ``every``-th frame of a film, in order.

    Raises:
        OSError: if the film is not there.
        ModelError: if a model cannot be used.
    """
    engine = _engine(detector, models)
    pipeline = StreamPipeline(job, detector.labels, secondaries=models)
    try:
        with av.open(str(film)) as container:
            for index, decoded in enumerate(container.decode(video=0)):
                if index % every == 0 and decoded.pts is not None:
                    t_s = float(decoded.pts * decoded.time_base)
                    yield _look_at(frame_of(decoded), index, t_s, engine, pipeline)
    finally:
        engine.close()


def _engine(detector: ModelSpec, models: Sequence[SecondaryModel]) -> CascadeEngine:
    """Its clock stands still: no request grows old, and there is time for all."""
    primary = create_engine(detector, num_threads=_NUM_THREADS)
    primary.load()
    readers = [
        Secondary(one, create_crop_engine(one.model, num_threads=_NUM_THREADS)) for one in models
    ]
    engine = CascadeEngine(primary, readers, _MAX_CROPS, clock=lambda: 0.0)
    engine.load()
    return engine


def _look_at(
    frame: Frame, index: int, t_s: float, engine: CascadeEngine, pipeline: StreamPipeline
) -> Looked:
    size, name = (frame.source_width, frame.source_height), pipeline.spec.id
    ticket = Ticket(name, 1, index, 0, frame.picture, size, t_s, t_s, t_s, _IN_TIME_S, t_s)
    (found,) = engine.infer([frame])
    (crops,) = engine.look([ticket], [frame], [found])
    result = FrameResult.of(ticket, found, crops, engine.spec.name, t_s)
    events = pipeline.process(result) or []
    engine.ask(pipeline.requests)
    return Looked(index, t_s, frame, result, pipeline, events)
