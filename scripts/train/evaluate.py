"""Evaluation: the exported files, through the engine that ships, on seeds never trained on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data import SOURCE_HEIGHT, SOURCE_WIDTH, Clip, read_clip
from numpy.typing import NDArray

from cluster.demo.world import CLASSES
from engines.detections import Detections
from engines.evaluation import Evaluation, Truth, evaluate
from engines.frames import Frame, Picture
from engines.onnxruntime import OnnxRuntimeEngine
from engines.onnxruntime.session import open_session
from engines.spec import ModelSpec

LOWEST_CONFIDENCE = 0.01
PICTURE = Picture(SOURCE_WIDTH, SOURCE_HEIGHT)

Pictures = list[tuple[Detections, Truth]]


@dataclass(frozen=True, slots=True)
class Judged:
    """One clip's pictures, and where and when it plays."""

    view: str
    time_of_day: str
    pictures: Pictures


def detected(spec: ModelSpec, folder: Path) -> Pictures:
    """What a model finds in all clips of a folder, and what is there."""
    return _pictures(_judged_clips(spec, folder, []))


def figures(spec: ModelSpec, folder: Path, confidence: float) -> dict[str, Any]:
    """Average precision at IoU 0.5 and speed of a model on all clips of a folder.

    Args:
        spec: The model.
        folder: The clips.
        confidence: Where precision and recall are given, whatever the spec's own is.
    """
    times_ms: list[float] = []
    clips = _judged_clips(spec, folder, times_ms)
    whole = evaluate(_pictures(clips))
    return {
        "model": spec.name,
        "size_bytes": spec.path.stat().st_size,
        "clips": len(clips),
        "frames": sum(len(clip.pictures) for clip in clips),
        "objects": sum(curve.num_truth for curve in whole.curves.values()),
        "map50": _rounded(whole.mean_average_precision),
        "map75": _rounded(evaluate(_pictures(clips), iou=0.75).mean_average_precision),
        "classes": _by_class(whole, confidence),
        "confidence": confidence,
        "spec_confidence": spec.confidence,
        "iou": spec.iou,
        "iou_across": spec.iou_across,
        "views": _by(clips, "view"),
        "times_of_day": _by(clips, "time_of_day"),
        "ms_median": round(statistics.median(times_ms), 3),
        "ms_inference": _inference_ms(spec),
    }


def frames_of(clip: Clip) -> Iterator[Frame]:
    """The clip's pictures as an engine takes them."""
    for packed in clip.planes:
        yield Frame(PICTURE, _planes(packed), SOURCE_WIDTH, SOURCE_HEIGHT)


def _planes(packed: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    ends = np.cumsum([rows * columns for rows, columns in PICTURE.plane_shapes])
    parts = np.split(packed, ends[:-1])
    return tuple(
        part.reshape(shape) for part, shape in zip(parts, PICTURE.plane_shapes, strict=True)
    )


def truths_of(clip: Clip) -> Iterator[Truth]:
    """What is to be found in each picture."""
    ends = np.cumsum(clip.counts)
    for start, end in zip(ends - clip.counts, ends, strict=True):
        part = slice(start, end)
        yield Truth.of(clip.xyxy[part], clip.class_id[part], clip.ignore[part])


def _judged_clips(spec: ModelSpec, folder: Path, times_ms: list[float]) -> list[Judged]:
    # Average precision is of each class for itself.
    each = {"iou_across": 1.0, "part_labels": ()}
    low = spec.model_copy(update={"confidence": LOWEST_CONFIDENCE, **each})
    engine = OnnxRuntimeEngine(low, num_threads=1, max_batch_size=1)
    engine.load()
    try:
        return [_judged(engine, path, times_ms) for path in sorted(folder.glob("*.npz"))]
    finally:
        engine.close()


def _judged(engine: OnnxRuntimeEngine, path: Path, times_ms: list[float]) -> Judged:
    clip = read_clip(path)
    pictures = []
    for frame, truth in zip(frames_of(clip), truths_of(clip), strict=True):
        start = time.perf_counter()
        (found,) = engine.infer([frame])
        times_ms.append(1e3 * (time.perf_counter() - start))
        pictures.append((found, truth))
    _, view, time_of_day = path.stem.split("-")
    return Judged(view, time_of_day, pictures)


def _pictures(clips: list[Judged]) -> Pictures:
    return [picture for clip in clips for picture in clip.pictures]


def _by(clips: list[Judged], field: str) -> dict[str, float]:
    groups: dict[str, list[Judged]] = {}
    for clip in clips:
        groups.setdefault(getattr(clip, field), []).append(clip)
    return {
        name: _rounded(evaluate(_pictures(group)).mean_average_precision)
        for name, group in sorted(groups.items())
    }


def _by_class(whole: Evaluation, confidence: float) -> dict[str, dict[str, float]]:
    rows = {}
    for class_id, curve in sorted(whole.curves.items()):
        precision, recall = curve.at(confidence)
        rows[CLASSES[class_id]] = {
            "ap50": _rounded(curve.average_precision),
            "precision": _rounded(precision),
            "recall": _rounded(recall),
            "objects": curve.num_truth,
        }
    return rows


def _inference_ms(spec: ModelSpec, num_runs: int = 60) -> float:
    """Median time of the model alone, one picture, one thread."""
    session = open_session(spec.path, num_threads=1)
    picture = np.full((1, 3, spec.input.height, spec.input.width), 114.0, np.float32)
    times_ms = []
    for _ in range(num_runs):
        start = time.perf_counter()
        session.run(None, {session.get_inputs()[0].name: picture})
        times_ms.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times_ms), 3)


def _rounded(value: float) -> float:
    return round(float(value), 4)
