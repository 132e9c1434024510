"""What the tracker can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Thresholds of the tracker; times in seconds, so that they hold at any frame rate.

    Attributes:
        high_confidence: Detections from here on are sure: they are matched first.
        low_confidence: Detections below are ignored.
        begin_confidence: A detection that belongs to no track begins one from here on.
        min_iou: Least overlap (times confidence) of a sure detection with a predicted box.
        min_iou_low: Least overlap of an unsure detection; higher, as nothing else speaks for it.
        class_penalty: Factor on the overlap where the detection's class is not the track's.
        max_gate: Largest squared Mahalanobis distance of centre and size at which a sure detection
            that overlaps nothing continues a track: 95 % of four degrees of freedom.
        max_gate_s: Tracks that were not seen for longer are not continued in that way.
        min_hits: Observations that confirm a track.
        max_lost_s: A confirmed track that is not seen for longer ends.
        max_tentative_s: The same for a track that is not confirmed.
    """

    high_confidence: float = 0.5
    low_confidence: float = 0.1
    begin_confidence: float = 0.6
    min_iou: float = 0.05
    min_iou_low: float = 0.4
    class_penalty: float = 0.5
    max_gate: float = 9.5
    max_gate_s: float = 1.0
    min_hits: int = 2
    max_lost_s: float = 1.5
    max_tentative_s: float = 0.25
