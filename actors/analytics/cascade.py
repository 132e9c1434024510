"""Which tracks secondary models look at, and what their readings settle on. Pure.

For each frame ``due`` says whose crops are worth a look; what the models read of them comes back to
``answered``, or ``missed`` where it was not done. An answer votes; when enough votes agree the
value is settled and told as a ``Verdict``, and again should a later look change it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.crop_budget import CropBudget
from actors.analytics.secondaries import Secondary
from actors.analytics.votes import Ballot, Leader
from engines.detections import Detections
from engines.readings import Readings

PENDING_S = 2.0
"""A look that is not answered by then was lost on its way."""


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """Crops that one secondary should get.

    Attributes:
        secondary: Name of the secondary.
        rows: int64, rows of the frame's tracks, the most wanted first.
    """

    secondary: str
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is now known of a track.

    Attributes:
        track: Its identity.
        secondary: Name of the secondary that read it.
        head: Which property: a head of the model, ``label`` of a classifier, ``text``.
        leader: The value, how sure it is and how many votes it had.
        previous: The values that were settled on before; None the first time.
    """

    track: int
    secondary: str
    head: str
    leader: Leader
    previous: tuple[str, ...] | None = None


@dataclass(slots=True)
class _Looks:
    """How often one secondary has looked at one track."""

    num: int = 0
    last_s: float = 0.0
    is_pending: bool = False
    size_px: float = 0.0  # of the largest crop that was answered
    asked_px: float = 0.0  # of the one that is under way


@dataclass(slots=True)
class _Track:
    """All that is known of one track, by name of the secondary."""

    looks: dict[str, _Looks] = field(default_factory=dict)
    ballots: dict[str, dict[str, Ballot]] = field(default_factory=dict)
    settled: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One frame, measured.

    Attributes:
        tracks: Its detections with their tracks.
        least_px: [n], the smaller of width and height.
        size_px: n roots of areas: one number for how large a box is.
        at_s: When it was taken.
    """

    tracks: Detections
    least_px: NDArray[np.float32]
    size_px: list[float]
    at_s: float


class Cascade:
    """The secondary models of one stream.

    Args:
        secondaries: A cascade, see ``require_cascade``.
    """

    def __init__(self, secondaries: Sequence[Secondary]) -> None:
        self._secondaries = {secondary.spec.name: secondary for secondary in secondaries}
        self._followers = {
            name: [one for one in secondaries if one.spec.after == name]
            for name in self._secondaries
        }
        self._tracks: dict[int, _Track] = {}
        self._budgets = {each.spec.name: CropBudget(each.spec.max_rate) for each in secondaries}

    def due(self, tracks: Detections, at_s: float) -> list[Due]:
        """Whose crops are worth a look, and are on their way from now on.

        Of more than the rate allows, those are taken that were looked at least, then the largest.

        Args:
            tracks: The frame's detections with their tracks; untracked ones are left out.
            at_s: Time of the frame, of a clock that never goes back.
        """
        for budget in self._budgets.values():
            budget.refill(at_s)
        sides = np.maximum(tracks.xyxy[:, 2:] - tracks.xyxy[:, :2], 0)
        seen = _Seen(tracks, sides.min(axis=1), np.sqrt(sides[:, 0] * sides[:, 1]).tolist(), at_s)
        found = []
        for name, secondary in self._secondaries.items():
            if secondary.spec.after:
                continue
            rows = self._wanted(secondary, seen)
            rows = rows[: self._budgets[name].take(len(rows))]
            for row in rows:
                looks = self._looks(int(tracks.track_id[row]), name)
                looks.is_pending, looks.last_s = True, at_s
                looks.asked_px = seen.size_px[row]
            if rows:
                found.append(Due(name, np.array(rows, np.int64)))
        return found

    def answered(
        self, secondary: str, tracks: Sequence[int], readings: Readings | None
    ) -> list[Verdict]:
        """What a model made of the crops of these tracks.

        Tracks that have ended meanwhile are left out.

        Args:
            secondary: Name of the secondary; also one that looks at another's boxes.
            tracks: A track for each reading.
            readings: In the same order; None of a detector, whose boxes go to other secondaries.
        """
        verdicts = []
        for row, track_id in enumerate(tracks):
            track = self._tracks.get(track_id)
            if track is None:
                continue
            _close(track.looks.setdefault(secondary, _Looks()))
            if readings is not None:
                ballots = track.ballots.setdefault(
                    secondary, self._secondaries[secondary].ballots()
                )
                self._secondaries[secondary].vote(ballots, readings, row)
                verdicts += self._settle(track_id, track, secondary)
        return verdicts

    def missed(self, secondary: str, tracks: Sequence[int]) -> None:
        """Looks that were not done: the frame was dropped, or the engine was busy."""
        for track_id in tracks:
            track = self._tracks.get(track_id)
            if track is not None and secondary in track.looks:
                track.looks[secondary].is_pending = False

    def known(self, track: int, name: str) -> set[str]:
        """What is settled of a track under the name of a head, by whichever secondaries."""
        if track not in self._tracks:
            return set()
        settled = self._tracks[track].settled.items()
        return {value for (_, head), values in settled if head == name for value in values}

    def forget(self, tracks: Collection[int]) -> None:
        """These tracks have ended."""
        for track_id in tracks:
            self._tracks.pop(track_id, None)

    def state(self) -> Any:
        """All that is known of tracks, as JSON values; looks under way count as missed."""
        return [
            [
                track_id,
                {name: [k.num, k.last_s, k.size_px] for name, k in track.looks.items() if k.num},
                {
                    name: {head: ballot.state() for head, ballot in ballots.items()}
                    for name, ballots in track.ballots.items()
                },
                [[*key, list(values)] for key, values in track.settled.items()],
            ]
            for track_id, track in self._tracks.items()
        ]

    def restore(self, state: Any) -> None:
        """Go on from what ``state`` gave; of secondaries and heads that are no more nothing."""
        self._tracks = {}
        for track_id, looks, ballots, settled in state:
            track = self._tracks[track_id] = _Track()
            for name in self._secondaries:
                if name in looks:
                    num, last_s, size_px = looks[name]
                    track.looks[name] = _Looks(num, last_s, size_px=size_px)
                if name in ballots:
                    track.ballots[name] = self._secondaries[name].ballots()
                    for head in ballots[name].keys() & track.ballots[name].keys():
                        track.ballots[name][head].restore(ballots[name][head])
            track.settled = {(s, h): tuple(v) for s, h, v in settled if s in self._secondaries}

    def _wanted(self, secondary: Secondary, seen: _Seen) -> list[int]:
        """Rows that are worth a look, the most wanted first."""
        name, tracks = secondary.spec.name, seen.tracks
        fits = (seen.least_px >= secondary.spec.min_size_px) & (tracks.track_id >= 0)
        rows = np.flatnonzero(fits & secondary.looks_at(tracks.class_id))
        wanted = []
        for row, track_id in zip(rows.tolist(), tracks.track_id[rows].tolist(), strict=True):
            looks, size_px = self._looks(track_id, name), seen.size_px[row]
            if self._is_due(secondary, track_id, looks, size_px, seen.at_s):
                wanted.append((looks.num, -size_px, row))
        return [row for _, _, row in sorted(wanted)]

    def _is_due(
        self, secondary: Secondary, track_id: int, looks: _Looks, size_px: float, at_s: float
    ) -> bool:
        spec, waited_s = secondary.spec, at_s - looks.last_s
        if looks.num >= spec.max_looks or waited_s < (PENDING_S if looks.is_pending else 0):
            return False
        if looks.num == 0:
            return True
        if self._is_settled(secondary, self._tracks[track_id]):
            return size_px >= spec.grown * looks.size_px
        return waited_s >= spec.again_s

    def _is_settled(self, secondary: Secondary, track: _Track) -> bool:
        """Whether all is known that this secondary, and those that follow it, can tell."""
        name = secondary.spec.name
        if any((name, head) not in track.settled for head in secondary.heads):
            return False
        return all(self._is_settled(follower, track) for follower in self._followers[name])

    def _settle(self, track_id: int, track: _Track, secondary: str) -> list[Verdict]:
        spec, verdicts = self._secondaries[secondary].spec, []
        for head, ballot in track.ballots[secondary].items():
            leader, previous = ballot.leader(), track.settled.get((secondary, head))
            if leader is None or leader.values == previous:
                continue
            if leader.num_votes >= spec.min_votes and leader.confidence >= spec.settle_at:
                track.settled[secondary, head] = leader.values
                verdicts.append(Verdict(track_id, secondary, head, leader, previous))
        return verdicts

    def _looks(self, track_id: int, secondary: str) -> _Looks:
        track = self._tracks.get(track_id) or self._tracks.setdefault(track_id, _Track())
        return track.looks.setdefault(secondary, _Looks())


def _close(looks: _Looks) -> None:
    looks.num += 1
    looks.is_pending = False
    looks.size_px = max(looks.size_px, looks.asked_px)
