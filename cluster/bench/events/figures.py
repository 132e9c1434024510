"""What the events of a film are worth: right, missed, wrong, said twice, and how late, by type.

What happened is told by the world, not by what was found, and may be off by 0.3 s. Three things are
not held against who reports:

- what nobody could see well, and what was a matter of a little more or less
  (``cluster/demo/world/happenings.py`` and ``lasting.py``);
- when an object that comes or goes does so: it is right from the first bit of it in the picture
  until it shows in full and is 25 px high, since it is asked for by its class, and neither the
  first bit of a lorry nor a speck far away tells that (``cluster/demo/world/showing.py``). A lorry
  that is never so high is not asked for;
- a wrong report that is like a right one in all but the place is wrong, and not said twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actors.analytics.events import Event
from cluster.bench.events.recording import Recording
from cluster.bench.events.replay import EPOCH, SOURCES, digest, replay
from cluster.demo.scoring import Happening, Score, match_by_type, reported_event, true_events

TYPES = (
    *("line_cross", "zone_enter", "zone_exit", "wrong_way", "loitering"),
    *("illegal_parking", "overcrowding", "speed", "object"),
)
TOLERANCE_S = 0.3
NOTHING = Score(0, 0, 0, 0)
_WITHIN_S = 2.0  # so far off a report is still taken for one of what happened, to tell how late


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of one type.

    Attributes:
        score: How many happened, were reported and were right, at most 0.3 s off.
        num_repeated: Reports that say again what another one has said, of the same place.
        late_s: How late those were that were meant, below 0 where they came too early.
    """

    score: Score = NOTHING
    num_repeated: int = 0
    late_s: tuple[float, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.score + other.score,
            self.num_repeated + other.num_repeated,
            self.late_s + other.late_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures, times in seconds."""
        off_s = np.abs(self.late_s) if self.late_s else np.zeros(1)
        p50_s, p95_s = np.percentile(off_s, [50, 95]).tolist()
        return {
            "num_true": self.score.num_true,
            "num_reported": self.score.num_reported,
            "num_right": self.score.num_right,
            "num_repeated": self.num_repeated,
            "precision": round(self.score.precision, 4),
            "recall": round(self.score.recall, 4),
            "off_p50_s": round(p50_s, 3),
            "off_p95_s": round(p95_s, 3),
            "off_max_s": round(float(off_s.max()), 3),
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """One film.

    Attributes:
        tallies: By source and type.
        num_events: All events of all sources, updates too.
        num_same_id: How many of them have the id of another one.
        digest: Hash of the events.
    """

    tallies: Mapping[tuple[str, str], Tally]
    num_events: int
    num_same_id: int
    digest: str


def judge(recording: Recording) -> Judged:
    """Replay a film and hold the events against what happens in it."""
    events = {source: replay(recording, source) for source in SOURCES}
    tallies = {
        (source, type_): tally
        for source, some in events.items()
        for type_, tally in _tallies(recording, some).items()
    }
    ids = [Counter(event.id for event in some) for some in events.values()]
    num_events = sum(map(len, events.values()))
    return Judged(tallies, num_events, num_events - sum(map(len, ids)), digest(recording))


def _tallies(recording: Recording, events: Sequence[Event]) -> dict[str, Tally]:
    true, reported = told(recording, events)
    narrow = match_by_type(true, reported, TOLERANCE_S)
    wide = match_by_type(true, reported, _WITHIN_S)
    return {
        type_: Tally(
            match.score,
            len(match.repeated(TOLERANCE_S)),
            tuple(round(t.late_s(r), 3) for t, r in wide[type_].right),
        )
        for type_, match in narrow.items()
    }


def told(recording: Recording, events: Sequence[Event]) -> tuple[list[Happening], list[Happening]]:
    """What happened in a film, and what was reported of it."""
    truth, name = recording.truth, recording.name
    watched = EPOCH, EPOCH + truth.scenario.duration_s - 1e-3
    return true_events(name, truth, EPOCH, watched, TYPES), [
        reported_event(name, event.to_dict(), truth, EPOCH, watched) for event in events
    ]
