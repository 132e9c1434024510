"""The loop of a slot: claim streams, keep their leases, tell the actors, publish what happens."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import ray

from actors.ledger import Ledger
from cluster.config import SightlineConfig
from cluster.errors import UnavailableError
from cluster.models import engine_options, resolve_model
from cluster.registry import (
    PipelineRecord,
    Registry,
    SlotInfo,
    SlotState,
    StreamRecord,
    WakeUp,
    plan_claims,
)
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings
from cluster.slot.plan import crew_config
from cluster.slot.report import stream_status
from engines.errors import ModelError

logger = logging.getLogger(__name__)

_TICK_S = 0.1
_PUBLISH_EVERY_S = 0.5
_RESYNC_EVERY_S = 1.0
_FINAL_STATUS_TTL_MS = 600_000
_PIPELINE = "default"


class SlotWorker:
    """One slot from start to end, on a thread of its own.

    Args:
        name: Unique among slots, and over restarts.
        config: The whole configuration, with ``redis.url`` filled in.
    """

    def __init__(self, name: str, config: SightlineConfig) -> None:
        self.name = name
        self.failure: Exception | None = None
        self._config = config
        self._ttl_ms = round(config.lease.ttl_s * 1e3)
        self._registry = Registry.open(
            str(config.redis.url), config.redis.prefix, config.api.max_streams
        )
        plan = crew_config(name, config)
        self._ledger = Ledger.create(config.slots.max_streams, name=name)
        self._holdings = Holdings(config.slots.max_streams, plan.num_ingests)
        self._crew = Crew(plan, self._ledger, self._holdings)
        self._closing: dict[str, Any] = {}
        self._revision = -1
        self._pipeline_generation = -1
        self._model_error = ""
        self._due = dict.fromkeys(("sync", "renew", "publish"), 0.0)
        self._started_at = time.time()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slot", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the loop still turns."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Give up all leases and end the actors."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with_wake = _Wake(self._registry)
            while not self._stopping.is_set():
                self._turn(with_wake)
            self._leave()
        except Exception as error:
            logger.exception("slot %s failed", self.name)
            self.failure = error

    def _turn(self, wake: _Wake) -> None:
        """One round. Without Redis the streams run on; what must be written waits."""
        try:
            self._crew.poll(time.monotonic())
            self._follow_registry(time.monotonic())
            if wake.wait(_TICK_S):
                self._due["sync"] = 0.0
        except UnavailableError as error:
            logger.warning("%s", error)
            self._stopping.wait(_TICK_S)

    def _follow_registry(self, now: float) -> None:
        if self._is_due("renew", now, self._ttl_ms / 3e3):
            self._renew()
        if self._is_due("sync", now, _RESYNC_EVERY_S):
            self._sync()
        self._finish_closing()
        if self._is_due("publish", now, _PUBLISH_EVERY_S):
            self._publish()

    def _is_due(self, what: str, now: float, every_s: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every_s
        return True

    def _renew(self) -> None:
        """Streams whose lease is lost belong to another slot: end them without a word."""
        lost = self._registry.leases.renew(self.name, self._holdings.tokens(), self._ttl_ms)
        for stream in lost & {s for s, h in self._holdings.items() if not h.closing}:
            logger.warning("%s: the lease is lost", stream)
            self._close(stream)

    def _sync(self) -> None:
        """Compare what is desired with what is held. Until the model runs, nothing is claimed."""
        self._follow_pipeline(self._registry.pipelines.all())
        if not self._crew.ready:
            return
        desired = self._registry.streams.all()
        leases = self._registry.leases.lookup(desired)
        claims = plan_claims(
            desired, leases, self.name, self._config.slots.max_streams, (_PIPELINE,)
        )
        wanted = [s for s in claims.claim if s not in self._holdings]
        for stream, token in self._registry.leases.claim(self.name, wanted, self._ttl_ms).items():
            self._crew.open(self._holdings.add(desired[stream], token))
        self._follow_changes(desired, set(claims.release))

    def _follow_changes(self, desired: Mapping[str, StreamRecord], released: set[str]) -> None:
        for stream, holding in self._holdings.items():
            record = desired.get(stream)
            if holding.closing:
                continue
            if record is None or stream in released:
                self._close(stream)
            elif record.generation != holding.assignment.generation:
                self._crew.update(self._holdings.update(record))

    def _follow_pipeline(self, pipelines: Mapping[str, PipelineRecord]) -> None:
        record = pipelines.get(_PIPELINE)
        if record is None or record.generation == self._pipeline_generation:
            return
        self._pipeline_generation = record.generation
        try:
            self._crew.load(resolve_model(record.spec), engine_options(record.spec))
            self._model_error = ""
        except ModelError as error:
            logger.error("pipeline %s: %s", _PIPELINE, error)
            self._model_error = str(error)

    def _close(self, stream: str) -> None:
        self._closing[stream] = self._crew.close_camera(stream, self._holdings[stream])
        self._holdings.close(stream)

    def _finish_closing(self) -> None:
        """Publish the last counts of streams that have ended, then let their leases go."""
        if not self._closing:
            return
        done, _ = ray.wait(list(self._closing.values()), num_returns=len(self._closing), timeout=0)
        for stream in [s for s, ref in self._closing.items() if ref in done]:
            del self._closing[stream]
            holding = self._holdings[stream]
            self._ledger.row(holding.assignment.ledger_row).settle()
            self._crew.close_rules(stream, holding)
            self._publish_one(stream)
            self._registry.leases.release(self.name, {stream: holding.token})
            self._ledger.row(holding.assignment.ledger_row).clear()
            self._holdings.drop(stream)

    def _publish_one(self, stream: str) -> None:
        holding = self._holdings[stream]
        status = stream_status(stream, holding, self._crew, self._ledger, self.name)
        self._registry.leases.publish_status(stream, holding.token, status, _FINAL_STATUS_TTL_MS)

    def _publish(self) -> None:
        self._registry.slots.publish(self._info(), self._ttl_ms)
        self._registry.leases.publish_statuses(
            {
                stream: (
                    holding.token,
                    stream_status(stream, holding, self._crew, self._ledger, self.name),
                )
                for stream, holding in self._holdings.items()
            },
            _FINAL_STATUS_TTL_MS,
        )

    def _info(self) -> SlotInfo:
        engine = self._crew.engine_status
        error = self._model_error or (engine.error if engine else "")
        state = SlotState.READY if self._crew.ready else SlotState.STARTING
        if error and not self._crew.ready:
            state = SlotState.FAILED
        return SlotInfo(
            name=self.name,
            state=state,
            message=error,
            node=socket.gethostname(),
            max_streams=self._config.slots.max_streams,
            num_streams=len(self._holdings),
            started_at=self._started_at,
            updated_at=time.time(),
            details=self._details(),
        )

    def _details(self) -> dict[str, Any]:
        engine = self._crew.engine_status
        scheduler = engine.scheduler if engine else None
        return {
            "model": engine.model if engine else "",
            "batch_ms": scheduler.batch_ms if scheduler else {},
            "batch_fill": scheduler.num_batched / max(1, scheduler.num_batches) if scheduler else 0,
            "num_waiting": scheduler.num_waiting if scheduler else 0,
            "actors": [
                {"name": c.name, "pid": c.pid, "starts": c.num_starts, "ready": c.ready}
                for c in self._crew.all
            ],
        }

    def _leave(self) -> None:
        """End all streams, then give up their leases, so that another slot takes them at once."""
        for stream, holding in self._holdings.items():
            if not holding.closing:
                self._close(stream)
        deadline = time.monotonic() + 5.0
        try:
            while self._closing and time.monotonic() < deadline:
                self._finish_closing()
                time.sleep(0.02)
            self._registry.leases.release(self.name, self._holdings.tokens())
            self._registry.slots.remove(self.name)
        except UnavailableError as error:
            logger.warning("leases are left to expire: %s", error)
        self._crew.stop()
        self._ledger.unlink()


class _Wake:
    """The registry's wake-up call, opened when Redis first answers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._call: WakeUp | None = None

    def wait(self, timeout_s: float) -> bool:
        if self._call is None:
            self._call = self._registry.subscribe()
        return self._call.wait(timeout_s)
