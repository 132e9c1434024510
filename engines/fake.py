"""FakeEngine: an engine that computes nothing, costs what it is told to and fails on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.detections import Detections
from engines.errors import EngineFailedError
from engines.frames import Frame
from engines.spec import Family, InputSpec, ModelSpec

Detect = Callable[[Frame, int], Detections]
"""What is found in a frame, given how many frames the engine has inferred before it."""

FAKE_SPEC = ModelSpec(
    name="fake",
    path=Path("fake.onnx"),
    family=Family.YOLOX,
    input=InputSpec(width=320, height=192),
    labels=("object",),
)


@dataclass(frozen=True, slots=True)
class CostModel:
    """Time of a batch: ``fixed_ms + per_frame_ms * batch size``."""

    fixed_ms: float = 0.0
    per_frame_ms: float = 0.0

    def batch_ms(self, batch_size: int) -> float:
        """Milliseconds that a batch of that size takes."""
        return self.fixed_ms + self.per_frame_ms * batch_size


class VirtualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Seconds, as ``time.monotonic`` gives them."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def moving_box(frame: Frame, index: int) -> Detections:
    """One box, a quarter of the picture wide and high, that walks from left to right for ever."""
    width, height = frame.source_width / 4, frame.source_height / 4
    left = (index * 8) % (frame.source_width - width)
    top = (frame.source_height - height) / 2
    xyxy = np.array([[left, top, left + width, top + height]])
    return Detections.of(xyxy, np.array([0.9]), np.array([0]))


def bright_box(frame: Frame, _index: int, *, luma: int = 180) -> Detections:
    """The box around all pixels at least as bright as ``luma``; nothing in a dark picture."""
    bright = frame.planes[0] >= luma
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    if not len(columns):
        return Detections.empty()
    x, y = frame.source_width / frame.picture.width, frame.source_height / frame.picture.height
    box = [columns[0] * x, rows[0] * y, (columns[-1] + 1) * x, (rows[-1] + 1) * y]
    return Detections.of(np.array([box]), np.array([0.9]), np.array([0]))


class FakeEngine:
    """An ``Engine`` without a model.

    A batch is charged as the smallest of ``batch_sizes`` that holds it, as on a device.

    Args:
        spec: What it claims to be.
        detect: What it finds.
        cost: What a batch takes.
        spend: Called with the seconds of each batch: ``time.sleep`` or ``VirtualClock.advance``.
        batch_sizes: Sizes that it claims to be built for.
        max_batches: Fail for good after so many batches; None for never.
    """

    def __init__(
        self,
        spec: ModelSpec = FAKE_SPEC,
        *,
        detect: Detect = moving_box,
        cost: CostModel | None = None,
        spend: Callable[[float], None] = time.sleep,
        batch_sizes: tuple[int, ...] = (1, 2, 4, 8),
        max_batches: int | None = None,
    ) -> None:
        self.spec = spec
        self.batch_sizes = batch_sizes
        self.max_in_flight = 1
        self.num_batches = 0
        self.num_frames = 0
        self.loaded = False
        self._detect = detect
        self._cost = cost or CostModel()
        self._spend = spend
        self._max_batches = max_batches

    def load(self) -> None:
        """See ``Engine.load``."""
        self.loaded = True

    def infer(self, frames: Sequence[Frame]) -> list[Detections]:
        """See ``Engine.infer``."""
        if not self.loaded:
            raise EngineFailedError(f"{self.spec.name} is not loaded: call load() first")
        if len(frames) > self.batch_sizes[-1]:
            raise ValueError(f"{len(frames)} frames in a batch, at most {self.batch_sizes[-1]}")
        if not frames:
            return []
        if self.num_batches == self._max_batches:
            raise EngineFailedError(f"{self.spec.name} failed after {self.num_batches} batches")
        self._spend(self._cost.batch_ms(self._padded(len(frames))) / 1000)
        found = [self._detect(frame, self.num_frames + i) for i, frame in enumerate(frames)]
        self.num_batches += 1
        self.num_frames += len(frames)
        return found

    def close(self) -> None:
        """See ``Engine.close``."""
        self.loaded = False

    def _padded(self, num_frames: int) -> int:
        return next(size for size in self.batch_sizes if size >= num_frames)
