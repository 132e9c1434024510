"""The rounds of matching: likeness of tracks and detections, and who belongs to whom."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from actors.analytics.tracking.association import (
    Matching,
    directions,
    meeting,
    meeting_of,
    overlaps,
)
from actors.analytics.tracking.config import MAX_GATE, Likeness, Round, Stage, TrackerConfig
from actors.analytics.tracking.found import Found
from actors.analytics.tracking.leaving import is_another, reach_of
from actors.analytics.tracking.pairing import pairs
from actors.analytics.tracking.steadying import KEPT_OVERLAP, common_shift, is_cut, may_be_cuts
from actors.analytics.tracking.tracks import (
    CLASS_ID,
    IDENTITY,
    LAST_XYXY,
    SEEN_S,
    TENTATIVE,
    TRAIL,
    Tracks,
)

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
_Pairs = tuple[Indices, Indices, kalman.Floats]
_Overlaps = tuple[Indices, Indices, kalman.Floats, kalman.Floats]

_TURN_S = 0.15  # a shift that came in so much time is taken for speed by half
_MUCH = 0.05  # of the size of an object: less changes no overlap that matters


class Rounds:
    """Shares the detections of some pictures out among the tracks.

    Args:
        tracks: As they are predicted.
        found: Detections.
        t_s: Time of each picture, seconds.
        passed_s: Since the picture before of the same stream.
        config: Which rounds, and what is sure.
        borders: Of each picture its edges, [4, pictures].

    Attributes:
        matching: Who belongs to whom so far.
        num_tentative: Tracks that are not confirmed yet.
    """

    def __init__(
        self,
        tracks: Tracks,
        found: Found,
        t_s: kalman.Floats,
        passed_s: kalman.Floats,
        config: TrackerConfig,
        borders: kalman.Floats,
    ) -> None:
        self.matching = Matching(tracks.picture, len(found))
        self._tracks, self._found, self._config = tracks, found, config
        self._t_s, self._passed_s = t_s, passed_s
        self._borders = borders
        self._sure = found.confidence >= config.high_confidence
        num_sure = np.count_nonzero(self._sure)
        self._num_left = [len(found) - num_sure, num_sure]
        self.num_tentative = len(tracks) - np.count_nonzero(tracks.table[IDENTITY])
        self._overlaps: _Overlaps | None = None
        self._shifts: kalman.Floats | None = None
        self._alike: dict[tuple[Likeness, float], _Pairs] = {}

    def play(self) -> None:
        """Hold all rounds; where the scene is another one, nobody goes on."""
        if not len(self._tracks):
            return
        self._look()
        for each in self._config.rounds:
            if not self._num_left[each.sure]:
                continue
            if each.stage is Stage.TENTATIVE and not self.num_tentative:
                continue
            taken = self._hold(each)
            if each.steadies and self._steady():
                self.matching.undo()
                self._num_left[each.sure] += taken
                taken = self._hold(each)
            self._num_left[each.sure] -= taken
        if self._shifts is not None:
            self._move(self._shifts)
        if self._num_left[True]:
            self._cut()

    def _look(self) -> None:
        """Note where the tracks should be, and how deep who leaves may still reach."""
        tracks, borders = self._tracks, self._borders
        if tracks.num_pictures > 1:
            borders = borders.take(tracks.picture, axis=1)
        self._edges = kalman.to_edges(tracks.state[kalman.POSITION])
        self._reach = reach_of(tracks.state, self._edges, borders)

    def _hold(self, round_: Round) -> int:
        """Match in one round; how many were matched."""
        rows, cols = self._matchable_rows(round_), self._matchable_cols(round_)
        if round_.likeness in (Likeness.OVERLAP, Likeness.SHAPE):
            i, j, likeness = self._of_overlap(round_)
            least = round_.least
            good = likeness >= least
            for mask in rows:
                good &= mask.take(i)
            for mask in cols:
                good &= mask.take(j)
        else:
            i, j, likeness = self._of_left(round_, *self._left(rows, cols))
            least = 0.0 if round_.likeness is Likeness.MOTION else round_.least
            good = likeness >= least
        left = good.nonzero()[0]
        if self._reach is not None and len(left):
            another = is_another(self._reach, self._found.edges, i.take(left), j.take(left))
            left = left[~another]
        return self.matching.add(i.take(left), j.take(left), likeness.take(left) - (least - 1e-6))

    def _matchable_rows(self, round_: Round) -> list[Mask]:
        """Masks that a track must pass."""
        masks = [self.matching.is_free()] if self.matching.num_pairs else []
        if round_.stage is not Stage.ALL and self.num_tentative:
            is_confirmed = round_.stage is Stage.CONFIRMED
            masks.append((self._tracks.table[IDENTITY] != TENTATIVE) == is_confirmed)
        if round_.max_age_s < np.inf:
            age_s = self._tracks.of_each(self._t_s) - self._tracks.table[SEEN_S]
            masks.append(age_s <= round_.max_age_s)
        return masks

    def _matchable_cols(self, round_: Round) -> list[Mask]:
        """Masks that a detection must pass."""
        masks = [self.matching.row_of < 0] if self.matching.num_pairs else []
        if self._num_left[not round_.sure]:
            masks.append(self._sure if round_.sure else ~self._sure)
        return masks

    def _of_overlap(self, round_: Round) -> _Pairs:
        """All pairs that overlap; rounds that compare alike share them."""
        key = round_.likeness, round_.direction
        if key not in self._alike:
            self._alike[key] = self._compared(round_)
        return self._alike[key]

    def _compared(self, round_: Round) -> _Pairs:
        tracks, found = self._tracks, self._found
        i, j, likeness, height = self._all_overlaps()
        is_shape = round_.likeness is Likeness.SHAPE
        if is_shape:
            likeness = likeness * np.sqrt(height)
        if round_.direction:
            trail, ahead = tracks.table[TRAIL], tracks.state[kalman.POSITION, :2]
            cosine = directions(trail, ahead, found.boxes[:2], i, j)
            cosine *= round_.direction
            if not is_shape:
                cosine *= found.confidence.take(j)
            likeness = likeness + cosine
        if is_shape:
            likeness *= found.confidence.take(j)
        return i, j, self._of_class(i, j, likeness)

    def _all_overlaps(self) -> _Overlaps:
        """Pairs whose predicted and found boxes overlap; see ``overlaps``."""
        if self._overlaps is None:
            tracks, found = self._tracks, self._found
            edges = self._edges
            if tracks.num_pictures == 1:
                met = meeting(edges, found.edges)
            else:
                i, j = pairs(tracks.picture, found.picture, tracks.num_pictures)
                met = meeting_of(edges, found.edges, i, j)
            overlap, height = overlaps(tracks.state[kalman.POSITION, 2:], found.boxes[2:], met)
            self._overlaps = met[0], met[1], overlap, height
        return self._overlaps

    def _left(self, rows: list[Mask], cols: list[Mask]) -> tuple[Indices, Indices]:
        """All pairs of some tracks and some detections, of the same picture."""
        tracks, found = self._tracks, self._found
        some_rows, some_cols = _passing(rows, len(tracks)), _passing(cols, len(found))
        of_rows, of_cols = tracks.picture[some_rows], found.picture[some_cols]
        i, j = pairs(of_rows, of_cols, tracks.num_pictures)
        return some_rows[i], some_cols[j]

    def _of_left(self, round_: Round, i: Indices, j: Indices) -> _Pairs:
        tracks, found = self._tracks, self._found
        if round_.likeness is Likeness.LAST_BOX:
            last = tracks.table[LAST_XYXY]
            met = meeting_of(kalman.negated(last), found.edges, i, j)
            overlap, _ = overlaps(last[2:] - last[:2], found.boxes[2:], met)
            return met[0], met[1], self._of_class(met[0], met[1], overlap)
        distance = kalman.squared_distance(
            tracks.state.take(i, axis=2), found.boxes.take(j, axis=1)
        )
        if round_.likeness is Likeness.LOOKS:
            near = (distance <= MAX_GATE).nonzero()[0]
            i, j = i[near], j[near]
            cosine = (tracks.looks[:, i] * found.looks[:, j]).sum(axis=0, dtype=np.float64)
            return i, j, cosine
        same = (tracks.table[CLASS_ID, i] == found.class_id[j]).nonzero()[0]
        return i[same], j[same], round_.least - distance[same]

    def _of_class(self, i: Indices, j: Indices, likeness: kalman.Floats) -> kalman.Floats:
        if not self._tracks.has_classes:
            return likeness
        other = self._tracks.table[CLASS_ID].take(i) != self._found.class_id.take(j)
        if np.count_nonzero(other):
            likeness = np.where(other, self._config.class_penalty * likeness, likeness)
        return likeness

    def _steady(self) -> bool:
        """Take what all matched objects do at once for the camera's motion; whether it was much.

        Who belongs to whom is asked again only where it was; else tracks are moved when all rounds
        are over.
        """
        tracks, (rows, cols) = self._tracks, self.matching.pairs()
        residuals = self._found.boxes[:2].take(cols, axis=1)
        residuals -= tracks.state[kalman.POSITION, :2].take(rows, axis=1)
        spans = list(pairwise(tracks.ends(self._found.picture[cols])))
        shifts = [common_shift(residuals[:, a:b]) for a, b in spans]
        if not any(x or y for x, y in shifts):
            return False
        squared = [(x * x + y * y) / _MUCH**2 for x, y in shifts]
        is_much = np.array(
            [
                bool(each) and each >= tracks.middle_area(rows[a:b])
                for each, (a, b) in zip(squared, spans, strict=True)
            ]
        )
        self._shifts = np.array(shifts).T
        if is_much.any():
            self._move(self._shifts * is_much)
            self._shifts[:, is_much] = 0
            self._overlaps, self._alike = None, {}
            self._look()
        return bool(is_much.any())

    def _move(self, shifts: kalman.Floats) -> None:
        self._tracks.shift(shifts, 1 / (self._passed_s + _TURN_S))

    def _cut(self) -> None:
        """Let all tracks end in pictures that are of another scene than the ones before."""
        new, picture = self._sure & (self.matching.row_of < 0), self._found.picture
        num = self._tracks.num_pictures
        num_new = np.bincount(picture[new], minlength=num)
        num_sure = np.bincount(picture[self._sure], minlength=num)
        for number in may_be_cuts(num_new, num_sure, self._passed_s).tolist():
            if is_cut(*self._seen_and_kept(number)):
                self.matching.part(picture == number)
                self._tracks.expire(number)

    def _seen_and_kept(self, number: int) -> tuple[int, int]:
        """Tracks of a picture that were there in the one before, and those that still are."""
        tracks, found = self._tracks, self._found
        before_s = self._t_s[number] - 1.01 * self._passed_s[number]
        seen = (tracks.picture == number) & (tracks.table[SEEN_S] >= before_s)
        seen &= tracks.table[IDENTITY] != TENTATIVE
        rows, cols = self.matching.pairs()
        own = seen[rows].nonzero()[0]
        edges = kalman.to_edges(tracks.state[kalman.POSITION])
        met = meeting_of(edges, found.edges, rows[own], cols[own])
        overlap, _ = overlaps(tracks.state[kalman.POSITION, 2:], found.boxes[2:], met)
        return int(np.count_nonzero(seen)), int(np.count_nonzero(overlap >= KEPT_OVERLAP))


def _passing(masks: list[Mask], num: int) -> Indices:
    """Which of so many things pass all masks."""
    if not masks:
        return np.arange(num)
    passing = masks[0].copy()
    for mask in masks[1:]:
        passing &= mask
    some: Indices = passing.nonzero()[0]
    return some
