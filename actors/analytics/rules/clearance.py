"""Who may be on another side of a border than before: few objects of a frame, so only they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from math import inf

import numpy as np
from numpy.typing import NDArray

from actors.analytics.rules.geometry import Point

_CERTAIN_PX = 0.01  # more than rounding makes of a distance
_NOBODY = 0  # the column of an object that was never measured
_NUM_FIRST = 32


class Clearance:
    """How far each object of a stream may go from where its distances were last measured.

    As long as it has gone less far than the nearest border was away, it is still on the same side
    of every border, and nothing needs to be measured. A table, so that the objects of several
    streams are asked for in one go.
    """

    def __init__(self) -> None:
        self._table = np.zeros((3, _NUM_FIRST))  # a column an object: from where, how far squared
        self._columns: dict[int, int] = {}
        self._unused = list(range(_NUM_FIRST - 1, _NOBODY, -1))
        # Of who is measured in this frame, and is not in the table yet.
        self._feet: dict[int, Point] = {}
        self._free_px: dict[int, float] = {}

    @staticmethod
    def near(
        streams: Sequence[Clearance],
        tracks: Sequence[Sequence[int]],
        feet: NDArray[np.float64],
    ) -> list[dict[int, Point]]:
        """Numbers and feet of the objects that must be measured; they may go anywhere from now on.

        Args:
            streams: One clearance for each of some streams.
            tracks: Identities of the objects of one frame of each.
            feet: Where they stand, those of all streams one after the other, [2, n].
        """
        columns: list[int] = []
        for stream, own in zip(streams, tracks, strict=True):
            if stream._free_px:
                stream._keep()
            columns += map(stream._columns.get, own, repeat(_NOBODY))
        counts, widths = list(map(len, tracks)), [stream._table.shape[1] for stream in streams]
        places = np.array(columns, dtype=np.intp) + _before(widths).repeat(counts)
        known = np.concatenate([stream._table for stream in streams], axis=1).take(places, axis=1)
        gone = feet - known[:2]
        gone *= gone
        some = (gone[0] + gone[1] >= known[2]).nonzero()[0]
        near: list[dict[int, Point]] = [{} for _ in streams]
        before = _before(counts)
        pictures = before.searchsorted(some, side="right") - 1
        numbers, there = some - before.take(pictures), feet.take(some, axis=1).T
        for n, number, (x, y) in zip(
            pictures.tolist(), numbers.tolist(), there.tolist(), strict=True
        ):
            stream, track = streams[n], tracks[n][number]
            near[n][number] = stream._feet[track] = x, y
            stream._free_px[track] = inf
        return near

    def limit(self, track: int, distance_px: float) -> None:
        """An object stands so far from a border; who was not near is measured again next time."""
        self._free_px[track] = min(self._free_px.get(track, 0.0), distance_px)

    def forget(self, tracks: Iterable[int]) -> None:
        """These do not come again."""
        for track in tracks:
            column = self._columns.pop(track, None)
            if column is not None:
                self._unused.append(column)

    def clear(self) -> None:
        """All must be measured again."""
        self.forget(list(self._columns))
        self._feet.clear()
        self._free_px.clear()

    def _keep(self) -> None:
        for track, distance_px in self._free_px.items():
            (x, y), free_px = self._feet.get(track, _ANYWHERE), max(0.0, distance_px - _CERTAIN_PX)
            column = self._columns.get(track) or self._take(track)
            self._table[:, column] = x, y, free_px * free_px
        self._feet.clear()
        self._free_px.clear()

    def _take(self, track: int) -> int:
        if not self._unused:
            num = self._table.shape[1]
            self._table = np.pad(self._table, ((0, 0), (0, num)))
            self._unused = list(range(2 * num - 1, num - 1, -1))
        self._columns[track] = column = self._unused.pop()
        return column


def _before(counts: Sequence[int]) -> NDArray[np.intp]:
    """How many there are before each."""
    return np.array([0, *counts[:-1]], dtype=np.intp).cumsum()


_ANYWHERE: Point = (0.0, 0.0)
