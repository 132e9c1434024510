"""A slot's decoding as an axis of its capacity: measured by an ingest actor, then by its cameras.

The slot asks once, in the background: an ingest actor knows the answer from the cache of its
machine, or measures for two seconds. Until it answers nothing is refused. NVDEC is measured by the
clock, so beside cameras it would seem slow for ever: a slot on a GPU takes none before it is known.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from actors.ingest.decode_cost import DecodeCapacity, full_hd_fps
from actors.ingest.status import IngestStatus
from cluster.placement import decode_limit_mpx_s
from cluster.slot.child import Child
from cluster.slot.decode_load import DecodeSpeed

logger = logging.getLogger(__name__)

_ASK_AGAIN_S = 60.0
_AWAIT_S = 15.0


class DecodeAxis:
    """What a slot's decoder does.

    Args:
        num_cores: Cores that its streams may use.

    Attributes:
        measured: What was measured at the start; None before.
        is_awaited: Whether the answer is on its way, or could be, and has not taken too long yet.
    """

    def __init__(self, num_cores: int) -> None:
        self.measured: DecodeCapacity | None = None
        self.is_awaited = True
        self._await_until = float("inf")
        self._num_cores = num_cores
        self._speed = DecodeSpeed(num_cores)
        self._question: Any = None
        self._ask_at = 0.0

    @property
    def decoder(self) -> str:
        """``cpu`` or ``nvdec``; empty before it is known."""
        return self.measured.decoder if self.measured else ""

    @property
    def mpx_s(self) -> float:
        """What it does, Mpx/s; 0 before it is known.

        On a CPU what the cameras' own pictures cost counts more than the clip of the start; NVDEC
        does at least what it was seen to do.
        """
        if self.measured is None:
            return 0.0
        if self.measured.decoder == "cpu":
            return round(self._speed.mpx_s or self.measured.mpx_s, 1)
        return round(max(self._speed.most_mpx_s, self.measured.mpx_s), 1)

    @property
    def full_hd_fps(self) -> float:
        """The same in frames a second of 1080p."""
        return round(full_hd_fps(self.mpx_s), 1)

    @property
    def limit_mpx_s(self) -> float:
        """Up to which decoding is admitted, Mpx/s; 0 before it is known."""
        return round(decode_limit_mpx_s(self.mpx_s), 1)

    def follow(self, ingests: Sequence[Child], now: float) -> None:
        """Ask the first ingest actor that answers, or take its answer; never waits.

        Args:
            ingests: The slot's.
            now: Seconds, never going back.
        """
        statuses = [c.status for c in ingests if isinstance(c.status, IngestStatus)]
        self._speed.observe(statuses, now)
        self.is_awaited = self.is_awaited and now < self._await_until
        if self._question is not None:
            self._take_answer(now)
        elif self.measured is None and now >= self._ask_at:
            ready = next((child for child in ingests if child.ready), None)
            if ready is not None:
                self._await_until = min(self._await_until, now + _AWAIT_S)
                self._question = ready.handle.decode_capacity.remote(self._num_cores)

    def _take_answer(self, now: float) -> None:
        done, _ = ray.wait([self._question], timeout=0)
        if not done:
            return
        question, self._question, self.is_awaited = self._question, None, False
        try:
            self.measured = ray.get(question)
        except RayTaskError as error:
            self._postpone(error.cause, now)
        except RayError as error:
            self._postpone(error, now)
        else:
            self._tell()

    def _postpone(self, error: Exception, now: float) -> None:
        self._ask_at = now + _ASK_AGAIN_S
        logger.warning("no stream is refused for its decoding, until it is known: %s", error)

    def _tell(self) -> None:
        logger.info("%s decodes %.0f frames of 1080p a second", self.decoder, self.full_hd_fps)
