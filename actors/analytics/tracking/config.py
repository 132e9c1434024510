"""What a tracker can be told: thresholds, and the rounds in which it looks for its objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum


class Likeness(Enum):
    """What makes a detection like a track.

    Attributes:
        OVERLAP: Intersection over union of the detection and the predicted box.
        SHAPE: The same, times the root of the overlap of their heights alone (Yang et al.,
            "Hybrid-SORT", 2024), times the confidence: people behind each other differ in height.
        LAST_BOX: Intersection over union of the detection and the box that was seen last.
        MOTION: How far the Mahalanobis distance of centre and size stays below a gate.
        LOOKS: Cosine of the embeddings, where motion does not speak against it (Wojke et al.,
            "Simple online and realtime tracking with a deep association metric", 2017).
    """

    OVERLAP = "overlap"
    SHAPE = "shape"
    LAST_BOX = "last_box"
    MOTION = "motion"
    LOOKS = "looks"


class Stage(Enum):
    """Which tracks take part in a round."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Round:
    """One round of matching; it shares out what those before it have left.

    Attributes:
        likeness: What is compared.
        least: Least likeness; for ``MOTION`` the largest squared Mahalanobis distance.
        stage: Which tracks take part.
        sure: Whether sure detections take part, else the unsure ones.
        max_age_s: Tracks that were not seen for longer take no part.
        direction: What it adds to an overlap where the object goes straight on, and takes away
            where it turns back, times the confidence (Cao et al., "OC-SORT", 2023).
        steadies: What all that are matched in it do at once is taken for the camera's motion (see
            ``steadying``), and where that is much, it is held once more. For the first round.
    """

    likeness: Likeness
    least: float
    stage: Stage = Stage.ALL
    sure: bool = True
    max_age_s: float = math.inf
    direction: float = 0.0
    steadies: bool = False


MAX_GATE = 9.5
"""Squared Mahalanobis distance: 95 % of four degrees of freedom."""

BYTE_ROUNDS = (
    Round(Likeness.SHAPE, 0.07, Stage.CONFIRMED, direction=0.1, steadies=True),
    Round(Likeness.OVERLAP, 0.5, Stage.CONFIRMED, sure=False),
    Round(Likeness.SHAPE, 0.07, Stage.TENTATIVE, direction=0.1),
    Round(Likeness.MOTION, MAX_GATE, max_age_s=1.0),
)


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """What makes a kind of tracker; times in seconds, so that they hold at any frame rate.

    Attributes:
        rounds: How detections are shared out among tracks.
        high_confidence: Detections from here on are sure.
        low_confidence: Detections below are ignored.
        begin_confidence: A detection that belongs to no track begins one from here on.
        class_penalty: Factor on the likeness where the detection's class is not the track's.
        min_hits: Observations that confirm a track.
        max_lost_s: A confirmed track that is not seen for longer ends.
        max_tentative_s: The same for a track that is not confirmed.
        straight_s: A track that is found after it was hidden for longer takes the speed of the
            straight way from where it was seen last ("OC-SORT": re-update).
        wants_looks: Whether it compares embeddings.
    """

    rounds: tuple[Round, ...] = BYTE_ROUNDS
    high_confidence: float = 0.5
    low_confidence: float = 0.1
    begin_confidence: float = 0.6
    class_penalty: float = 0.5
    min_hits: int = 2
    max_lost_s: float = 1.5
    max_tentative_s: float = 0.25
    straight_s: float = math.inf
    wants_looks: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what is asked of each frame."""
        wants_looks = any(each.likeness is Likeness.LOOKS for each in self.rounds)
        object.__setattr__(self, "wants_looks", wants_looks)


BYTETRACK = TrackerConfig(class_penalty=0.35)
"""The default; trackers that share a configuration are updated together."""
