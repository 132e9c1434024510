"""Results on their way to analytics: batched calls, one in flight a shard, bounded and paced."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from actors.crop_messages import CropRequest
from actors.messages import FrameResult
from actors.result_batch import ResultBatch

logger = logging.getLogger(__name__)

_MAX_RESULTS = 4096
_RETRY_S = 0.1
_MIN_INTERVAL_S = 0.03
"""A call costs about as much as a tracker's work on a frame; events may wait for so long.

A little less than between two calls of ingest actors on a GPU: one call brings what those brought.
"""
_GATHER_S = 0.012
"""Within so long the batches are done of all tickets that ingest actors send together."""
_PAUSE_S = 0.1

Deliver = Callable[[tuple[FrameResult, ...]], Sequence[CropRequest]]
Ask = Callable[[Sequence[CropRequest]], None]


class ResultOutlet:
    """Hands results to one analytics shard in order; all that came since a call go with the next.

    The first result after a pause goes at once. Otherwise calls keep a least distance, and a result
    waits for those of the next batches, since a call costs the same whatever it carries.

    Results that find the shard away for long are given up, oldest first; ``inferred - analysed`` of
    the ledger shows them.

    Args:
        deliver: Brings results to the shard, and what it would like secondary models to look at
            back; raises ConnectionError while it is away.
        ask: Gets these requests, if there are any.
    """

    def __init__(self, deliver: Deliver, ask: Ask) -> None:
        self._deliver = deliver
        self._ask = ask
        self._results: deque[FrameResult] = deque(maxlen=_MAX_RESULTS)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._results)

    def put(self, results: Sequence[FrameResult]) -> None:
        """Queue results."""
        with self._changed:
            self._results.extend(results)
            self._changed.notify()

    def close(self) -> None:
        """Stop after the call in flight."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        began = float("-inf")
        while self._wait():
            came = time.monotonic()
            if came - began < _PAUSE_S:
                time.sleep(max(came + _GATHER_S, began + _MIN_INTERVAL_S) - came)
            results, began = self._take(), time.monotonic()
            try:
                if requests := self._deliver(results):
                    self._ask(requests)
            except ConnectionError as error:
                logger.warning("analytics is away, %d results wait: %s", len(results), error)
                self._put_back(results)
                time.sleep(_RETRY_S)
            except Exception:  # later frames may do better
                logger.exception("analytics failed, %d results lost", len(results))

    def _put_back(self, results: tuple[FrameResult, ...]) -> None:
        """In front of what has come since. A shard refuses what it has had already."""
        with self._changed:
            newer = tuple(self._results)
            self._results.clear()
            self._results.extend(results + newer)

    def _wait(self) -> bool:
        """Wait for results; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._closed)
            return not self._closed

    def _take(self) -> ResultBatch:
        with self._changed:
            results = ResultBatch(self._results)
            self._results.clear()
            return results
