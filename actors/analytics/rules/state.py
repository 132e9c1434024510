"""Rule state as JSON values, so that a stream can go on in another process.

What is only shown in events keeps the digits that events have.
"""

from __future__ import annotations

from typing import Any

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.side import Side


def moment_state(moment: Moment | None) -> list[float] | None:
    """A moment as its three clocks."""
    return None if moment is None else [moment.t_s, moment.ts, moment.pts_s]


def moment_of(values: list[float] | None) -> Moment | None:
    """What ``moment_state`` gave."""
    return None if values is None else Moment(*values)


def side_state(side: Side) -> list[Any]:
    """A side as its values in their order."""
    at = moment_state(side.at)
    return [side.settled, side.rest, moment_state(side.since), side.distance_px, at]


def side_of(values: list[Any]) -> Side:
    """What ``side_state`` gave."""
    settled, rest, since, distance_px, at = values
    return Side(settled, rest, moment_of(since), distance_px, moment_of(at))


def sighting_state(sighting: Sighting) -> list[Any]:
    """A sighting, without its first one: that was used when it came."""
    box = [round(v, 1) for v in sighting.box]
    confidence = round(sighting.confidence, 4)
    return [sighting.track, sighting.class_name, confidence, box, moment_state(sighting.at)]


def sighting_of(values: list[Any]) -> Sighting:
    """What ``sighting_state`` gave."""
    track, class_name, confidence, (left, top, right, bottom), at = values
    return Sighting(track, class_name, confidence, (left, top, right, bottom), Moment(*at))
