"""Presentation times of a clip, in RTP ticks: taken from a file and repaired where they are odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

TICKS_PER_S = 90_000
MAX_GAP_S = 10.0
"""A longer pause between two pictures, or a step back, is a break in the file and is closed."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The times of one packet in ticks, as the file gives them."""

    pts: int | None
    dts: int | None
    duration: int


def to_ticks(value: int | None, time_base: Fraction) -> int | None:
    """Return ``value`` units of ``time_base`` in RTP ticks, rounded to the nearest."""
    return None if value is None else round(value * time_base * TICKS_PER_S)


def presentation_ticks(
    stamps: Sequence[Stamp], ranks: Sequence[int] | None, frame_ticks: int
) -> list[int]:
    """Return a distinct presentation time for each packet, the first in display order at 0.

    Args:
        stamps: Times of the packets, in decode order.
        ranks: Place of each picture in display order, for files without times; None where the
            decode order is the display order.
        frame_ticks: Distance of two pictures, used where the file says nothing.
    """
    known = [stamp.pts for stamp in stamps if stamp.pts is not None]
    if len(known) < len(stamps):
        places = range(len(stamps)) if ranks is None else ranks
        return [place * frame_ticks for place in places]
    return _distinct(_without_breaks(known, stamps, frame_ticks))


def _without_breaks(pts: list[int], stamps: Sequence[Stamp], frame_ticks: int) -> list[int]:
    dts = [stamp.dts for stamp in stamps if stamp.dts is not None]
    if len(dts) < len(stamps):
        return pts
    max_gap = round(MAX_GAP_S * TICKS_PER_S)
    offset, repaired = 0, []
    for index, (presented, decoded) in enumerate(zip(pts, dts, strict=True)):
        if index and not 0 <= decoded - dts[index - 1] <= max_gap:
            offset += dts[index - 1] + frame_ticks - decoded
        repaired.append(presented + offset)
    return repaired


def _distinct(pts: list[int]) -> list[int]:
    order = sorted(range(len(pts)), key=lambda index: (pts[index], index))
    first = pts[order[0]]
    result, previous = [0] * len(pts), -1
    for index in order:
        previous = max(pts[index] - first, previous + 1)
        result[index] = previous
    return result
