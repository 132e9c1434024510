"""Were the events right? What was reported against what happened. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cluster.demo.world import Truth
from cluster.demo.world.truth import TruthEvent

TOLERANCE_S = 0.6
_SETTLE_S = 1.5
_SEAM_S = 1.0
DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened, or was reported, on the wall clock, seconds since 1970.

    ``direction`` is that of a line crossing, else empty. ``counts`` is False for one that may or
    may not be reported: hidden, at the edge of the time that was watched, or where the film begins
    anew and every object jumps.
    """

    camera: str
    rule: str
    direction: str
    at_s: float
    counts: bool = True
    type: str = "line_cross"
    phase: str = "instant"

    @property
    def what(self) -> tuple[str, ...]:
        """All but when: only reports of the same can be right."""
        return self.camera, self.type, self.phase, self.rule, self.direction


@dataclass(frozen=True, slots=True)
class Score:
    """How much happened, how much was reported, and how much was both."""

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


def true_events(
    camera: str,
    truth: Truth,
    epoch: float,
    watched: tuple[float, float],
    types: Collection[str] = ("line_cross",),
) -> list[Happening]:
    """When the looping film's events of these types happened on the wall clock.

    Args:
        camera: The camera that plays it.
        truth: What happens in one round of the film.
        epoch: Wall clock of its first picture.
        watched: From when to when the stream was watched, wall clock.
        types: Which types.
    """
    length = truth.scenario.num_frames / truth.scenario.fps
    first, last = (int((t - epoch) // length) for t in watched)
    return [
        _happening(camera, e, at, _counts(e.ignore, e.t_s, at, length, watched))
        for number in range(max(0, first), last + 1)
        for e in truth.events
        if e.type in types
        for at in (epoch + number * length + e.t_s,)
        if watched[0] <= at <= watched[1]
    ]


def _happening(camera: str, event: TruthEvent, at_s: float, counts: bool) -> Happening:
    return Happening(camera, event.rule, event.direction, at_s, counts, event.type, event.phase)


def score_by_type(
    true: Sequence[Happening], reported: Sequence[Happening], tolerance_s: float = TOLERANCE_S
) -> dict[str, Score]:
    """A score for each type that happened or was reported; updates are neither."""
    types = sorted({each.type for each in (*true, *reported)})
    return {
        type_: score(
            [each for each in true if each.type == type_],
            [each for each in reported if each.type == type_ and each.phase != "update"],
            tolerance_s,
        )
        for type_ in types
    }


def score(
    true: Sequence[Happening], reported: Iterable[Happening], tolerance_s: float = TOLERANCE_S
) -> Score:
    """Match reports to what happened, nearest in time first, each at most once.

    A report that fits nothing but a doubt is neither right nor wrong.
    """
    truths, reports = [t for t in true if t.phase != DOUBT], list(reported)
    doubts = [t for t in true if t.phase == DOUBT]
    pairs = sorted(
        (abs(t.at_s - r.at_s), i, j)
        for i, t in enumerate(truths)
        for j, r in enumerate(reports)
        if t.what == r.what and abs(t.at_s - r.at_s) <= tolerance_s
    )
    matched = _matched(pairs)
    right = set(matched.values())
    kept = [
        j for j, r in enumerate(reports) if j in right or not _is_doubtful(r, doubts, tolerance_s)
    ]
    place = {j: n for n, j in enumerate(kept)}
    return _count(truths, [reports[j] for j in kept], {i: place[j] for i, j in matched.items()})


def _is_doubtful(report: Happening, doubts: Sequence[Happening], tolerance_s: float) -> bool:
    return any(
        (report.camera, report.type, report.rule) == (doubt.camera, doubt.type, doubt.rule)
        and abs(report.at_s - doubt.at_s) <= tolerance_s
        for doubt in doubts
    )


def _matched(pairs: Sequence[tuple[float, int, int]]) -> dict[int, int]:
    by_truth: dict[int, int] = {}
    used: set[int] = set()
    for _, i, j in pairs:
        if i not in by_truth and j not in used:
            by_truth[i] = j
            used.add(j)
    return by_truth


def _count(
    truths: Sequence[Happening], reports: Sequence[Happening], matched: dict[int, int]
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


def _counts(
    ignore: bool, t_s: float, at: float, length: float, watched: tuple[float, float]
) -> bool:
    inside = watched[0] + _SETTLE_S <= at <= watched[1] - _SETTLE_S
    return inside and not ignore and _SEAM_S <= t_s <= length - _SEAM_S


def reported_event(
    camera: str, event: dict[str, object], truth: Truth, epoch: float, watched: tuple[float, float]
) -> Happening:
    """An event of the API as what was reported; ``counts`` as for what happened."""
    at = float(str(event["ts"])) / 1e3
    length = truth.scenario.num_frames / truth.scenario.fps
    data = event.get("data")
    direction = str(data.get("direction", "")) if isinstance(data, dict) else ""
    type_, phase = str(event.get("type", "line_cross")), str(event.get("phase", "instant"))
    counts = _counts(False, (at - epoch) % length, at, length, watched)
    return Happening(camera, str(event["rule"]), direction, at, counts, type_, phase)
