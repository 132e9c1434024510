"""Real films in which people have counted: cars that come down a road, visits of one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from actors.analytics.events import Event
from actors.analytics.pipeline import StreamPipeline
from actors.messages import FrameResult
from actors.specs import StreamSpec
from cluster.bench.claims import Claim
from cluster.bench.events.film import frame_of
from engines.factory import create_engine
from engines.inspection import load_spec

MODEL = "models/yolox_nano_dyn.onnx"
_CONFIDENCE = 0.1  # the tracker keeps tracks alive with unsure detections


@dataclass(frozen=True, slots=True)
class Clip:
    """One film.

    Attributes:
        file: Below the folder with data.
        what: What is counted.
        rule: It reports each of them once.
        counted_s: When, seconds since the start, as people counted on contact sheets.
        every: One frame of so many is looked at.
        off_s: How coarse the contact sheets were.
    """

    file: str
    what: str
    rule: dict[str, Any]
    counted_s: tuple[float, ...]
    every: int
    off_s: float


CLIPS = (
    Clip(
        "videos/street_cars_input_video.mp4",
        "vehicles that come down the road",
        {
            "kind": "line",
            "name": "down",
            "points": [[0.55, 0.98], [0.98, 0.5]],
            "classes": ["car", "bus", "truck"],
        },
        tuple(n / 24.01 for n in (36, 90, 144, 200, 262, 441, 504, 730)),
        4,
        1.0,
    ),
    Clip(
        "videos/intel_one-by-one-person-detection.mp4",
        "visits of a person",
        {"kind": "object", "name": "visit", "classes": ["person"], "min_s": 1.0},
        tuple(n / 10 for n in (65, 230, 504, 750, 920, 1240)),
        2,
        2.0,
    ),
)


def count(clip: Clip, data: Path) -> list[float]:
    """When each was reported, seconds since the start of the film, in order.

    Raises:
        OSError: if the film or the model is not there.
    """
    spec = load_spec(data / MODEL).model_copy(update={"confidence": _CONFIDENCE})
    job = {"id": "clip", "url": "file:///clip", "rules": [clip.rule]}
    pipeline = StreamPipeline(StreamSpec.model_validate(job), spec.labels)
    engine = create_engine(spec)
    engine.load()
    events: list[Event] = []
    for index, t_s, frame in _frames(data / clip.file, clip.every):
        found, size = engine.infer([frame])[0], (frame.source_width, frame.source_height)
        result = FrameResult("clip", 1, index, t_s, t_s, t_s, size, MODEL, found, t_s)
        events += pipeline.process(result) or []
    engine.close()
    return sorted(e.ts / 1e3 for e in events if e.phase.value in ("instant", "begin"))


def _frames(path: Path, every: int) -> Iterator[tuple[int, float, Any]]:
    with av.open(str(path)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield index, float(decoded.pts * decoded.time_base), frame_of(decoded)


def claim(clip: Clip, found_s: list[float]) -> Claim:
    """All were reported, none besides, each about when it was counted."""
    pairs = zip(found_s, clip.counted_s, strict=False)
    is_near = all(abs(found - counted) <= clip.off_s for found, counted in pairs)
    text = f"{clip.what}, {clip.file}: {len(clip.counted_s)}, at most {clip.off_s} s off"
    return Claim(text, len(found_s), len(found_s) == len(clip.counted_s) and is_near)
