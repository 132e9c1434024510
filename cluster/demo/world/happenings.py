"""The events of a clip, told from the tracks: what the view's lines and zones should report.

An event counts (``ignore`` is False) when a good tracker must see it: the object is in the picture
and at least 40 % visible for half a second before and after, large enough, passes the line once
within two seconds, and stands clear of it (4 px) at both ends of that second. A wrong-way drive
counts when the car is well seen in most of its first second in the lane's zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cluster.demo.world.geometry import Floats, inside
from cluster.demo.world.layout import Line, View, Zone
from cluster.demo.world.scenario import Scenario
from cluster.demo.world.tracks import Track
from cluster.demo.world.traffic import PARKED_S
from cluster.demo.world.truth import EventType, Phase, TruthEvent

CLEAR_S = 0.5
_CLEAR_PX = 4.0
_CLEAR_VISIBLE = 0.4
_ONCE_S = 2.0
_STILL_MPS = 0.05
_MOSTLY = 0.6


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
    good: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @classmethod
    def of(cls, track: Track, route: str, visible: Floats, min_height_px: float) -> Seen:
        """Judge the frames of a track."""
        tall = track.clipped[:, 3] - track.clipped[:, 1] >= min_height_px
        return cls(track, route, visible, track.seen & tall & (visible >= _CLEAR_VISIBLE))


def events(scenario: Scenario, view: View, tracks: list[Seen]) -> tuple[TruthEvent, ...]:
    """Return all events in order of time."""
    found: list[TruthEvent] = []
    size = np.array([scenario.width, scenario.height], dtype=np.float64)
    for seen in tracks:
        anchors = seen.track.anchors() / size
        for line in view.lines:
            found += _crossings(scenario, seen, anchors, line, size)
        for zone in view.zones:
            found += _zone_events(scenario, view, seen, anchors, zone)
    return tuple(sorted(found, key=lambda e: (e.t_s, e.identity, e.rule)))


def line_sides(line: Line, anchors: Floats, size: Floats) -> Floats:
    """Return the signed distance in pixels of anchors ``[F, 2]`` to a line."""
    ax, ay = line.a[0] * size[0], line.a[1] * size[1]
    bx, by = line.b[0] * size[0] - ax, line.b[1] * size[1] - ay
    px, py = anchors[:, 0] * size[0] - ax, anchors[:, 1] * size[1] - ay
    sides: Floats = (bx * py - by * px) / float(np.sqrt(bx * bx + by * by))
    return sides


def _crossings(
    scenario: Scenario, seen: Seen, anchors: Floats, line: Line, size: Floats
) -> Iterator[TruthEvent]:
    sides = line_sides(line, anchors, size)
    both = seen.track.seen[:-1] & seen.track.seen[1:]
    changes = np.nonzero(((sides[:-1] < 0) != (sides[1:] < 0)) & both)[0]
    for i in changes.tolist():
        part = float(sides[i] / (sides[i] - sides[i + 1]))
        point = anchors[i] + part * (anchors[i + 1] - anchors[i])
        if not _within(line, point):
            continue
        once = sum(abs(int(j) - i) <= _ONCE_S * scenario.fps for j in changes) == 1
        clear = _clear(scenario, seen, i + part, CLEAR_S, CLEAR_S) and _apart(scenario, sides, i)
        yield TruthEvent(
            type="line_cross",
            phase="instant",
            rule=line.name,
            identity=seen.track.agent.identity,
            class_id=seen.track.agent.class_id,
            t_s=round((seen.track.first + i + part) / scenario.fps, 3),
            direction="forward" if sides[i] < 0 else "backward",
            ignore=not (once and clear),
        )


def _within(line: Line, point: Floats) -> bool:
    """Tell whether a point on the line lies between its ends."""
    dx, dy = line.b[0] - line.a[0], line.b[1] - line.a[1]
    along = (point[0] - line.a[0]) * dx + (point[1] - line.a[1]) * dy
    return 0.0 <= float(along) <= dx * dx + dy * dy


def _clear(scenario: Scenario, seen: Seen, at: float, before_s: float, after_s: float) -> bool:
    """Tell whether an object is well visible around a frame of its track."""
    first = int(np.floor(at - before_s * scenario.fps))
    last = int(np.ceil(at + after_s * scenario.fps))
    if first < 0 or last >= len(seen.good):
        return False
    return bool(seen.good[first : last + 1].all())


def _apart(scenario: Scenario, sides: Floats, i: int) -> bool:
    reach = max(1, round(CLEAR_S * scenario.fps))
    if i - reach < 0 or i + reach >= len(sides):
        return False
    return abs(float(sides[i - reach])) >= _CLEAR_PX and abs(float(sides[i + reach])) >= _CLEAR_PX


def _zone_events(
    scenario: Scenario, view: View, seen: Seen, anchors: Floats, zone: Zone
) -> Iterator[TruthEvent]:
    within = inside(zone.polygon, anchors[:, 0], anchors[:, 1]) & seen.track.seen
    if not within.any():
        return
    if zone.kind == "presence":
        yield from _visits(scenario, seen, within, zone)
    elif zone.kind == "lane" and seen.route == view.wrong_way:
        first = int(np.argmax(within))
        shown = seen.good[first : first + scenario.fps].mean() >= _MOSTLY
        yield _event(scenario, seen, zone, "wrong_way", "begin", first, lost=not shown)
    elif zone.kind == "no_parking" and seen.track.agent.rest_m > 0:
        yield from _parking(scenario, seen, within, zone)


def _visits(
    scenario: Scenario,
    seen: Seen,
    within: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    zone: Zone,
) -> Iterator[TruthEvent]:
    """Tell entries and exits; one that is inside from its first frame on enters, uncounted."""
    before = np.concatenate([[False], within[:-1]])
    for i in np.nonzero(within != before)[0].tolist():
        kind: EventType = "zone_enter" if within[i] else "zone_exit"
        yield _event(scenario, seen, zone, kind, "instant", i, after_s=CLEAR_S)


def _parking(
    scenario: Scenario,
    seen: Seen,
    within: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    zone: Zone,
) -> Iterator[TruthEvent]:
    still = within & (seen.track.speeds < _STILL_MPS)
    if not still.any():
        return
    first, last = int(np.argmax(still)), int(len(still) - 1 - np.argmax(still[::-1]))
    begin = _event(scenario, seen, zone, "illegal_parking", "begin", first, after_s=PARKED_S)
    yield begin
    if last < len(still) - 1:
        yield _event(scenario, seen, zone, "illegal_parking", "end", last + 1, lost=begin.ignore)


def _event(
    scenario: Scenario,
    seen: Seen,
    zone: Zone,
    type_: EventType,
    phase: Phase,
    at: int,
    *,
    after_s: float = 0.0,
    lost: bool = False,
) -> TruthEvent:
    clear = type_ == "wrong_way" or _clear(scenario, seen, at, CLEAR_S, after_s)
    return TruthEvent(
        type=type_,
        phase=phase,
        rule=zone.name,
        identity=seen.track.agent.identity,
        class_id=seen.track.agent.class_id,
        t_s=round((seen.track.first + at) / scenario.fps, 3),
        ignore=lost or not clear,
    )
