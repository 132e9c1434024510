"""What rules see of a frame, and what they say of it: values only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.events import Box, EventType, Phase
from actors.analytics.rules.clearance import Clearance
from actors.analytics.rules.conditions import Known
from actors.analytics.rules.geometry import Point
from actors.analytics.tracking import Birth
from engines.detections import Detections

_NO_FEET: Mapping[int, Point] = {}


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One moment on three clocks, all in seconds; in a session motion time puts them in order.

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


@dataclass(frozen=True, slots=True)
class Sighting:
    """One tracked object in one frame.

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


@dataclass(slots=True, eq=False)
class Scene:
    """The tracked objects of one frame; what is made of one is made of those of note only.

    Attributes:
        tracked: The objects.
        labels: Class names, in class order.
        source_size: (width, height) of the picture in pixels.
        at: When it was taken.
        births: First observations of the tracks that were confirmed in this frame.
        ended: Identities whose tracks have ended; they do not come again.
        clearance: How far objects may go.
        known: What secondary models have settled on of an object.
        tracks: Identity of each object.
        present: The same, as a set.
        near: Numbers of the objects that may be on another side of a border than before; all,
            unless ``narrow`` has looked.
    """

    tracked: Detections
    labels: Sequence[str]
    source_size: tuple[int, int]
    at: Moment
    births: Mapping[int, Birth] = field(default_factory=dict)
    ended: tuple[int, ...] = ()
    clearance: Clearance = field(default_factory=Clearance)
    known: Known = lambda _track, _name: ()
    tracks: list[int] = field(init=False)
    present: frozenset[int] = field(init=False)
    near: Collection[int] = field(init=False)
    _feet: Mapping[int, Point] = field(init=False)
    _sightings: dict[int, Sighting] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.tracks = self.tracked.track_id.tolist()
        self.present = frozenset(self.tracks)
        self.near, self._feet = range(len(self.tracks)), _NO_FEET

    @staticmethod
    def narrow(scenes: Sequence[Scene]) -> None:
        """Look who is near in scenes of different streams, in one go."""
        boxes = np.concatenate([scene.tracked.xyxy for scene in scenes], dtype=np.float64)
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])
        clearances, tracks = [s.clearance for s in scenes], [s.tracks for s in scenes]
        for scene, near in zip(scenes, Clearance.near(clearances, tracks, feet), strict=True):
            scene.near = scene._feet = near

    def measure_all(self) -> None:
        """Somebody has just begun to look: all are to be measured, now and when they come again."""
        self.near = range(len(self.tracks))
        self.clearance.clear()

    def foot(self, number: int) -> Point:
        """Where an object stands: x and y of the bottom centre of its box."""
        foot = self._feet.get(number)
        if foot is None:
            left, _, right, bottom = self.tracked.xyxy[number].tolist()
            foot = (left + right) / 2, bottom
        return foot

    def number(self, track: int) -> int:
        """Which of the objects an identity is."""
        return self.tracks.index(track)

    def sighting(self, number: int) -> Sighting:
        """One of the objects by its number, from 0; the same one for all that ask."""
        if number not in self._sightings:
            self._sightings[number] = self._see(number)
        return self._sightings[number]

    def _see(self, number: int) -> Sighting:
        tracked, track = self.tracked, self.tracks[number]
        name, birth = self.class_name(number), self.births.get(track)
        first = None
        if birth is not None:
            at = self.at.at(birth.t_s)
            first = Sighting(track, name, birth.confidence, _box(birth.xyxy), at)
        confidence = float(tracked.confidence[number])
        return Sighting(track, name, confidence, _box(tracked.xyxy[number]), self.at, first)

    def class_name(self, number: int) -> str:
        """Label of one of the objects by its number, from 0."""
        return self._name(int(self.tracked.class_id[number]))

    def _name(self, class_id: int) -> str:
        return self.labels[class_id] if class_id < len(self.labels) else str(class_id)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What a rule says: it happened, to whom and when.

    Attributes:
        type: What happened.
        phase: ``begin``, ``update`` and ``end`` of one thing carry the same rule and track.
        rule: Name of the rule.
        sighting: The object, as it was last seen; None where it is of no single object.
        at: When it happened; may lie between two frames.
        data: What the type adds, as JSON values.
    """

    type: EventType
    phase: Phase
    rule: str
    sighting: Sighting | None
    at: Moment
    data: Mapping[str, Any] = field(default_factory=dict)


def _box(xyxy: NDArray[np.floating]) -> Box:
    left, top, right, bottom = xyxy.tolist()
    return left, top, right, bottom
