"""The events of a clip, told from the tracks: what the view's lines and zones should report.

An event counts (``ignore`` is False) when a good tracker must see it: the object is in the picture
and at least 40 % visible for half a second before and after, large enough, passes the line once
within two seconds, and stands clear of it (4 px) at both ends of that second. A wrong-way drive
counts when the car is well seen in most of its first second in the lane's zone. Neither it nor a
visit counts where the object just touches the zone: its foot must come 4 px and 15 % of the
object's size deep, three times by what a good detector's boxes are off. Of a parked car that is not
well seen when it comes to rest nothing counts. While it is hidden it may be lost and found again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cluster.demo.world.geometry import Floats, inside
from cluster.demo.world.lasting import comings_and_goings, crowds, doubts, excesses, stays, unseen
from cluster.demo.world.layout import Line, View, Zone
from cluster.demo.world.scenario import Scenario
from cluster.demo.world.seen import CLEAR_PX, CLEAR_S, Mask, Seen, runs
from cluster.demo.world.traffic import PARKED_S
from cluster.demo.world.truth import EventType, Phase, TruthEvent

What = tuple[EventType, Phase, str]
_ENTER: tuple[EventType, Phase] = ("zone_enter", "begin")
_EXIT: tuple[EventType, Phase] = ("zone_exit", "end")

_CLEAR_SIZES = 0.15
_ONCE_S = 2.0
_STILL_MPS = 0.05
_MOSTLY = 0.6
_LEAST_S = 0.4


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
        found += comings_and_goings(scenario, seen)
    for zone in view.zones:
        if zone.kind == "crowd":
            found += crowds(scenario, tracks, zone)
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
        clear = seen.is_clear(scenario, i + part, CLEAR_S, CLEAR_S) and _apart(scenario, sides, i)
        what: What = ("line_cross", "instant", line.name)
        direction = "forward" if sides[i] < 0 else "backward"
        yield seen.event(scenario, what, i + part, ignore=not (once and clear), direction=direction)


def _within(line: Line, point: Floats) -> bool:
    """Tell whether a point on the line lies between its ends."""
    dx, dy = line.b[0] - line.a[0], line.b[1] - line.a[1]
    along = (point[0] - line.a[0]) * dx + (point[1] - line.a[1]) * dy
    return 0.0 <= float(along) <= dx * dx + dy * dy


def _apart(scenario: Scenario, sides: Floats, i: int) -> bool:
    reach = max(1, round(CLEAR_S * scenario.fps))
    if i - reach < 0 or i + reach >= len(sides):
        return False
    return abs(float(sides[i - reach])) >= CLEAR_PX and abs(float(sides[i + reach])) >= CLEAR_PX


def _zone_events(
    scenario: Scenario, view: View, seen: Seen, anchors: Floats, zone: Zone
) -> Iterator[TruthEvent]:
    within = inside(zone.polygon, anchors[:, 0], anchors[:, 1]) & seen.track.seen
    if not within.any():
        return
    if zone.kind == "presence":
        yield from _visits(scenario, seen, within, zone)
    elif zone.kind == "lane" and seen.route == view.wrong_way:
        yield from _wrong_way(scenario, seen, within, zone)
    elif zone.kind == "no_parking" and seen.track.agent.rest_m > 0:
        yield from _parking(scenario, seen, within, zone)
    elif zone.kind == "dwell":
        yield from stays(scenario, seen, within, zone)
    elif zone.kind == "speed":
        yield from excesses(scenario, seen, within, zone)


def _visits(scenario: Scenario, seen: Seen, within: Mask, zone: Zone) -> Iterator[TruthEvent]:
    """Tell entries and exits; one that is inside from its first frame on enters, uncounted."""
    deep = seen.is_deep(scenario, zone.polygon, _CLEAR_SIZES)
    for first, last in runs(within):
        for at, kind in ((first, _ENTER), (last, _EXIT)):
            if at < len(within):
                clear = deep[first:last].any() and seen.is_clear(scenario, at, CLEAR_S, CLEAR_S)
                yield seen.event(scenario, (*kind, zone.name), at, ignore=not clear)


def _wrong_way(scenario: Scenario, seen: Seen, within: Mask, zone: Zone) -> Iterator[TruthEvent]:
    first, last = int(np.argmax(within)), int(len(within) - np.argmax(within[::-1]))
    shown = bool(seen.good[first : first + scenario.fps].mean() >= _MOSTLY)
    shown = shown and last - first >= _LEAST_S * scenario.fps
    deep = seen.is_deep(scenario, zone.polygon, _CLEAR_SIZES)
    shown = shown and bool((deep & within).any())
    yield seen.event(scenario, ("wrong_way", "begin", zone.name), first, ignore=not shown)
    clear = shown and seen.is_clear(scenario, last, CLEAR_S, CLEAR_S)
    yield seen.event(scenario, ("wrong_way", "end", zone.name), last, ignore=not clear)


def _parking(scenario: Scenario, seen: Seen, within: Mask, zone: Zone) -> Iterator[TruthEvent]:
    still = within & (seen.track.speeds < _STILL_MPS)
    if not still.any():
        return
    first, last = int(np.argmax(still)), int(len(still) - 1 - np.argmax(still[::-1]))
    clear = seen.is_clear(scenario, first, CLEAR_S, PARKED_S)
    if not clear:
        before = np.nonzero(seen.good[:first])[0]
        hidden = int(before[-1]) if len(before) else 0
        yield from doubts(scenario, seen, "illegal_parking", zone.name, hidden, last + 1)
    for span in unseen(scenario, seen, first, last + 1):
        yield from doubts(scenario, seen, "illegal_parking", zone.name, *span)
    yield seen.event(scenario, ("illegal_parking", "begin", zone.name), first, ignore=not clear)
    if last < len(still) - 1:
        clear = clear and seen.is_clear(scenario, last + 1, CLEAR_S, 0.0)
        what: What = ("illegal_parking", "end", zone.name)
        yield seen.event(scenario, what, last + 1, ignore=not clear)
