"""A detection watch in a process of its own.

Ray holds up every thread of the process that starts a head, for a second. A watch there would see
all streams silent for so long.
"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection

from cluster.bench.detections import DetectionWatch
from cluster.errors import UnavailableError

_ANSWER_TIMEOUT_S = 30.0

_Seen = dict[str, list[float]]


class WatchProcess:
    """Follows all streams from its start until ``close``.

    Args:
        streams: Their ids.
        root: Only ledgers of slots that this process has started, or its children, are read.
    """

    def __init__(self, streams: Sequence[str], root: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_watch, args=(theirs, streams, root), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is noticed
        self._seen_at: dict[str, list[float]] = defaultdict(list)
        self._num_events = 0

    @property
    def num_events(self) -> int:
        """Events that were made, by all streams, since the start."""
        self._ask()
        return self._num_events

    def seen_at(self, stream: str) -> list[float]:
        """Moments of the stream's detections so far, by the monotonic clock, to 20 ms."""
        self._ask()
        return list(self._seen_at[stream])

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5.0)
        if self._process.is_alive():
            self._process.kill()

    def _ask(self) -> None:
        """Take what is new."""
        self._pipe.send(None)
        if not self._pipe.poll(_ANSWER_TIMEOUT_S):
            raise UnavailableError(f"the watch did not answer in {_ANSWER_TIMEOUT_S:g} s")
        num_events, seen = self._pipe.recv()
        self._num_events = num_events
        for stream, moments in seen.items():
            self._seen_at[stream] += moments


def _watch(pipe: Connection, streams: Iterable[str], root: int) -> None:
    names = list(streams)
    watch, told = DetectionWatch(names, root), dict.fromkeys(names, 0)
    try:
        while True:
            pipe.recv()
            pipe.send((watch.num_events, _news(watch, told)))
    except (EOFError, OSError):  # whoever started us has gone
        watch.close()


def _news(watch: DetectionWatch, told: dict[str, int]) -> _Seen:
    news = {}
    for stream, num in told.items():
        seen = watch.seen_at(stream)
        news[stream], told[stream] = seen[num:], len(seen)
    return news
