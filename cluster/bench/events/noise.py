"""Boxes of the truth with the errors of a detector: a second opinion beside the one that ships.

How large the errors are was measured on the detector that ships, in the films of this bench.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.bench.events.recording import rounded
from cluster.demo.world import CLASSES, FrameTruth, Truth
from cluster.demo.world.painter import MIN_AREA_PX, MIN_HEIGHT_PX, MIN_VISIBLE
from cluster.demo.world.scenario import TimeOfDay
from engines.detections import Detections

Floats = NDArray[np.float64]

_UNSURE = 0.3  # so much less sure is who can hardly be seen


@dataclass(frozen=True, slots=True)
class Noise:
    """How wrong boxes are.

    Attributes:
        jitter: Standard deviation of each side, in sizes of the box.
        least_px: The same at least, pixels.
        missed: Share of objects that are missed in a frame.
        lasts: Chance that one that was missed is missed in the next frame too.
        hidden: Share of objects that are found though they are just too small or too hidden to be
            scored. Of others it is less by the square of how much of what is asked they have.
        false: False boxes a frame, somewhere, most of them unsure.
        confused: Share of boxes with another class.
    """

    jitter: float = 0.03
    least_px: float = 0.5
    missed: float = 0.02
    lasts: float = 0.3
    hidden: float = 0.8
    false: float = 0.3
    confused: float = 0.005


NOISE: dict[TimeOfDay, Noise] = {
    "day": Noise(),
    "dusk": Noise(),
    "night": Noise(missed=0.04, false=0.6, confused=0.01),
}


def with_noise(truth: Truth) -> tuple[Detections, ...]:
    """What a detector would find in each frame; the same each time."""
    scenario = truth.scenario
    rng = np.random.Generator(np.random.PCG64([scenario.seed, 7]))
    noise, size = NOISE[scenario.time_of_day], (scenario.width, scenario.height)
    found, missed = [], frozenset[int]()
    for frame in truth.frames:
        missed = _missed(frame, noise, missed, rng)
        here = ~np.isin(frame.identity, list(missed))
        boxes = _jittered(frame.xyxy[here].astype(np.float64), noise, size, rng)
        confidence = np.clip(rng.normal(0.88, 0.06, len(boxes)), 0.35, 0.99)
        confidence -= _UNSURE * (1.0 - _seen(frame)[here])
        classes = _confused(frame.class_id[here], noise, rng)
        extra = _false_boxes(noise, size, rng)
        found.append(_joined(Detections.of(boxes, confidence, classes), extra))
    return tuple(found)


def _missed(
    frame: FrameTruth, noise: Noise, before: frozenset[int], rng: np.random.Generator
) -> frozenset[int]:
    """Identities of those that are not found; who was missed is likelier to be missed again."""
    found = noise.hidden * _seen(frame) ** 2
    chances = np.where(frame.ignore, 1 - found, noise.missed * (1 - noise.lasts))
    lasting = np.array([identity in before for identity in frame.identity.tolist()], dtype=bool)
    chances = np.where(lasting & ~frame.ignore, noise.lasts, chances)
    return frozenset(frame.identity[rng.random(len(frame)) < chances].tolist())


def _seen(frame: FrameTruth) -> Floats:
    """How much of what is asked of an object that is scored each one has, at most 1."""
    width, height = (frame.xyxy[:, 2:] - frame.xyxy[:, :2]).T.astype(np.float64)
    parts = frame.visible / MIN_VISIBLE, height / MIN_HEIGHT_PX, width * height / MIN_AREA_PX
    return np.asarray(np.minimum(np.minimum.reduce(parts), 1.0))


def _jittered(
    boxes: Floats, noise: Noise, size: tuple[int, int], rng: np.random.Generator
) -> Floats:
    sides = boxes[:, 2:] - boxes[:, :2]
    sigma = np.maximum(noise.jitter * np.sqrt(sides.prod(axis=1)), noise.least_px)
    moved = boxes + rng.normal(size=boxes.shape) * sigma[:, None]
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1.0)
    return np.asarray(np.clip(moved, 0.0, [*size, *size]))


def _confused(classes: NDArray[np.int32], noise: Noise, rng: np.random.Generator) -> Floats:
    other = (classes + rng.integers(1, len(CLASSES), len(classes))) % len(CLASSES)
    return np.where(rng.random(len(classes)) < noise.confused, other, classes).astype(np.float64)


def _false_boxes(noise: Noise, size: tuple[int, int], rng: np.random.Generator) -> Detections:
    num = int(rng.poisson(noise.false))
    corners = rng.random((num, 2)) * size
    sides = rng.uniform(10.0, 60.0, (num, 2))
    boxes = np.clip(np.concatenate([corners, corners + sides], axis=1), 0.0, [*size, *size])
    classes = rng.integers(0, len(CLASSES), num)
    return Detections.of(boxes, rng.uniform(0.3, 0.7, num), classes)


def _joined(first: Detections, second: Detections) -> Detections:
    boxes = np.concatenate([first.xyxy, second.xyxy])
    confidence = np.concatenate([first.confidence, second.confidence])
    return rounded(
        Detections.of(boxes, confidence, np.concatenate([first.class_id, second.class_id]))
    )
