"""The actors of one slot: started together, told of streams, told again when one comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors.analytics.actor import AnalyticsActor
from actors.analytics.stream_state import StateChange
from actors.inference.actor import EngineActor, EngineStatus, shard_of
from actors.inference.service import EngineOptions
from actors.ingest.actor import IngestActor
from actors.ingest.config import IngestConfig
from actors.ledger import Ledger
from actors.pools import PoolConfig
from actors.sinks.specs import SinkSpec
from cluster.slot.child import HUNG_AFTER_S, Child
from cluster.slot.holdings import Holding, Holdings
from engines.spec import ModelSpec

logger = logging.getLogger(__name__)

_CONCURRENCY = 16
_GPU_ENGINE_HUNG_AFTER_S = 120.0
"""TensorRT lets nothing else in its process run while it makes a builder or reads a plan."""


@dataclass(frozen=True, slots=True)
class GpuShares:
    """Parts of the slot's GPU, as Ray counts: what the engine and each ingest actor ask for."""

    engine: float
    ingest: float


NO_GPU = GpuShares(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class CrewConfig:
    """How many actors a slot has, and what they are given.

    Attributes:
        name: The slot's name; begins the names of its files in shared memory.
        num_ingests: Processes that hold cameras.
        num_shards: Processes that track and apply rules.
        max_streams: Streams that they can hold together.
        gpu_shares: Of the slot's GPU; all of one slot see the same one.
        pool: Pictures and bytes of the frame pool.
        ingest: Time-outs of the cameras.
        sinks: Where analytics write events.
    """

    name: str
    num_ingests: int
    num_shards: int
    max_streams: int
    gpu_shares: GpuShares
    pool: PoolConfig
    sinks: tuple[SinkSpec, ...]
    ingest: IngestConfig


class Crew:
    """Engine, ingest and analytics actors of a slot, on its part of the machine."""

    def __init__(self, config: CrewConfig, ledger: Ledger, holdings: Holdings) -> None:
        self._ledger = ledger
        self._holdings = holdings
        self._model: tuple[ModelSpec, EngineOptions] | None = None
        shards = [
            _start(AnalyticsActor, ledger.path, config.sinks, config.name)
            for _ in range(config.num_shards)
        ]
        shares = config.gpu_shares
        engine = _start(EngineActor, config.pool, shards, num_gpus=shares.engine)
        ingests = [
            _start(
                IngestActor,
                f"ingest-{n}",
                ledger.path,
                engine,
                config.ingest,
                num_gpus=shares.ingest,
            )
            for n in range(config.num_ingests)
        ]
        patience_s = _GPU_ENGINE_HUNG_AFTER_S if shares.engine else HUNG_AFTER_S
        self.engine = Child("engine", engine, self._engine_started, patience_s)
        self.shards = _children("analytics", shards, self._shard_started)
        self.ingests = _children("ingest", ingests, self._ingest_started)

    @property
    def all(self) -> list[Child]:
        """Every actor; those first that others send to."""
        return [*self.shards, self.engine, *self.ingests]

    @property
    def engine_status(self) -> EngineStatus | None:
        """What the engine last said; None while it is away."""
        status = self.engine.status
        return status if isinstance(status, EngineStatus) else None

    @property
    def ready(self) -> bool:
        """Whether all actors answer and a model is loaded."""
        engine = self.engine_status
        return engine is not None and bool(engine.model) and all(c.ready for c in self.all)

    def poll(self, now: float) -> None:
        """Take news from all actors; never waits."""
        for child in self.all:
            child.poll(now)

    def load(self, model: ModelSpec, options: EngineOptions) -> None:
        """Serve with this model from now on, also after a restart of the engine."""
        self._model = (model, options)
        if self.engine.ready:
            self._engine_started(self.engine)
        for shard in self.shards:
            if shard.ready:
                _tell(shard, "set_labels", model.labels)

    def open(self, holding: Holding) -> None:
        """Begin a stream: its rules first, then its camera."""
        _tell(self._shard(holding), "open_stream", holding.assignment)
        _tell(self.ingests[holding.ingest], "open_stream", holding.assignment)

    def update(self, holding: Holding) -> None:
        """Take over a changed spec of a stream that runs."""
        _tell(self._shard(holding), "open_stream", holding.assignment)
        _tell(self.ingests[holding.ingest], "update_stream", holding.assignment)

    def close_camera(self, stream: str, holding: Holding) -> Any:
        """Begin to end a stream; returns a reference that is done when its frames have ended."""
        return self.ingests[holding.ingest].handle.close_stream.remote(stream)

    def close_rules(self, stream: str, holding: Holding) -> None:
        """End a stream's tracks and rules, once its frames have ended."""
        _tell(self._shard(holding), "close_stream", stream)

    def report_states(self, changes: Sequence[StateChange]) -> list[StateChange]:
        """Hand changes to the shards of their streams, without waiting for the events.

        Returns:
            Those that were handed on; the shards of the others are away.
        """
        sent = []
        for number, shard in enumerate(self.shards):
            own = [c for c in changes if shard_of(c.stream, len(self.shards)) == number]
            if own and shard.ready:
                shard.handle.report_states.remote(tuple(own))
                sent += own
        return sent

    def stop(self) -> None:
        """End all actors, cameras first."""
        for child in reversed(self.all):
            child.stop()

    def _shard(self, holding: Holding) -> Child:
        return self.shards[shard_of(holding.assignment.spec.id, len(self.shards))]

    def _engine_started(self, engine: Child) -> None:
        if self._model is not None:
            _tell(engine, "load", *self._model)

    def _shard_started(self, shard: Child) -> None:
        if self._model is not None:
            _tell(shard, "set_labels", self._model[0].labels)
        for _, holding in self._holdings.items():
            if self._shard(holding) is shard:
                _tell(shard, "open_stream", holding.assignment)

    def _ingest_started(self, ingest: Child) -> None:
        """Book what the dead process held as lost, then open its cameras again."""
        number = self.ingests.index(ingest)
        for _, holding in self._holdings.items():
            if holding.ingest == number and not holding.closing:
                if ingest.num_starts > 1:
                    self._ledger.row(holding.assignment.ledger_row).settle()
                _tell(ingest, "open_stream", holding.assignment)


def _children(kind: str, handles: list[Any], on_start: Callable[[Child], None]) -> list[Child]:
    return [Child(f"{kind}-{n}", handle, on_start) for n, handle in enumerate(handles)]


def _start(actor: type, *args: object, num_gpus: float = 0.0) -> Any:
    """Start an actor beside the calling one, on the same bundle of resources."""
    group = ray.util.get_current_placement_group()
    strategy = PlacementGroupSchedulingStrategy(group) if group else "DEFAULT"
    remote: Any = ray.remote(actor).options(
        num_cpus=0,
        num_gpus=num_gpus,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CONCURRENCY,
        scheduling_strategy=strategy,
    )
    return remote.remote(*args)


def _tell(child: Child, method: str, *args: object) -> None:
    """A child that is away is told when it is back, by its ``on_start``."""
    try:
        child.call(method, *args)
    except ConnectionError as error:
        logger.warning("%s not told %s: %s", child.name, method, error)
