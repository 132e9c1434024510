"""When each stream had detections, seen in the frame ledgers of all slots of this machine.

A frame counts once it has gone through tracker and rules. Ledgers lie in shared memory, so neither
a dead slot nor an API that is away hides anything; a stream that moves is followed by its key.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from actors.ledger import Ledger, stream_key
from cluster.bench.processes import descendants
from cluster.slot.leftovers import slot_pid
from engines.frames import shared_memory_dir

_LOOK_EVERY_S = 0.02
_SEARCH_EVERY_S = 0.25

_Row = tuple[str, int]


class DetectionWatch:
    """Follows all streams from its start until ``close``, on a thread of its own.

    Args:
        streams: Their ids.
        root: Only ledgers of slots that this process has started, or its children, are read.
        folder: Where ledgers lie.
    """

    def __init__(self, streams: Iterable[str], root: int, folder: str | Path | None = None) -> None:
        self._names = {stream_key(stream): stream for stream in streams}
        self._root = root
        self._folder = Path(folder or shared_memory_dir())
        self._ledgers: dict[str, Ledger] = {}
        self._known: dict[_Row, tuple[int, int, int]] = {}
        self._seen_at: dict[str, list[float]] = defaultdict(list)
        self._num_events = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="detections", daemon=True)
        self._thread.start()

    @property
    def num_events(self) -> int:
        """Events that were made, by all streams, since the start."""
        with self._lock:
            return self._num_events

    def seen_at(self, stream: str) -> list[float]:
        """Moments of the stream's detections so far, by the monotonic clock, to 20 ms."""
        with self._lock:
            return list(self._seen_at[stream])

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        search_at = 0.0
        while not self._closed.wait(_LOOK_EVERY_S):
            now = time.monotonic()
            if now >= search_at:
                self.search()
                search_at = now + _SEARCH_EVERY_S
            self.look(now)

    def look(self, now: float) -> None:
        """Note what has changed in the ledgers since the last look."""
        with self._lock:
            for path, ledger in self._ledgers.items():
                for number, found in enumerate(map(tuple, ledger.progress().tolist())):
                    if found != self._known.get((path, number), (0, 0, 0)):
                        self._note((path, number), found, now)

    def _note(self, row: _Row, found: tuple[int, int, int], now: float) -> None:
        """A row of another stream than before, or none, has begun anew at zero."""
        before = self._known.get(row, (0, 0, 0))
        self._known[row] = found
        whose, analysed, events = found
        stream = self._names.get(whose)
        if stream is None:
            return
        is_new = before[0] != whose or analysed < before[1]
        if analysed > (0 if is_new else before[1]):
            self._seen_at[stream].append(now)
        self._num_events += events - (0 if is_new else before[2])

    def search(self) -> None:
        """A ledger is read to its end although its slot is dead, or its file removed."""
        ours: frozenset[int] | None = None
        for path in self._folder.glob("sightline-slot-*-ledger-*"):
            if str(path) in self._ledgers:
                continue
            ours = descendants(self._root) if ours is None else ours
            if slot_pid(path.name) in ours:
                # It may be just being made, or gone again.
                with contextlib.suppress(OSError, ValueError), self._lock:
                    self._ledgers[str(path)] = Ledger.attach(str(path))


def longest_silence_s(seen_at: Sequence[float], since: float, until: float) -> float:
    """Longest time between two detections of a stream of which any part lies within a span.

    Args:
        seen_at: Moments of its detections, ascending.
        since: Begin of the span; what was seen last before it counts as well.
        until: End of the span; a silence that goes on is cut off there.
    """
    return longest_silence(seen_at, since, until)[0]


def longest_silence(seen_at: Sequence[float], since: float, until: float) -> tuple[float, float]:
    """The same, and when it began."""
    last = max((at for at in seen_at if at < since), default=since)
    within = [at for at in seen_at if since <= at < until]
    after = min((at for at in seen_at if at >= until), default=until)
    points = [last, *within, min(after, until)]
    return max((b - a, a) for a, b in pairwise(points))
