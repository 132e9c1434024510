"""Who may be on another side of a border than before: few objects of a frame, so only they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from math import dist, inf

from actors.analytics.rules.geometry import Point

_CERTAIN_PX = 0.01  # more than rounding makes of a distance


class Clearance:
    """How far each object of a stream may go from where its distances were last measured.

    As long as it has gone less far than the nearest border was away, it is still on the same side
    of every border, and nothing needs to be measured.
    """

    def __init__(self) -> None:
        self._free: dict[int, tuple[Point, float]] = {}  # from where, and how far

    def near(self, tracks: Sequence[int], feet: Sequence[Point]) -> list[int]:
        """Numbers of the objects that must be measured; from now on they may go anywhere."""
        known = map(self._free.get, tracks, repeat(_UNKNOWN))
        near = [
            number
            for number, (foot, (was, free_px)) in enumerate(zip(feet, known, strict=True))
            if dist(foot, was) >= free_px
        ]
        for number in near:
            self._free[tracks[number]] = feet[number], inf
        return near

    def limit(self, track: int, foot: Point, distance_px: float) -> None:
        """An object stands so far from a border; who was not near is measured again next time."""
        was, free_px = self._free.get(track, _UNKNOWN)
        distance_px -= _CERTAIN_PX
        self._free[track] = foot, 0.0 if foot is not was else min(free_px, distance_px)

    def forget(self, tracks: Iterable[int]) -> None:
        """These do not come again."""
        for track in tracks:
            self._free.pop(track, None)


_UNKNOWN: tuple[Point, float] = (0.0, 0.0), 0.0
