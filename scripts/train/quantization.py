"""Thresholds and INT8: both are chosen on the validation clips, which nothing is scored on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from data import read_clip
from evaluate import detected, frames_of
from numpy.typing import NDArray
from specs import read_spec, spec_of, write_spec

from engines.detections import Detections
from engines.evaluation import Evaluation, Truth, evaluate
from engines.families import adapter_for
from engines.graph import Calibration, quantize
from engines.spec import ModelSpec, Precision

OVERLAPS = (0.45, 0.55, 0.65)
SLACK = 0.002  # of average precision; two boxes of one object cost the tracker more than that
KEEP_FLOAT = ("/backbone/stem/*", "/pyramid/smooth.*", "/heads.*/*branch*")
"""What gains little speed in INT8, and what decides the last half pixel of a box."""

SAME_IOU = 0.9  # INT8 shifts boxes before it loses any, which mAP at 0.5 hardly tells

CONFIDENCES = tuple(round(0.2 + 0.05 * i, 2) for i in range(9))


def choose_thresholds(out: Path, validation: Path) -> float:
    """Set the spec's suppression overlap by average precision; returns the confidence of best F1.

    The least overlap is taken that costs next to nothing. The spec's own confidence stays below
    that of best F1, for the tracker.
    """
    spec = read_spec(Precision.FP32, out)
    judged = {
        iou: evaluate(detected(spec.model_copy(update={"iou": iou}), validation))
        for iou in OVERLAPS
    }
    most = max(each.mean_average_precision for each in judged.values())
    iou = min(v for v, each in judged.items() if each.mean_average_precision >= most - SLACK)
    confidence = max(CONFIDENCES, key=lambda value: mean_f1(judged[iou], value))
    found = {key: round(value.mean_average_precision, 4) for key, value in judged.items()}
    print(f"validation mAP50 by overlap {found}; confidence {confidence}", flush=True)
    write_spec(spec_of(Precision.FP32, out, iou))
    return confidence


def mean_f1(judged: Evaluation, confidence: float) -> float:
    """F1 at a threshold, averaged over the classes."""
    pairs = [curve.at(confidence) for curve in judged.curves.values()]
    return sum(2 * p * r / max(p + r, 1e-9) for p, r in pairs) / max(1, len(pairs))


def write_int8(out: Path, clips: Path, num_frames: int) -> None:
    """Quantise with each calibration method, and write the one most like FP32, with its spec.

    Args:
        out: Where the FP32 model and its spec are.
        clips: The rendered clips; those of training calibrate, those of validation choose.
        num_frames: Pictures for the calibration.
    """
    source = read_spec(Precision.FP32, out)
    model = onnx.load(source.path)
    images = list(calibration_images(source, clips / "train", num_frames))
    spec, chosen_by = spec_of(Precision.INT8, out, source.iou), clips / "validation"
    expected = [_as_truth(found, source.confidence) for found, _ in detected(source, chosen_by)]
    scores: dict[str, float] = {}
    for method in Calibration:
        trial = spec.model_copy(update={"path": out / f"{method.value}.part.onnx"})
        int8 = quantize(model, images, method=method, keep_float=KEEP_FLOAT)
        onnx.save(int8, trial.path)
        found = (each for each, _ in detected(trial, chosen_by))
        judged = evaluate(zip(found, expected, strict=True), iou=SAME_IOU)
        scores[method.value] = round(judged.mean_average_precision, 4)
        print(f"INT8 by {method.value} against FP32: mAP {scores[method.value]}", flush=True)
        if scores[method.value] == max(scores.values()):
            trial.path.replace(spec.path)
        trial.path.unlink(missing_ok=True)
    _rename(spec, max(scores, key=lambda name: scores[name]))
    write_spec(spec)


def _as_truth(found: Detections, confidence: float) -> Truth:
    return Truth.of(found.xyxy, found.class_id, found.confidence < confidence)


def _rename(spec: ModelSpec, method: str) -> None:
    model = onnx.load(spec.path)
    values = {entry.key: entry.value for entry in model.metadata_props}
    calibration = {"method": method, "keep_float": KEEP_FLOAT}
    values |= {"name": spec.name, "calibration": json.dumps(calibration)}
    onnx.helper.set_model_props(model, values)
    onnx.save(model, spec.path)


def calibration_images(
    spec: ModelSpec, folder: Path, num_frames: int
) -> Iterator[NDArray[np.float32]]:
    """Prepared inputs [1, 3, H, W] from clips spread over the folder, one of each in turn."""
    paths = sorted(folder.glob("*.npz"))
    adapter = adapter_for(spec)
    for i in range(num_frames):
        clip = read_clip(paths[i * max(1, len(paths) // num_frames) % len(paths)])
        frames = list(frames_of(clip))
        image = np.empty((1, 3, spec.input.height, spec.input.width), np.float32)
        adapter.prepare(frames[i % len(frames)], image[0])
        yield image
