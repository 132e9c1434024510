"""The whole comparison: tracks, scores, cost, and which promises hold."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Several
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cluster.bench.tracking.contestants import Contestant, Tracked, others, ours
from cluster.bench.tracking.cost import NUM_OBJECTS, measure_cost
from cluster.bench.tracking.scores import ALL, Score, check_can_score, mean, score
from cluster.bench.tracking.sequences import Sequence, read_sequence, read_sets

DROPS = (0, 2, 3)
MAX_COST_US = 150.0
DEFAULT = "bytetrack"
END_TO_END = "end to end"
END_TO_END_LEAST = {"hota": 49.8, "mota": 65.2, "idf1": 64.8}
"""What ByteTrack of the package ``trackers`` 2.6.1 reaches on the same boxes."""

_END_TO_END_SEQUENCE = ("MOT15", "PETS09-S2L1")

Scores = dict[str, dict[str, Score]]
"""By tracker, then by sequence."""


@dataclass(frozen=True, slots=True)
class TrackingPlan:
    """What is compared.

    Attributes:
        data: Folder of sets.
        end_to_end: Boxes that a detector of ours found on PETS09-S2L1, or None.
        drops: Each so manieth frame is dropped, for each choice of the first; 0 drops none.
    """

    data: Path
    end_to_end: Path | None = None
    drops: tuple[int, ...] = DROPS


def measure_tracking(plan: TrackingPlan, report: Callable[[str], object]) -> dict[str, Any]:
    """Track all sequences with all trackers, and score them.

    Raises:
        ClusterError: if TrackEval is not installed, or the data cannot be read.
    """
    check_can_score()
    sets = read_sets(plan.data)
    if plan.end_to_end is not None:
        folder = plan.data.joinpath(*_END_TO_END_SEQUENCE)
        sets[END_TO_END] = [read_sequence(folder, plan.end_to_end)]
    contestants = ours() + others()
    report(f"comparing {', '.join(each.name for each in contestants)}")
    cost_us = measure_cost(contestants)
    found: dict[tuple[str, int], Scores] = {}
    for name, sequences in sets.items():
        for drop in plan.drops:
            report(f"{name}, {dropped(drop)}")
            found[name, drop] = _compare(name, sequences, drop, contestants)
    claims = check_claims(found, cost_us, [each.name for each in contestants if not each.is_ours])
    return {
        "rows": [row for key, scores in found.items() for row in _rows(*key, scores)],
        "cost_us": cost_us,
        "claims": claims,
        "holds": all(claim["holds"] for claim in claims),
    }


def dropped(drop: int) -> str:
    """For people: which frames are dropped."""
    return {0: "all frames", 2: "every second frame dropped", 3: "every third frame dropped"}.get(
        drop, f"every {drop}th frame dropped"
    )


def track(
    contestant: Contestant, sequence: Sequence, drop: int, first: int | None = None
) -> list[Tracked]:
    """What a tracker makes of the frames of a sequence that are kept."""
    follow = contestant.begin()
    return [follow(sequence.frames[n], n / sequence.fps) for n in sequence.kept(drop, first)]


def _compare(
    name: str, sequences: Several[Sequence], drop: int, contestants: Several[Contestant]
) -> Scores:
    """Mean scores over each choice of the first frame that is dropped.

    One choice alone is luck: between the two halves of MOT15 the HOTA of a tracker differs by up
    to two points.
    """
    benchmark = _END_TO_END_SEQUENCE[0] if name == END_TO_END else name
    found = []
    for first in range(max(drop, 1)):
        tracks = {
            each.name: {one.name: track(each, one, drop, first) for one in sequences}
            for each in contestants
        }
        found.append(score(benchmark, sequences, partial(_kept, drop, first), tracks))
    return {
        tracker: {sequence: mean([each[tracker][sequence] for each in found]) for sequence in own}
        for tracker, own in found[0].items()
    }


def _kept(drop: int, first: int, sequence: Sequence) -> list[int]:
    return sequence.kept(drop, first)


def _rows(name: str, drop: int, scores: Scores) -> list[dict[str, Any]]:
    return [
        {"set": name, "drop": drop, "tracker": tracker, "sequence": sequence, **asdict(one)}
        for tracker, by_sequence in scores.items()
        for sequence, one in by_sequence.items()
    ]


def check_claims(
    found: dict[tuple[str, int], Scores], cost_us: dict[str, float], rivals: Several[str]
) -> list[dict[str, Any]]:
    """What is promised of the default tracker, what was found, and whether it holds."""
    claims = [
        _claim(f"{name}: median us a frame of {NUM_OBJECTS} objects", each_us, "<=", MAX_COST_US)
        for name, each_us in cost_us.items()
        if name.startswith(DEFAULT)
    ]
    for (name, drop), scores in found.items():
        own = asdict(scores[DEFAULT][ALL])
        if name == END_TO_END and not drop:
            for figure, least in END_TO_END_LEAST.items():
                claims.append(_claim(f"{name}: {figure}", own[figure], ">=", least))
        if name == END_TO_END or not rivals:
            continue
        for figure in ("hota", "idf1"):
            best = max(rivals, key=lambda each: asdict(scores[each][ALL])[figure])
            theirs = asdict(scores[best][ALL])[figure]
            claims.append(_claim(f"{name}, {dropped(drop)}: {figure}", own[figure], ">=", theirs))
            if drop and (name, 0) in found:
                losses = _losses(found[name, 0], scores, figure, (DEFAULT, *rivals))
                for each in rivals:
                    text = f"{name}, {dropped(drop)}: points of {figure} lost, against {each}"
                    claims.append(_loss_claim(text, losses[DEFAULT], losses[each]))
    return claims


def _losses(full: Scores, thin: Scores, figure: str, trackers: Several[str]) -> dict[str, float]:
    return {
        each: asdict(full[each][ALL])[figure] - asdict(thin[each][ALL])[figure] for each in trackers
    }


def _loss_claim(text: str, own: float, theirs: float) -> dict[str, Any]:
    """Who loses no more; fewer points below zero are a gain, and no loss."""
    own, theirs = round(own, 1), round(theirs, 1)
    holds = max(own, 0.0) <= max(theirs, 0.0)
    return {"text": text, "found": f"{own:+.1f}, theirs {theirs:+.1f}", "holds": holds}


def _claim(text: str, own: float, relation: str, limit: float) -> dict[str, Any]:
    own, limit = round(own, 1), round(limit, 1)
    holds = own <= limit if relation == "<=" else own >= limit
    return {"text": text, "found": f"{own} {relation} {limit}", "holds": holds}
