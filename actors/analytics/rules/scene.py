"""What rules see of a frame, and what they say of it: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Scene:
    """The tracked objects of one frame.

    Attributes:
        sightings: One an object.
        source_size: (width, height) of the picture in pixels.
        at: When it was taken.
        ended: Identities whose tracks have ended; they do not come again.
    """

    sightings: tuple[Sighting, ...]
    source_size: tuple[int, int]
    at: Moment
    ended: tuple[int, ...] = ()

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
        columns = (tracked.track_id, tracked.class_id, tracked.confidence, tracked.xyxy)
        sightings = []
        for track, class_id, confidence, box in zip(*(c.tolist() for c in columns), strict=True):
            name = labels[class_id] if class_id < len(labels) else str(class_id)
            first = _first(births[track], track, name, at) if track in births else None
            sightings.append(Sighting(track, name, confidence, tuple(box), at, first))
        return cls(tuple(sightings), source_size, at, ended)

    def of_classes(self, names: Sequence[str]) -> list[Sighting]:
        """The sightings of these labels; all for none."""
        return [s for s in self.sightings if not names or s.class_name in names]


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


def _first(birth: Birth, track: int, name: str, now: Moment) -> Sighting:
    left, top, right, bottom = birth.xyxy.tolist()
    return Sighting(track, name, birth.confidence, (left, top, right, bottom), now.at(birth.t_s))
