"""Carries tickets to the engine and released slots back, one call at a time."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from actors.errors import StaleGenerationError
from actors.ingest.beat import Beat
from actors.ingest.config import IngestConfig
from actors.ingest.outbox import Batch, Outbox
from actors.messages import PoolLease, SubmitReply, SubmitRequest
from actors.pools import Pool, attach_pool
from engines.errors import DeviceError, FramePoolError

_IDLE_S = 1.0

log = logging.getLogger(__name__)


class EngineLink(Protocol):
    """The way to the engine actor.

    Both calls raise ConnectionError where the engine is away.
    """

    def attach(self, ingest: str) -> PoolLease:
        """Get a lease for an ingest actor, in place of any that it had."""

    def submit(self, request: SubmitRequest) -> SubmitReply:
        """Bring tickets and news of streams, and fetch the slots that have come free.

        Raises:
            StaleGenerationError: if the lease has been replaced.
        """


class Feeder:
    """Keeps an outbox attached to an engine.

    While the engine is away everything that it held is lost, pictures that come are dropped as
    ``overload``, and the cameras stay open.

    Args:
        name: The ingest actor's, under which it attaches.
        link: The way to the engine.
        outbox: What is to be sent.
        config: Intervals.

    Attributes:
        is_attached: Whether it has a lease.
        decode_lag_s: What the engine is told of the decoders; whoever watches the cameras sets it.
    """

    def __init__(self, name: str, link: EngineLink, outbox: Outbox, config: IngestConfig) -> None:
        self.is_attached = False
        self.decode_lag_s = 0.0
        self._name = name
        self._link = link
        self._outbox = outbox
        self._config = config
        self._beat = Beat(config)
        self._pool: Pool | None = None
        self._complaint = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feeder-{name}", daemon=True)

    def start(self) -> None:
        """Attach and go on until ``stop``."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End, and book what the engine still has as lost."""
        self._stop.set()
        self._outbox.end()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve()
            except (ConnectionError, StaleGenerationError, FramePoolError, DeviceError) as error:
                self._note_away(error)
            except Exception:  # nobody else would notice that frames are no longer sent
                log.exception("ingest %s: the call to the engine failed", self._name)
            self.is_attached = False
            self._outbox.lose_all()
            self._stop.wait(self._config.attach_retry_s)

    def _note_away(self, error: Exception) -> None:
        if self._complaint != str(error):  # it is asked several times a second
            log.warning("ingest %s: the engine is away: %s", self._name, error)
        self._complaint = str(error)

    def _serve(self) -> None:
        lease = self._link.attach(self._name)
        pool = self._map(lease)
        self._outbox.adopt(pool, lease)
        self.is_attached = True
        self._complaint = ""
        is_last = False
        while not is_last:
            self._outbox.wait(_IDLE_S, self._config.poll_interval_s)
            is_last = self._stop.is_set()  # what streams were closed is still told
            began = time.monotonic()
            batch = self._outbox.collect(began)
            if batch.tickets:
                pool.finish_writes()
            is_busy = self._exchange(batch, lease)
            now = time.monotonic()
            pause_s = self._beat.pause_s(
                len(batch.tickets), began, now, is_behind=batch.num_left > 0, is_busy=is_busy
            )
            self._stop.wait(pause_s)

    def _exchange(self, batch: Batch, lease: PoolLease) -> bool:
        """Bring and fetch; tells whether the engine has enough to do."""
        request = SubmitRequest(
            self._name,
            lease.generation,
            batch.tickets,
            batch.opened,
            batch.closed,
            batch.num_given_up,
            self.decode_lag_s,
        )
        reply = self._link.submit(request)
        self._outbox.steps.apply(reply.steps)
        self._outbox.settle(reply.releases)
        return reply.is_busy

    def _map(self, lease: PoolLease) -> Pool:
        if self._pool is None or self._pool.layout != lease.layout:
            pool = attach_pool(lease.layout)
            if self._pool is not None:
                self._pool.close()
            self._pool = pool
        return self._pool
