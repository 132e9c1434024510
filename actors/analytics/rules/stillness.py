"""Whether an object stands still, told apart from a box that jitters or is half hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

import numpy as np

from actors.analytics.events import Box
from actors.analytics.rules.halts import started_s, stopped_s
from actors.analytics.rules.scene import Moment
from actors.analytics.rules.state import StateReader, StateWriter, table

_SAMPLE_S = 0.15
_REACH_SIZES = 1.0  # what an object did farther away says little of when it stopped
_SETTLE_S = 4.0  # so long it must stand until it rests
_STOPS_S = 4.0  # nobody takes longer for the last length of itself
_LEAVES_S = 0.8  # so long it must be away until it has left, unless it is far away
_STARTS_S = 4.0  # nobody takes longer from rest to certainly away
_LEAST_PX = 0.25


def shift_px(a: Box, b: Box) -> float:
    """How far an object has moved from one box to another, at least.

    Something that hides a part of it, or a box that breathes, moves one of two opposite sides or
    both apart; only what moves both the same way has moved. One that comes straight at the camera
    or goes away from it moves all four outwards or inwards.
    """
    left, top, right, bottom = (q - p for p, q in zip(a, b, strict=True))
    along = math.hypot(_common(left, right), _common(top, bottom))
    return max(along, min(left, top, -right, -bottom), min(-left, -top, right, bottom))


def _common(p: float, q: float) -> float:
    return 0.0 if p * q <= 0 else min(p, q, key=abs)


def _rounded(box: Box) -> Box:
    left, top, right, bottom = (round(v, 2) for v in box)
    return left, top, right, bottom


def _size_px(box: Box) -> float:
    return float(max((box[2] - box[0]) * (box[3] - box[1]), 1.0) ** 0.5)


@dataclass(slots=True)
class Stillness:
    """One object; show it each box.

    Attributes:
        tolerance_sizes: How far from its place it still stands, in sizes of its box.
        settle_s: How long it must stand until it rests, seconds.
        since: When it came to rest; None while it does not rest.
    """

    tolerance_sizes: float
    settle_s: float = _SETTLE_S
    since: Moment | None = None
    _samples: list[tuple[Moment, Box]] = field(default_factory=list)  # of the last seconds
    _place: Box = (0.0, 0.0, 0.0, 0.0)
    _noise_px: float = _LEAST_PX
    _moved: Moment | None = None  # first sighting that was not noise
    _away: Moment | None = None  # first sighting out of tolerance

    @classmethod
    def within(cls, tolerance_sizes: float, min_s: float) -> Stillness:
        """For a rule that wants to know it after ``min_s``."""
        return cls(tolerance_sizes, min(_SETTLE_S, min_s))

    def observe(self, box: Box, at: Moment) -> Moment | None:
        """Take a box.

        Returns:
            When the object started to move, once it is certain that it does not rest any more.
        """
        is_new = not self._samples or at.t_s - self._samples[-1][0].t_s >= _SAMPLE_S
        if self.since is None:
            if is_new:
                self._approach(box, at)
            return None
        if is_new:
            self._keep(box, at, _STARTS_S)
        self._watch(box, at)
        if self._away is None or self._is_near(box, at):
            return None
        started = self.started()
        self.since, self._samples = None, [(at, _rounded(box))]
        return started

    @property
    def is_away(self) -> bool:
        """Whether it was last seen out of its place, though it may come back."""
        return self._away is not None

    def started(self) -> Moment | None:
        """When it started to move; None if it has not, or does not rest."""
        if self.since is None or self._moved is None:
            return None
        t_s = started_s([at.t_s for at, _ in self._samples], [box for _, box in self._samples])
        return self._moved.at(max(t_s, self.since.t_s))

    def _keep(self, box: Box, at: Moment, last_s: float) -> None:
        """Keep what was seen in the last seconds and at most a length of itself away."""
        reach_px = _REACH_SIZES * _size_px(box)
        self._samples = [
            each
            for each in self._samples
            if each[0].t_s >= at.t_s - last_s and shift_px(each[1], box) <= reach_px
        ]
        self._samples.append((at, _rounded(box)))

    def _approach(self, box: Box, at: Moment) -> None:
        """Keep what is seen, until it is all in one place for long enough."""
        self._keep(box, at, self.settle_s + _STOPS_S)
        settled_s = at.t_s - self.settle_s
        if self._samples[0][0].t_s > settled_s:
            return
        boxes = [box for moment, box in self._samples if moment.t_s >= settled_s]
        late = [b for moment, b in self._samples if moment.t_s >= at.t_s - self.settle_s / 2]
        place = _middle(late)
        if max(shift_px(place, each) for each in boxes) <= self.tolerance_sizes * _size_px(place):
            self._settle(place, max(shift_px(place, each) for each in late), at)

    def _settle(self, place: Box, jitter_px: float, at: Moment) -> None:
        t_s = stopped_s([at.t_s for at, _ in self._samples], [box for _, box in self._samples])
        self.since, self._place = at.at(t_s), place
        self._noise_px = max(_LEAST_PX, 1.5 * jitter_px)
        self._samples, self._moved, self._away = [], None, None

    def _watch(self, box: Box, at: Moment) -> None:
        shift = shift_px(self._place, box)
        if shift <= self._noise_px:
            self._moved = self._away = None
            return
        self._moved = self._moved or at
        if shift <= self.tolerance_sizes * _size_px(self._place):
            self._away = None
        else:
            self._away = self._away or at

    def _is_near(self, box: Box, at: Moment) -> bool:
        """Whether it may come back: not far away, and not for long."""
        if self._away is None or shift_px(self._place, box) >= _size_px(self._place):
            return False
        return at.t_s - self._away.t_s < _LEAVES_S


def _middle(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = (median(side) for side in zip(*boxes, strict=True))
    return left, top, right, bottom


def save_stillnesses(objects: Sequence[Stillness], to: StateWriter) -> None:
    """Write down what is known of some objects.

    Boxes are steps of hundredths of a pixel: who stands has the same over and over.
    """
    to.moments([each.since for each in objects])
    to.array(table([each._place for each in objects], 4))
    to.floats([each._noise_px for each in objects])
    to.moments([each._moved for each in objects])
    to.moments([each._away for each in objects])
    to.ints([len(each._samples) for each in objects])
    to.moments([at for each in objects for at, _ in each._samples])
    boxes = [box for each in objects for _, box in each._samples]
    hundredths = np.rint(table(boxes, 4) * 100).astype(np.int32)
    to.array(np.diff(hundredths, axis=0, prepend=np.zeros((1, 4), np.int32)))


def restore_stillnesses(objects: Sequence[Stillness], saved: StateReader) -> None:
    """Let as many objects go on from what ``save_stillnesses`` wrote."""
    since, places, noise_px = saved.moments(), saved.array().tolist(), saved.floats()
    moved, away, lengths, at = saved.moments(), saved.moments(), saved.ints(), saved.moments()
    boxes = (saved.array().cumsum(axis=0) / 100).tolist()
    samples = iter([(when, (a, b, c, d)) for when, (a, b, c, d) in zip(at, boxes, strict=True)])
    known = zip(since, places, noise_px, moved, away, lengths, strict=True)
    for each, (rest, (a, b, c, d), noise, first, out, num) in zip(objects, known, strict=True):
        each.since, each._place, each._noise_px = rest, (a, b, c, d), noise
        each._moved, each._away, each._samples = first, out, list(islice(samples, num))
