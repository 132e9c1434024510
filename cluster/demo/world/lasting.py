"""Happenings that last: stays in a zone, crowds, speeds, and objects that come and go.

Where it is a matter of a little more or less whether something counts, or an object was not seen
well enough, a doubt is told at every moment at which it may be reported.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cluster.demo.world.geometry import inside
from cluster.demo.world.layout import Zone
from cluster.demo.world.scenario import CLASSES, LORRY, Scenario
from cluster.demo.world.seen import CLEAR_S, Mask, Seen, runs
from cluster.demo.world.showing import TELL_PX
from cluster.demo.world.truth import EventType, Phase, TruthEvent

LORRIES = "lorries"  # the rule that looks for objects of this class
LORRIES_CLASS = CLASSES[LORRY]

_MARGIN_S = 0.5
_MARGIN_KMH = 0.08  # of the limit
_UNSEEN_S = 0.5  # a tracker keeps hold of who is hidden for so long
_SHORT_S = 1.0
_TOUCHES_SIZES = 0.08  # deep in a zone: who is less just touches it, and its box jitters as much
_POPS_S = 0.15  # nobody drives in or out so quickly: the world's road begins or ends there
_DOUBT_S = 0.2  # how close the moments are at which something may be reported
_KMH = 3.6


def stays(scenario: Scenario, seen: Seen, within: Mask, zone: Zone) -> Iterator[TruthEvent]:
    """Tell who stays in a zone for ``min_s``.

    Who stops with its foot on the edge is neither inside nor outside until it moves on.
    """
    deep = seen.is_deep(scenario, zone.polygon, _TOUCHES_SIZES)
    soon = round(_SHORT_S * scenario.fps)
    for first, last in runs(within):
        long_s = (last - first) / scenario.fps
        if not deep[first : min(first + soon, last)].any():
            yield from doubts(scenario, seen, "loitering", zone.name, first, last)
        elif long_s >= zone.min_s - _MARGIN_S:
            sure = long_s >= zone.min_s + _MARGIN_S and _is_followed(scenario, seen, first, last)
            yield from _lasts(scenario, seen, "loitering", zone.name, (first, last), sure)


def excesses(scenario: Scenario, seen: Seen, within: Mask, zone: Zone) -> Iterator[TruthEvent]:
    """Tell who is faster than the limit all the way through a zone."""
    deep = seen.is_deep(scenario, zone.polygon, _TOUCHES_SIZES)
    for first, last in runs(within):
        kmh = _KMH * seen.track.speeds[first:last]
        if kmh.max() < (1 - _MARGIN_KMH) * zone.limit:
            continue
        through = (last - first) / scenario.fps >= _SHORT_S and deep[first:last].any()
        followed = through and _is_followed(scenario, seen, first, last)
        if kmh.min() > (1 + _MARGIN_KMH) * zone.limit and followed:
            yield from _lasts(scenario, seen, "speed", zone.name, (first, last), True)
        else:
            yield from doubts(scenario, seen, "speed", zone.name, first, last)


def comings_and_goings(scenario: Scenario, seen: Seen) -> Iterator[TruthEvent]:
    """Tell when a lorry appears and is gone; while it is not seen well it may do both often.

    Nor is one that is never tall enough to tell it from a car seen well. One that is there in full
    from one moment to the next, or gone, is at an end of the world's roads; that does not count.
    """
    there, shown = (np.nonzero(mask)[0].tolist() for mask in (seen.track.seen, seen.good))
    if seen.track.agent.class_id != LORRY or not there:
        return
    first, last = (shown[0], shown[-1] + 1) if shown else (0, 0)
    tall = seen.track.clipped[:, 3] - seen.track.clipped[:, 1] >= TELL_PX
    short = last - first < _SHORT_S * scenario.fps
    if short or not seen.good[first:last].all() or not (tall & seen.good).any():
        yield from doubts(scenario, seen, "object", LORRIES, there[0], there[-1] + 1)
        return
    pops = _POPS_S * scenario.fps
    before = seen.track.first + first > 0 and first - there[0] > pops
    after = _frame(seen, last) < scenario.num_frames and there[-1] + 1 - last > pops
    yield seen.event(scenario, ("object", "begin", LORRIES), first, ignore=not before)
    yield seen.event(scenario, ("object", "end", LORRIES), last, ignore=not after)
    for dim in ((there[0], first), (last, there[-1] + 1)):
        yield from doubts(scenario, seen, "object", LORRIES, *dim)


def crowds(scenario: Scenario, tracks: list[Seen], zone: Zone) -> Iterator[TruthEvent]:
    """Tell when there are more than ``limit`` objects in a zone for ``min_s``."""
    sure, perhaps = _counts(scenario, tracks, zone)
    for first, last in runs(perhaps > zone.limit):
        long_s = (last - first) / scenario.fps
        reach = round(CLEAR_S * scenario.fps)
        around = slice(max(first - reach, 0), last + reach)
        agree = bool((sure[around] == perhaps[around]).all())
        is_whole = first - reach > 0 and last + reach < scenario.num_frames
        alone = not (perhaps[around][:reach] > zone.limit).any()
        alone = alone and not (perhaps[last : last + reach] > zone.limit).any()
        certain = agree and is_whole and alone and long_s >= zone.min_s + _MARGIN_S
        if certain or long_s >= zone.min_s - _MARGIN_S or not agree or not alone:
            yield from _crowd(scenario, zone, first, last, certain)


def _counts(scenario: Scenario, tracks: list[Seen], zone: Zone) -> tuple[np.ndarray, np.ndarray]:
    """Return how many are in a zone in each frame: well seen, and in the picture at all."""
    size = np.array([scenario.width, scenario.height], dtype=np.float64)
    sure, perhaps = np.zeros((2, scenario.num_frames), dtype=np.int64)
    for seen in tracks:
        anchors = seen.track.anchors() / size
        within = inside(zone.polygon, anchors[:, 0], anchors[:, 1])
        span = slice(seen.track.first, seen.track.first + len(within))
        sure[span] += within & seen.good
        perhaps[span] += within & seen.track.seen
    return sure, perhaps


def _crowd(
    scenario: Scenario, zone: Zone, first: int, last: int, certain: bool
) -> Iterator[TruthEvent]:
    def tell(phase: Phase, frame: int) -> TruthEvent:
        t_s = round(frame / scenario.fps, 3)
        return TruthEvent("overcrowding", phase, zone.name, 0, -1, t_s, "", not certain)

    if certain:
        yield from (tell("begin", first), tell("end", last))
    else:
        margin = round(_SHORT_S * scenario.fps)
        frames = range(max(first - margin, 0), last + margin, _step(scenario))
        yield from (tell("doubt", frame) for frame in frames)


def _lasts(
    scenario: Scenario, seen: Seen, type_: EventType, rule: str, span: tuple[int, int], sure: bool
) -> Iterator[TruthEvent]:
    """Tell begin and end; they count where the object is well seen when it comes and goes."""
    came, left = (seen.is_clear(scenario, at, CLEAR_S, CLEAR_S) for at in span)
    yield seen.event(scenario, (type_, "begin", rule), span[0], ignore=not (sure and came))
    yield seen.event(scenario, (type_, "end", rule), span[1], ignore=not (sure and came and left))


def doubts(
    scenario: Scenario, seen: Seen, type_: EventType, rule: str, first: int, last: int
) -> Iterator[TruthEvent]:
    """Tell that something of this type may be reported at any time between two frames."""
    for at in range(first, last + _step(scenario), _step(scenario)):
        yield seen.event(scenario, (type_, "doubt", rule), at, ignore=True)


def _is_followed(scenario: Scenario, seen: Seen, first: int, last: int) -> bool:
    """Tell whether an object is never out of sight for long."""
    return not any(unseen(scenario, seen, first, last))


def unseen(scenario: Scenario, seen: Seen, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Spans of frames in which an object is out of sight for so long that it may be lost."""
    for a, b in runs(~seen.good[first:last]):
        if b - a > _UNSEEN_S * scenario.fps:
            yield first + a, first + b


def _step(scenario: Scenario) -> int:
    return max(1, int(_DOUBT_S * scenario.fps))


def _frame(seen: Seen, at: int) -> int:
    return seen.track.first + at
