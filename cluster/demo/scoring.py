"""Were the events right? What was reported against what happened. Pure.

The score is fair to who can only report what a camera sees. A happening that nobody could see well
(the truth marks it ``ignore``, ``world/happenings.py`` says when) counts neither as found nor as
missed, and a report of it is neither right nor wrong; the same holds for a doubt, where it is a
matter of a little more or less. What comes or goes bit by bit may be reported at any time between
the first bit that can be seen and all that can (``world/showing.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking.association import best_assignment
from cluster.demo.world import Truth
from cluster.demo.world.showing import slack_s
from cluster.demo.world.truth import TruthEvent

TOLERANCE_S = 0.6
_SETTLE_S = 1.5
_SEAM_S = 1.0
DOUBT = "doubt"
_NEAR = 1e-6  # what it is worth that a report is near in time: less than an error, however many
_COUNTS = 1e-9  # what it is worth that it counts: as much as to be nearer by a millisecond
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened, or was reported, on the wall clock, seconds since 1970.

    ``direction`` is that of a line crossing, else empty. ``counts`` is False for one that may or
    may not be reported: hidden, at the edge of the time that was watched, or where the film begins
    anew and every object jumps. It may as well be reported so much earlier or later. ``box`` is
    where the object of a report was, in pixels; None where it is of no single object.
    """

    camera: str
    rule: str
    direction: str
    at_s: float
    counts: bool = True
    type: str = "line_cross"
    phase: str = "instant"
    earlier_s: float = 0.0
    later_s: float = 0.0
    box: Box | None = None

    def late_s(self, report: Happening) -> float:
        """How much too late a report of it is, seconds; below 0 where it is too early."""
        off_s = report.at_s - self.at_s
        return off_s - min(max(off_s, -self.earlier_s), self.later_s)

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


@dataclass(frozen=True, slots=True)
class Match:
    """Reports beside what happened.

    Attributes:
        right: What happened and counts, each with its report.
        missed: What happened and counts, and was not reported.
        wrong: What was reported and did not happen.
    """

    right: tuple[tuple[Happening, Happening], ...]
    missed: tuple[Happening, ...]
    wrong: tuple[Happening, ...]

    @property
    def score(self) -> Score:
        """In numbers."""
        num = len(self.right)
        return Score(num + len(self.missed), num + len(self.wrong), num, num)

    def repeated(self, tolerance_s: float = TOLERANCE_S) -> tuple[Happening, ...]:
        """Those of the wrong ones that say again, of the same place, what was reported right."""
        return tuple(
            r
            for r in self.wrong
            if any(
                t.what == r.what and abs(t.late_s(r)) <= tolerance_s and _meet(said.box, r.box)
                for t, said in self.right
            )
        )


def _meet(a: Box | None, b: Box | None) -> bool:
    """Whether two boxes overlap, as those of one object do; True where there is no box."""
    if a is None or b is None:
        return True
    return all(max(a[i], b[i]) < min(a[i + 2], b[i + 2]) for i in (0, 1))


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
    events = [(e, slack_s(e, truth.frames)) for e in truth.events if e.type in types]
    return [
        _happening(camera, e, at, _counts(e.ignore, e.t_s, at, length, watched), slack_s)
        for number in range(max(0, first), last + 1)
        for e, slack_s in events
        for at in (epoch + number * length + e.t_s,)
        if watched[0] <= at <= watched[1]
    ]


def _happening(
    camera: str, event: TruthEvent, at_s: float, counts: bool, slack_s: tuple[float, float]
) -> Happening:
    what = event.rule, event.direction, at_s, counts, event.type, event.phase
    return Happening(camera, *what, *slack_s)


def score_by_type(
    true: Sequence[Happening], reported: Sequence[Happening], tolerance_s: float = TOLERANCE_S
) -> dict[str, Score]:
    """A score for each type that happened or was reported; updates are neither."""
    return {type_: each.score for type_, each in match_by_type(true, reported, tolerance_s).items()}


def match_by_type(
    true: Sequence[Happening], reported: Sequence[Happening], tolerance_s: float = TOLERANCE_S
) -> dict[str, Match]:
    """A match for each type that happened or was reported; updates are neither."""
    return {
        type_: match(
            [each for each in true if each.type == type_],
            [each for each in reported if each.type == type_ and each.phase != "update"],
            tolerance_s,
        )
        for type_ in sorted({each.type for each in (*true, *reported)})
    }


def match(
    true: Sequence[Happening], reported: Iterable[Happening], tolerance_s: float = TOLERANCE_S
) -> Match:
    """Match reports to what happened, each at most once, so that as many as possible are matched.

    A report that fits nothing but a doubt is neither right nor wrong; nor is one of something that
    does not count. Of matches of as many the one is taken that leaves the fewest reports without a
    doubt, then the one that is nearest in time, and then the one of most that counts.
    """
    truths, reports = [t for t in true if t.phase != DOUBT], list(reported)
    doubts = [t for t in true if t.phase == DOUBT]
    may_be_wrong = [r.counts and not _is_doubtful(r, doubts, tolerance_s) for r in reports]
    worth = np.zeros((len(truths), len(reports)))
    for i, t in enumerate(truths):
        for j, r in enumerate(reports):
            if t.what == r.what and abs(t.late_s(r)) <= tolerance_s:
                off_s = abs(t.late_s(r)) + 1e-3 * abs(t.at_s - r.at_s)
                worth[i, j] = 1 + may_be_wrong[j] + _NEAR / (1 + off_s) + _COUNTS * t.counts
    matched = _matched(worth)
    right = [(truths[i], reports[j]) for i, j in matched.items() if truths[i].counts]
    left = set(range(len(reports))) - set(matched.values())
    return Match(
        tuple(right),
        tuple(t for i, t in enumerate(truths) if t.counts and i not in matched),
        tuple(reports[j] for j in sorted(left) if may_be_wrong[j]),
    )


def _is_doubtful(report: Happening, doubts: Sequence[Happening], tolerance_s: float) -> bool:
    return any(
        (report.camera, report.type, report.rule) == (doubt.camera, doubt.type, doubt.rule)
        and abs(report.at_s - doubt.at_s) <= tolerance_s
        for doubt in doubts
    )


def _matched(worth: NDArray[np.float64]) -> dict[int, int]:
    """Row to column, so that the sum of what is worth more than nothing is greatest."""
    rows, cols = best_assignment()(worth, maximize=True)
    pairs = zip(rows.tolist(), cols.tolist(), strict=True)
    return {i: j for i, j in pairs if worth[i, j] > 0}


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
    box = event.get("box")
    place = (box[0], box[1], box[2], box[3]) if isinstance(box, (list, tuple)) else None
    what = str(event["rule"]), direction, at, counts, type_, phase
    return Happening(camera, *what, box=place)
