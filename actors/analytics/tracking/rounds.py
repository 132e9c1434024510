"""The rounds of matching: likeness of tracks and detections, and who belongs to whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import boxes, kalman
from actors.analytics.tracking.association import (
    Matching,
    beside,
    directions,
    meeting_of,
    overlaps,
)
from actors.analytics.tracking.config import MAX_GATE, Likeness, Round, Stage, TrackerConfig
from actors.analytics.tracking.found import CONFIDENCE, Found
from actors.analytics.tracking.leaving import is_another, reach_of
from actors.analytics.tracking.pairing import pairs, passing
from actors.analytics.tracking.steadying import (
    KEPT_OVERLAP,
    common_shifts,
    is_cut,
    may_be_cuts,
    middles,
)
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
_Boxes = tuple[Indices, Indices, kalman.Floats, kalman.Floats, kalman.Floats]
"""Pairs that overlap, box of the track and of the detection, and how much they overlap."""

_TURN_S = 0.15  # a shift that came in so much time is taken for speed by half
_MANY_PAIRS = 1500  # from here on it is faster to leave out most that are not beside each other
_NONE = np.array(0)
_MUCH = 0.05  # of the size of an object: less changes no overlap that matters


class Rounds:
    """Shares the detections of some pictures out among the tracks.

    Args:
        tracks: As they are predicted.
        found: Detections.
        t_s: Time of each picture, seconds.
        passed_s: Since the picture before of the same stream.
        config: Which rounds, and what is sure.
        borders: Of each picture its edges, [4, pictures]; None if none is known.

    Attributes:
        matching: Who belongs to whom so far.
        num_tentative: Tracks that are not confirmed yet.
    """

    def __init__(
        self,
        tracks: Tracks,
        found: Found,
        t_s: kalman.Floats,
        passed_s: Sequence[float],
        config: TrackerConfig,
        borders: kalman.Floats | None,
    ) -> None:
        self.matching = Matching(tracks.picture, len(found))
        self._tracks, self._found, self._config = tracks, found, config
        self._t_s, self._passed_s = t_s, passed_s
        self._borders = borders
        is_mixed = found.least < config.high_confidence
        num_sure = len(self._is_sure().nonzero()[0]) if is_mixed else len(found)
        self._num_left = [len(found) - num_sure, num_sure]
        self.num_tentative = len(tracks) - len(tracks.table[IDENTITY].nonzero()[0])
        self._shifts: kalman.Floats | None = None

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
                taken = self._hold(each)
            self._num_left[each.sure] -= taken
        if self._shifts is not None:
            self._move(self._shifts)
        if self._num_left[True]:
            self._cut()

    def _look(self) -> None:
        """Note where the tracks should be, and how deep who leaves may still reach."""
        tracks, borders = self._tracks, self._borders
        self._ahead = boxes.of_centres(tracks.state[kalman.POSITION])
        self._ahead[boxes.MORE] = tracks.table[TRAIL]
        self._reach = None
        if borders is not None:
            borders = borders if tracks.num_pictures == 1 else borders.take(tracks.picture, axis=1)
            self._reach = reach_of(self._ahead, tracks.state[kalman.VELOCITY], borders)
        self._met: _Boxes | None = None
        self._alike: dict[tuple[bool, float], _Pairs] = {}

    def _hold(self, round_: Round) -> int:
        """Match in one round; how many were matched."""
        rows, cols = self._matchable_rows(round_), self._matchable_cols(round_)
        if round_.likeness is Likeness.SHAPE or round_.likeness is Likeness.OVERLAP:
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
        if not len(left):
            return 0
        worth = likeness.take(left) - (least - 1e-6)
        most = self._num_left[round_.sure]
        return self.matching.add(i.take(left), j.take(left), worth, most)

    def _matchable_rows(self, round_: Round) -> list[Mask]:
        """Masks that a track must pass."""
        masks = [self.matching.col_of < _NONE] if self.matching.num_pairs else []
        if round_.stage is not Stage.ALL and self.num_tentative:
            is_confirmed = round_.stage is Stage.CONFIRMED
            masks.append((self._tracks.table[IDENTITY] != TENTATIVE) == is_confirmed)
        if round_.max_age_s < np.inf:
            age_s = self._tracks.of_each(self._t_s) - self._tracks.table[SEEN_S]
            masks.append(age_s <= round_.max_age_s)
        return masks

    def _matchable_cols(self, round_: Round) -> list[Mask]:
        """Masks that a detection must pass."""
        masks = [self.matching.row_of < _NONE] if self.matching.num_pairs else []
        if self._num_left[not round_.sure]:
            is_sure = self._is_sure()
            masks.append(is_sure if round_.sure else ~is_sure)
        return masks

    def _is_sure(self) -> Mask:
        return self._found.confidence >= self._config.high_confidence

    def _of_overlap(self, round_: Round) -> _Pairs:
        """All pairs that overlap; rounds that compare alike share them."""
        key = round_.likeness is Likeness.SHAPE, round_.direction
        if key not in self._alike:
            self._alike[key] = self._compared(*key)
        return self._alike[key]

    def _compared(self, is_shape: bool, direction: float) -> _Pairs:
        i, j, mine, theirs, both = self._met = self._met or self._meet()
        likeness = both[0] * np.sqrt(both[1]) if is_shape else both[0].copy()
        if direction:
            centre = boxes.CENTRE
            cosine = directions(mine[boxes.MORE], mine[centre], theirs[centre])
            cosine *= direction
            if not is_shape:
                cosine *= theirs[CONFIDENCE]
            likeness += cosine
        if is_shape:
            likeness *= theirs[CONFIDENCE]
        return i, j, self._of_class(i, j, likeness)

    def _meet(self) -> _Boxes:
        """Pairs whose predicted and found boxes overlap."""
        tracks, found, edges = self._tracks, self._found, self._ahead[boxes.EDGES]
        if len(tracks) * len(found) > _MANY_PAIRS * tracks.num_pictures:
            i, j = beside(edges, found.table[boxes.EDGES], tracks.picture, found.picture)
        else:
            i, j = pairs(tracks.picture, found.picture, tracks.num_pictures)
        i, j, common = meeting_of(edges, found.table[boxes.EDGES], i, j)
        theirs = found.table.take(j, axis=1)
        own = self._own(i, theirs)
        if own is not None:
            i, j, common = i.take(own), j.take(own), common.take(own, axis=1)
            theirs = theirs.take(own, axis=1)
        mine = self._ahead.take(i, axis=1)
        return i, j, mine, theirs, overlaps(mine, theirs, common)

    def _own(self, i: Indices, theirs: kalman.Floats) -> Indices | None:
        """Which pairs are not of one who leaves and another one; None for all."""
        if self._reach is None:
            return None
        other = is_another(self._reach.take(i, axis=1), theirs)
        return None if other is None else (~other).nonzero()[0]

    def _left(self, rows: list[Mask], cols: list[Mask]) -> tuple[Indices, Indices]:
        """All pairs of some tracks and some detections, of the same picture."""
        tracks, found = self._tracks, self._found
        some_rows, some_cols = passing(rows, len(tracks)), passing(cols, len(found))
        of_rows, of_cols = tracks.picture[some_rows], found.picture[some_cols]
        i, j = pairs(of_rows, of_cols, tracks.num_pictures)
        return some_rows[i], some_cols[j]

    def _of_left(self, round_: Round, i: Indices, j: Indices) -> _Pairs:
        tracks, found = self._tracks, self._found
        own = self._own(i, found.table.take(j, axis=1))
        if own is not None:
            i, j = i.take(own), j.take(own)
        if round_.likeness is Likeness.LAST_BOX:
            last = boxes.of_corners(tracks.table[LAST_XYXY])
            i, j, common = meeting_of(last[boxes.EDGES], found.table[boxes.EDGES], i, j)
            mine, theirs = last.take(i, axis=1), found.table.take(j, axis=1)
            return i, j, self._of_class(i, j, overlaps(mine, theirs, common)[0])
        there = found.table[boxes.BOXES].take(j, axis=1)
        distance = kalman.squared_distance(tracks.state.take(i, axis=2), there)
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
        if not len(rows):
            return False
        residuals = self._found.table[boxes.CENTRE].take(cols, axis=1)
        residuals -= self._ahead[boxes.CENTRE].take(rows, axis=1)
        counts = tracks.counts(rows)
        shifts = common_shifts(residuals, counts)
        if not any(map(any, shifts)):
            return False
        squared = np.array([(x * x + y * y) / _MUCH**2 for x, y in shifts])
        is_much = squared >= middles(self._ahead[boxes.AREA].take(rows), counts)
        self._shifts = np.array(shifts).T
        if is_much.any():
            self._move(self._shifts * is_much)
            self._shifts[:, is_much] = 0
            self._look()
        return bool(is_much.any())

    def _move(self, shifts: kalman.Floats) -> None:
        self._tracks.shift(shifts, 1 / (np.array(self._passed_s) + _TURN_S))

    def _cut(self) -> None:
        """Let all tracks end in pictures that are of another scene than the ones before."""
        is_sure, picture = self._is_sure(), self._found.picture
        new = is_sure & (self.matching.row_of < _NONE)
        num = self._tracks.num_pictures
        num_new = np.bincount(picture[new], minlength=num)
        num_sure = np.bincount(picture[is_sure], minlength=num)
        for number in may_be_cuts(num_new, num_sure, np.array(self._passed_s)).tolist():
            if is_cut(*self._seen_and_kept(number)):
                self.matching.part(self._tracks.picture == number, picture == number)
                self._tracks.expire(number)

    def _seen_and_kept(self, number: int) -> tuple[int, int]:
        """Tracks of a picture that were there in the one before, and those that still are."""
        tracks, found = self._tracks, self._found
        before_s = self._t_s[number] - 1.01 * self._passed_s[number]
        seen = (tracks.picture == number) & (tracks.table[SEEN_S] >= before_s)
        seen &= tracks.table[IDENTITY] != TENTATIVE
        rows, cols = self.matching.pairs()
        own = seen[rows].nonzero()[0]
        rows, cols = rows[own], cols[own]
        ahead = boxes.of_centres(tracks.state[kalman.POSITION])
        i, j, common = meeting_of(ahead[boxes.EDGES], found.table[boxes.EDGES], rows, cols)
        overlap = overlaps(ahead.take(i, axis=1), found.table.take(j, axis=1), common)[0]
        return int(np.count_nonzero(seen)), int(np.count_nonzero(overlap >= KEPT_OVERLAP))
