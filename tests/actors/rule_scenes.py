"""Scenes for tests of rules: objects of one size that stand where the test says."""

from __future__ import annotations

import numpy as np

from actors.analytics.rules import Moment, Occurrence, Rule, Scene, Sighting
from actors.analytics.tracking import Birth
from actors.rule_specs import (
    AnyRule,
    CrowdRule,
    LineRule,
    LoiteringRule,
    ObjectRule,
    ParkingRule,
    SpeedRule,
    WrongWayRule,
    ZoneRule,
)
from engines.detections import Detections

SIZE = (1000, 500)
LABELS = ("person", "car", "truck")
WIDTH_PX, HEIGHT_PX = 40, 20

CORNERS = ((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8))
PLANE = tuple(
    {"image": (x, y), "ground_m": (100 * x, 50 * y)} for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))
)
EVERY_KIND: list[AnyRule] = [
    LineRule(name="line", points=((0.5, 0.1), (0.5, 0.9))),
    ZoneRule(name="zone", points=CORNERS, classes=("car",)),
    LoiteringRule(name="stay", points=CORNERS, min_s=1.0, update_s=0.5),
    ParkingRule(name="bay", points=CORNERS, min_s=1.0, update_s=0.5),
    WrongWayRule(name="lane", points=CORNERS, direction=((0.4, 0.5), (0.6, 0.5)), min_s=0.2),
    CrowdRule(name="crowd", points=CORNERS, max_objects=1, min_s=0.5, update_s=0.5),
    SpeedRule.model_validate(
        {"name": "fast", "points": CORNERS, "plane": PLANE, "over_kmh": 40, "window_s": 0.5}
    ),
    ObjectRule.model_validate(
        {"name": "object", "schedule": {"hours": [{"start": "13:46", "end": "13:47"}]}}
    ),
    ObjectRule(name="summary", points=CORNERS, summary=True),
]


def at(t_s: float) -> Moment:
    return Moment(t_s, 1_000_000.0 + t_s, 50.0 + t_s)


def sighting(x: float, y: float, t_s: float, track: int = 1, name: str = "car") -> Sighting:
    box = (x - WIDTH_PX / 2, y - HEIGHT_PX, x + WIDTH_PX / 2, y)
    return Sighting(track, name, 0.9, box, at(t_s))


def scene(
    *sightings: Sighting,
    t_s: float,
    ended: tuple[int, ...] = (),
    size: tuple[int, int] = SIZE,
) -> Scene:
    tracked = Detections.of(
        np.array([s.box for s in sightings]).reshape(-1, 4),
        np.array([s.confidence for s in sightings]),
        np.array([LABELS.index(s.class_name) for s in sightings]),
        np.array([s.track for s in sightings], dtype=np.int64),
    )
    births = {
        s.track: Birth(np.array(s.first.box), s.first.confidence, s.first.at.t_s)
        for s in sightings
        if s.first is not None
    }
    return Scene(tracked, LABELS, size, at(t_s), births, ended)


def follow(rule: Rule, path: list[tuple[float, float]], step_s: float = 0.1) -> list[Occurrence]:
    """What the rule says while one car's foot goes along the path, a step a frame."""
    frames = [
        rule.update(scene(sighting(x, y, n * step_s), t_s=n * step_s))
        for n, (x, y) in enumerate(path)
    ]
    return [occurrence for frame in frames for occurrence in frame]


def words(occurrences: list[Occurrence]) -> list[str]:
    return [str(o.data.get("direction") or o.data.get("reason")) for o in occurrences]
