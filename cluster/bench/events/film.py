"""Films of the synthetic world before the detector that ships: drawn, looked at, recorded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import ceil
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cluster.bench.events.recording import Recording, rounded
from cluster.demo.world import VIEWS, Scenario, World
from cluster.demo.world.clip import video_frame
from cluster.demo.world.scenario import TimeOfDay
from cluster.models import BUILTIN_SPEC
from engines.detections import Detections
from engines.engine import Engine
from engines.factory import create_engine
from engines.frames import Frame, Picture
from engines.spec_file import read_spec

LIGHTS: tuple[TimeOfDay, ...] = ("day", "night")
TRUTH_VERSION = 3
"""Raise it when what is told of a film changes, and what is drawn does not."""
_WORLD_FPS = 24


@dataclass(frozen=True, slots=True)
class Film:
    """One world, looked at so many times a second.

    Attributes:
        seed: Decides traffic, and with it the view: they take turns.
        light: Day or night; the traffic of a seed is the same.
        fps: Pictures that the detector gets a second. The truth is told finer.
        seconds: How long.
    """

    seed: int
    light: TimeOfDay
    fps: int
    seconds: float

    @property
    def every(self) -> int:
        """One frame of so many of the world is looked at."""
        return ceil(_WORLD_FPS / self.fps)

    @property
    def scenario(self) -> Scenario:
        """The world."""
        view = sorted(VIEWS)[self.seed % len(VIEWS)]
        fps = self.fps * self.every
        return Scenario(self.seed, view, self.light, fps=fps, duration_s=self.seconds)

    def path(self, folder: Path) -> Path:
        """Where its recording lies: a name for all that decides it."""
        model = sha256(read_spec(BUILTIN_SPEC).path.read_bytes() + BUILTIN_SPEC.read_bytes())
        digest = self.scenario.digest()
        return folder / f"{digest}-{TRUTH_VERSION}-{self.every}-{model.hexdigest()[:8]}.json"

    def record(self, folder: Path) -> Path:
        """Draw it and look at it, where the folder does not hold its recording."""
        path = self.path(folder)
        if not path.exists():
            self._look().save(path)
        return path

    def _look(self) -> Recording:
        world, found = World(self.scenario), []
        for rgb, frame in world.pictures(self.every):
            found.append(_look_at(rgb, frame.index, self.scenario.fps))
        return Recording(world.truth(), tuple(found))


def _look_at(rgb: NDArray[np.uint8], index: int, fps: int) -> Detections:
    return rounded(_detector().infer([frame_of(video_frame(rgb, index, fps))])[0])


def frame_of(decoded: VideoFrame) -> Frame:
    """A decoded picture as engines take it; ``yuv420p``, other formats are converted."""
    planar = decoded.reformat(format="yuv420p").to_ndarray().astype(np.uint8, copy=False)
    picture = Picture(decoded.width, decoded.height)
    ends = np.cumsum([rows * columns for rows, columns in picture.plane_shapes])[:-1]
    parts = zip(np.split(planar.ravel(), ends), picture.plane_shapes, strict=True)
    return Frame(picture, tuple(p.reshape(s) for p, s in parts), picture.width, picture.height)


@cache
def _detector() -> Engine:
    engine = create_engine(read_spec(BUILTIN_SPEC))
    engine.load()
    return engine
