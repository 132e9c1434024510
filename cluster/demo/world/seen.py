"""How well an object was seen, and whether a tracker must report what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cluster.demo.world.geometry import Floats, Point, border_distance
from cluster.demo.world.scenario import Scenario
from cluster.demo.world.tracks import Track
from cluster.demo.world.truth import EventType, Phase, TruthEvent

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

CLEAR_S = 0.5
CLEAR_PX = 4.0
_CLEAR_VISIBLE = 0.4


@dataclass(frozen=True, slots=True)
class Seen:
    """A track with what was visible of it.

    Attributes:
        track: The track.
        route: Name of its route.
        visible: Visible share in each of its frames, 0 where it is out of the picture.
        good: True where it is in the picture, large enough and at least 40 % visible.
    """

    track: Track
    route: str
    visible: Floats
    good: Mask

    @classmethod
    def of(cls, track: Track, route: str, visible: Floats, min_height_px: float) -> Seen:
        """Judge the frames of a track."""
        tall = track.clipped[:, 3] - track.clipped[:, 1] >= min_height_px
        return cls(track, route, visible, track.seen & tall & (visible >= _CLEAR_VISIBLE))

    def is_clear(self, scenario: Scenario, at: float, before_s: float, after_s: float) -> bool:
        """Tell whether the object is well visible around a frame of its track."""
        first = int(np.floor(at - before_s * scenario.fps))
        last = int(np.ceil(at + after_s * scenario.fps))
        if first < 0 or last >= len(self.good):
            return False
        return bool(self.good[first : last + 1].all())

    def is_deep(self, scenario: Scenario, polygon: Sequence[Point], least_sizes: float) -> Mask:
        """Tell in which frames an object stands more than just at the edge of a polygon."""
        size = np.array([scenario.width, scenario.height], dtype=np.float64)
        sides = self.track.clipped[:, 2:] - self.track.clipped[:, :2]
        least = np.maximum(CLEAR_PX, least_sizes * np.sqrt(sides.clip(0.0).prod(axis=1)))
        deep: Mask = border_distance(np.array(polygon) * size, self.track.anchors()) >= least
        return deep

    def event(
        self,
        scenario: Scenario,
        what: tuple[EventType, Phase, str],
        at: float,
        *,
        ignore: bool,
        direction: str = "",
    ) -> TruthEvent:
        """Tell of a type, phase and rule at a frame of the track."""
        return TruthEvent(
            *what,
            identity=self.track.agent.identity,
            class_id=self.track.agent.class_id,
            t_s=round((self.track.first + at) / scenario.fps, 3),
            direction=direction,
            ignore=ignore,
        )


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Return first and one past the last index of each unbroken run of True."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return list(
        zip(np.nonzero(edges > 0)[0].tolist(), np.nonzero(edges < 0)[0].tolist(), strict=True)
    )
