"""Speed: an object is too fast or too slow over the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations, islice
from statistics import median
from typing import Any

import numpy as np

from actors.analytics.events import EventType
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.spells import Spells
from actors.analytics.rules.state import StateReader, StateWriter, table
from actors.ground_plane import facing, homography, to_ground
from actors.rule_specs import SpeedRule

_KMH = 3.6
_SAMPLES = 10  # in a window
_SHORTEST_S = 0.2  # who is through sooner cannot be measured
_BACK = 0.05  # so much of the limit it must be on the right side of it again
_EDGE_PX = 2.0


@dataclass(slots=True)
class _Drive:
    """One object: where on the ground it was in the last window, and how fast it is."""

    places: list[tuple[float, float, float]] = field(default_factory=list)  # t_s, x_m, y_m
    kmh: float | None = None
    extreme_kmh: float = 0.0
    limit_kmh: float = 0.0

    @property
    def span_s(self) -> float:
        return self.places[-1][0] - self.places[0][0] if self.places else 0.0

    def measured_kmh(self) -> float:
        """Along each axis the median over all pairs (Theil and Sen, 1968).

        A box that is wrong once does not matter, and of the others all are used.
        """
        pairs = list(combinations(self.places, 2))
        x_mps = median((q[1] - p[1]) / (q[0] - p[0]) for p, q in pairs)
        y_mps = median((q[2] - p[2]) / (q[0] - p[0]) for p, q in pairs)
        return _KMH * math.hypot(x_mps, y_mps)


class Speed(Presence):
    """Reports who is beyond a limit, from when it was until it is not any more, or has left.

    ``data.speed_kmh`` is the speed, ``data.limit_kmh`` the limit; an end has the highest (of the
    slow the lowest) speed as ``extreme_kmh`` and its ``reason`` besides: ``back``, ``left``,
    ``track_lost``, or why the rule was closed.
    """

    def __init__(self, spec: SpeedRule) -> None:
        super().__init__(spec)
        self._limits = spec
        self._spells = Spells(EventType.SPEED, spec.name, spec.update_s)
        self._drives: dict[int, _Drive] = {}
        image = [(p.image[0] / spec.unit[0], p.image[1] / spec.unit[1]) for p in spec.plane]
        matrix = homography(image, [p.ground_m for p in spec.plane])
        faced = facing(matrix, image)
        self._matrix = np.array(matrix if faced is None else faced)

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences, window_s = super().update(scene), self._limits.window_s
        for visit in self.seen(scene):
            if not visit.side.is_inside:
                if visit.entered is None:
                    self.forget(visit.track)
                continue
            if not self._place(scene, scene.number(visit.track)):
                continue
            drive = self._drives[visit.track]
            if visit.entered is not None and drive.span_s >= 0.999 * window_s:
                before, drive.kmh = drive.kmh, drive.measured_kmh()
                since = visit.entered if before is None else None
                occurrences += self._judge(drive, visit.sighting, since, scene.at)
        return occurrences

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """The end of what was reported; who was through too soon is measured now."""
        sighting = visit.sighting
        drive = self._drives.pop(sighting.track, None)
        if drive is None:
            return []
        occurrences = []
        if drive.kmh is None and reason == "left" and drive.span_s >= _SHORTEST_S:
            drive.kmh = drive.measured_kmh()
            occurrences = self._perhaps_begin(drive, sighting, entered, at)
        return occurrences + self._end_of(drive, sighting, at, reason)

    def forget(self, track: int) -> None:
        """An object does not come again."""
        self._drives.pop(track, None)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        self._spells.save(to)
        drives = self._drives.values()
        to.ints(self._drives)
        to.ints([len(drive.places) for drive in drives])
        to.array(table([place for drive in drives for place in drive.places], 3))
        to.floats([math.nan if drive.kmh is None else drive.kmh for drive in drives])
        to.floats([drive.extreme_kmh for drive in drives])
        to.floats([drive.limit_kmh for drive in drives])

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        self._spells.restore(saved)
        tracks, lengths = saved.ints(), saved.ints()
        left = iter([(t_s, x_m, y_m) for t_s, x_m, y_m in saved.array().tolist()])
        known = [None if math.isnan(kmh) else kmh for kmh in saved.floats()]
        rows = zip(tracks, lengths, known, saved.floats(), saved.floats(), strict=True)
        self._drives = {
            track: _Drive(list(islice(left, length)), kmh, extreme_kmh, limit_kmh)
            for track, length, kmh, extreme_kmh, limit_kmh in rows
        }

    def _place(self, scene: Scene, number: int) -> bool:
        """Take note of where an object is on the ground, if that can be told."""
        drive = self._drives.setdefault(scene.tracks[number], _Drive())
        (width, height), (x, y) = scene.source_size, scene.foot(number)
        left, _, right, bottom = scene.tracked.xyxy[number].tolist()
        ground = to_ground(self._matrix, (x / width, y / height))
        is_cut = min(left, width - right, height - bottom) < _EDGE_PX
        t_s, window_s = scene.at.t_s, self._limits.window_s
        if ground is None or is_cut:
            return False
        if drive.places and t_s - drive.places[-1][0] < 0.9 * window_s / _SAMPLES:
            return False
        drive.places.append((t_s, *ground))
        while len(drive.places) > 2 and drive.places[1][0] <= t_s - window_s:
            drive.places.pop(0)
        return True

    def _judge(
        self, drive: _Drive, sighting: Sighting, entered: Moment | None, at: Moment
    ) -> list[Occurrence]:
        """Take what was measured; the first time it holds from when it ``entered``.

        One measurement may be wrong: who is beyond a limit was so in the one before, too.
        """
        middle = at.at(at.t_s - drive.span_s / 2)
        if sighting.track not in self._spells:
            suspected, drive.limit_kmh = drive.limit_kmh, self._exceeded(drive.kmh)
            if drive.limit_kmh == suspected:
                return self._perhaps_begin(drive, sighting, entered or middle, at)
            drive.kmh = None if entered and drive.limit_kmh else drive.kmh
            return []
        kmh, limit = drive.kmh or 0.0, drive.limit_kmh
        is_over = limit == self._limits.over_kmh
        drive.extreme_kmh = (max if is_over else min)(drive.extreme_kmh, kmh)
        if (kmh < (1 - _BACK) * limit) if is_over else (kmh > (1 + _BACK) * limit):
            return self._end_of(drive, sighting, middle, "back")
        return self._spells.update(sighting, at, _data(drive))

    def _perhaps_begin(
        self, drive: _Drive, sighting: Sighting, began: Moment, at: Moment
    ) -> list[Occurrence]:
        drive.limit_kmh = self._exceeded(drive.kmh)
        if not drive.limit_kmh:
            return []
        drive.extreme_kmh = drive.kmh or 0.0
        return self._spells.begin(sighting, began, at.t_s, _data(drive))

    def _exceeded(self, kmh: float | None) -> float:
        """The limit that a speed is beyond; 0 where it is beyond none."""
        kmh, over, under = kmh or 0.0, self._limits.over_kmh, self._limits.under_kmh
        if over is not None and kmh > over:
            return over
        return under if under is not None and kmh < under else 0.0

    def _end_of(
        self, drive: _Drive, sighting: Sighting, at: Moment, reason: str
    ) -> list[Occurrence]:
        extreme = {"extreme_kmh": round(drive.extreme_kmh, 1), "reason": reason}
        return self._spells.end(sighting, at, {**_data(drive), **extreme})


def _data(drive: _Drive) -> dict[str, Any]:
    return {"speed_kmh": round(drive.kmh or 0.0, 1), "limit_kmh": drive.limit_kmh}
