"""The kinds of trackers that a stream may choose. A kind is its rounds; all measure in seconds."""

from __future__ import annotations

from actors.analytics.tracking.config import (
    BYTETRACK,
    MAX_GATE,
    Likeness,
    Round,
    Stage,
    TrackerConfig,
)
from actors.analytics.tracking.tracker import Tracker

CONFIGS = {
    "bytetrack": BYTETRACK,
    "sort": TrackerConfig(
        rounds=(Round(Likeness.OVERLAP, 0.3),), low_confidence=0.5, begin_confidence=0.5, min_hits=3
    ),
    "ocsort": TrackerConfig(
        rounds=(
            Round(Likeness.OVERLAP, 0.2, direction=0.1),
            Round(Likeness.LAST_BOX, 0.3),
        ),
        low_confidence=0.5,
        min_hits=3,
        straight_s=0.2,
    ),
    "deepsort": TrackerConfig(
        rounds=(
            Round(Likeness.LOOKS, 0.6, Stage.CONFIRMED),
            Round(Likeness.OVERLAP, 0.3, Stage.CONFIRMED),
            Round(Likeness.OVERLAP, 0.3, Stage.TENTATIVE),
            Round(Likeness.MOTION, MAX_GATE, max_age_s=1.0),
        ),
        low_confidence=0.5,
        min_hits=3,
        max_lost_s=3.0,
    ),
}


def make_tracker(kind: str = "bytetrack", size: tuple[int, int] | None = None) -> Tracker:
    """A tracker of a kind, without tracks; see there for ``size``.

    Raises:
        ValueError: if there is no such kind.
    """
    return Tracker(config_of(kind), size)


def config_of(kind: str) -> TrackerConfig:
    """What makes a kind.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind not in CONFIGS:
        raise ValueError(f"there is no tracker {kind!r}: choose one of {', '.join(CONFIGS)}")
    return CONFIGS[kind]
