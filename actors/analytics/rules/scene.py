"""What rules see of a frame, and what they say of it: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.analytics.events import Box, EventType, Phase
from actors.analytics.tracking import Birth
from engines.detections import Detections

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on three clocks, all in seconds.

    Attributes:
        t_s: Motion time: always advances within a session. Durations are taken from it.
        ts: UTC since 1970.
        pts_s: The source's own clock.
    """

    t_s: float
    ts: float
    pts_s: float

    def towards(self, other: Moment, fraction: float) -> Moment:
        """The moment at a fraction of the way to another one."""
        return Moment(
            self.t_s + fraction * (other.t_s - self.t_s),
            self.ts + fraction * (other.ts - self.ts),
            self.pts_s + fraction * (other.pts_s - self.pts_s),
        )

    def at(self, t_s: float) -> Moment:
        """The moment at this motion time, if all clocks ran alike."""
        passed_s = t_s - self.t_s
        return Moment(t_s, self.ts + passed_s, self.pts_s + passed_s)


class Sighting(NamedTuple):
    """One tracked object in one frame; a named tuple, as there is one for each object and frame.

    Attributes:
        track: Its identity.
        class_name: Its label.
        confidence: Of the detection, 0 to 1.
        box: Left, top, right, bottom in source pixels.
        at: When it was seen.
        first: Its first sighting, in the scene in which its track was confirmed; else None.
    """

    track: int
    class_name: str
    confidence: float
    box: Box
    at: Moment
    first: Sighting | None = None

    @property
    def foot(self) -> Point:
        """Bottom centre of the box: where the object stands."""
        return (self.box[0] + self.box[2]) / 2, self.box[3]

    @property
    def size_px(self) -> float:
        """Geometric mean of width and height."""
        return float(((self.box[2] - self.box[0]) * (self.box[3] - self.box[1])) ** 0.5)


@dataclass(frozen=True, slots=True)
class Scene:
    """The tracked objects of one frame.

    Attributes:
        sightings: One an object.
        source_size: (width, height) of the picture in pixels.
        at: When it was taken.
        ended: Identities whose tracks have ended; they do not come again.
        feet: float64 [2, n], x and y of the foot of each sighting.
    """

    sightings: tuple[Sighting, ...]
    source_size: tuple[int, int]
    at: Moment
    ended: tuple[int, ...] = ()
    feet: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feet", feet_of(self.sightings))

    @classmethod
    def of(
        cls,
        tracked: Detections,
        labels: Sequence[str],
        source_size: tuple[int, int],
        at: Moment,
        births: Mapping[int, Birth],
        ended: tuple[int, ...] = (),
    ) -> Scene:
        """Build from what the tracker gave for a frame; see ``Tracker`` for births and ended."""
        tracks, confidences = tracked.track_id.tolist(), tracked.confidence.tolist()
        boxes = map(tuple, tracked.xyxy.tolist())
        names = [
            labels[class_id] if class_id < len(labels) else str(class_id)
            for class_id in tracked.class_id.tolist()
        ]
        sightings = list(map(Sighting, tracks, names, confidences, boxes, repeat(at)))
        if births:
            sightings = [_with_first(s, births.get(s.track)) for s in sightings]
        return cls(tuple(sightings), source_size, at, ended)

    def of_classes(self, names: Sequence[str]) -> tuple[Sequence[Sighting], NDArray[np.float64]]:
        """The sightings of these labels, all for none, and their feet [2, n]."""
        if not names:
            return self.sightings, self.feet
        index = [n for n, s in enumerate(self.sightings) if s.class_name in names]
        return [self.sightings[n] for n in index], self.feet[:, index]


def feet_of(sightings: Sequence[Sighting]) -> NDArray[np.float64]:
    """Where the objects stand: x and y, float64 [2, n], source pixels."""
    boxes = np.array([s.box for s in sightings], dtype=np.float64).reshape(-1, 4)
    return np.array([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What a rule says: it happened, to whom and when.

    Attributes:
        type: What happened.
        phase: ``begin``, ``update`` and ``end`` of one thing carry the same rule and track.
        rule: Name of the rule.
        sighting: The object, as it was last seen.
        at: When it happened; may lie between two frames.
        data: What the type adds, as JSON values.
    """

    type: EventType
    phase: Phase
    rule: str
    sighting: Sighting
    at: Moment
    data: Mapping[str, Any] = field(default_factory=dict)


def _with_first(sighting: Sighting, birth: Birth | None) -> Sighting:
    if birth is None:
        return sighting
    left, top, right, bottom = birth.xyxy.tolist()
    return sighting._replace(
        first=sighting._replace(
            confidence=birth.confidence,
            box=(left, top, right, bottom),
            at=sighting.at.at(birth.t_s),
        )
    )
