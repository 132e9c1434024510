"""Were the events right? Line crossings that were reported against those that happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.demo.world import Truth

TOLERANCE_S = 0.6
_SETTLE_S = 1.5
_SEAM_S = 1.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """A line crossing on the wall clock, seconds since 1970.

    ``counts`` is False for one that may or may not be reported: hidden, at the edge of the time
    that was watched, or where the film begins anew and every object jumps.
    """

    camera: str
    rule: str
    direction: str
    at_s: float
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """Crossings that happened, that were reported, and that were both."""

    num_true: int
    num_reported: int
    num_found: int
    num_right: int

    @property
    def recall(self) -> float:
        """Share of what happened that was reported; 1 where nothing happened."""
        return self.num_found / self.num_true if self.num_true else 1.0

    @property
    def precision(self) -> float:
        """Share of what was reported that happened; 1 where nothing was reported."""
        return self.num_right / self.num_reported if self.num_reported else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.num_true + other.num_true,
            self.num_reported + other.num_reported,
            self.num_found + other.num_found,
            self.num_right + other.num_right,
        )


def true_crossings(
    camera: str, truth: Truth, epoch: float, watched: tuple[float, float]
) -> list[Crossing]:
    """When the looping film's crossings happened on the wall clock.

    Args:
        camera: The camera that plays it.
        truth: What happens in one round of the film.
        epoch: Wall clock of its first picture.
        watched: From when to when the stream was watched, wall clock.
    """
    length = truth.scenario.num_frames / truth.scenario.fps
    first, last = (int((t - epoch) // length) for t in watched)
    return [
        Crossing(camera, e.rule, e.direction, at, _counts(e.ignore, e.t_s, at, length, watched))
        for number in range(max(0, first), last + 1)
        for e in truth.events
        if e.type == "line_cross"
        for at in (epoch + number * length + e.t_s,)
        if watched[0] <= at <= watched[1]
    ]


def score(true: Iterable[Crossing], reported: Iterable[Crossing]) -> Score:
    """Match reports to what happened, nearest in time first, each at most once."""
    truths, reports = list(true), list(reported)
    pairs = sorted(
        (abs(t.at_s - r.at_s), i, j)
        for i, t in enumerate(truths)
        for j, r in enumerate(reports)
        if _same_line(t, r) and abs(t.at_s - r.at_s) <= TOLERANCE_S
    )
    return _count(truths, reports, _matched(pairs))


def _matched(pairs: Sequence[tuple[float, int, int]]) -> dict[int, int]:
    by_truth: dict[int, int] = {}
    used: set[int] = set()
    for _, i, j in pairs:
        if i not in by_truth and j not in used:
            by_truth[i] = j
            used.add(j)
    return by_truth


def _count(
    truths: Sequence[Crossing], reports: Sequence[Crossing], matched: dict[int, int]
) -> Score:
    """A report of something that does not count is neither right nor wrong."""
    excused = {j for i, j in matched.items() if not truths[i].counts}
    right = {j for i, j in matched.items() if truths[i].counts}
    counted = [j for j, r in enumerate(reports) if j not in excused and (r.counts or j in right)]
    return Score(
        num_true=sum(t.counts for t in truths),
        num_reported=len(counted),
        num_found=len(right),
        num_right=len(right),
    )


def _same_line(a: Crossing, b: Crossing) -> bool:
    return (a.camera, a.rule, a.direction) == (b.camera, b.rule, b.direction)


def _counts(
    ignore: bool, t_s: float, at: float, length: float, watched: tuple[float, float]
) -> bool:
    inside = watched[0] + _SETTLE_S <= at <= watched[1] - _SETTLE_S
    return inside and not ignore and _SEAM_S <= t_s <= length - _SEAM_S


def reported_crossing(
    camera: str, event: dict[str, object], truth: Truth, epoch: float, watched: tuple[float, float]
) -> Crossing:
    """A ``line_cross`` event of the API as a crossing; ``counts`` as for what happened."""
    at = float(str(event["ts"])) / 1e3
    length = truth.scenario.num_frames / truth.scenario.fps
    data = event.get("data")
    direction = str(data.get("direction")) if isinstance(data, dict) else ""
    counts = _counts(False, (at - epoch) % length, at, length, watched)
    return Crossing(camera, str(event["rule"]), direction, at, counts)
