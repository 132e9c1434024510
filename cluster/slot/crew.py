"""The actors of one slot: started together, told of streams, told again when one comes back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from actors.analytics.actor import AnalyticsActor
from actors.analytics.stream_state import StateChange
from actors.channel import ChannelAddress
from actors.inference.actor import EngineActor, EngineStatus, shard_of
from actors.inference.options import EngineOptions
from actors.ingest.actor import IngestActor
from actors.ingest.config import IngestConfig
from actors.ledger import Ledger
from actors.pools import PoolConfig
from actors.sinks.specs import SinkSpec
from cluster.slot.child import HUNG_AFTER_S, Child, answers_of
from cluster.slot.far import FarIngests, FarPlan
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.role import Role, asked, make_role, numbered, say_nothing, start_actor, tell
from engines.spec import ModelSpec

logger = logging.getLogger(__name__)

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
        spares: Whether a spare process of each kind waits to take a dead one's place.
        gpu_shares: Of the slot's GPU; all of one slot see the same one.
        pool: Pictures and bytes of the frame pool.
        ingest: Time-outs of the cameras.
        sinks: Where analytics write events.
        far: Ingest actors on other machines; None for none.
    """

    name: str
    num_ingests: int
    num_shards: int
    max_streams: int
    spares: bool
    gpu_shares: GpuShares
    pool: PoolConfig
    sinks: tuple[SinkSpec, ...]
    ingest: IngestConfig
    far: FarPlan | None = None


class Crew:
    """Engine, ingest and analytics actors of a slot, on its part of the machine."""

    far: FarIngests | None = None  # ingest actors on other machines, where there are any

    def __init__(self, config: CrewConfig, ledger: Ledger, holdings: Holdings) -> None:
        self._ledger = ledger
        self._holdings = holdings
        self._model: tuple[ModelSpec, EngineOptions] | None = None
        self._engine_address: ChannelAddress | None = None
        self._shard_addresses: dict[int, ChannelAddress] = {}
        shares, pool, is_far = config.gpu_shares, config.pool, config.far is not None
        patience_s = _GPU_ENGINE_HUNG_AFTER_S if shares.engine else HUNG_AFTER_S
        self._shards = make_role(
            numbered("analytics", config.num_shards),
            lambda: start_actor(AnalyticsActor, ledger.path, config.sinks, config.name),
            self._shard_started,
            say_nothing if config.spares else None,
        )
        self._engines = make_role(
            ["engine"],
            lambda: start_actor(
                EngineActor, pool, config.num_shards, is_far, num_gpus=shares.engine
            ),
            self._engine_started,
            self._tell_model if config.spares else None,
            patience_s,
        )
        self._ingests = make_role(
            numbered("ingest", config.num_ingests),
            lambda: start_actor(IngestActor, ledger.path, config.ingest, num_gpus=shares.ingest),
            self._ingest_started,
            say_nothing if config.spares else None,
        )
        if config.far is not None:
            self.far = FarIngests(config.far, ledger, holdings)

    @property
    def engine(self) -> Child:
        """The actor that infers."""
        return self._engines.children[0]

    @property
    def shards(self) -> list[Child]:
        """The actors that track and apply rules."""
        return self._shards.children

    @property
    def ingests(self) -> list[Child]:
        """The actors that hold cameras, on the slot's own machine."""
        return self._ingests.children

    @property
    def cameras(self) -> list[Child]:
        """The actors that hold cameras, wherever they are."""
        return [*self.ingests, *(self.far.children if self.far else ())]

    @property
    def all(self) -> list[Child]:
        """Every actor; those first that others send to."""
        near = [child for role in self._roles for child in role.all]
        return [*near, *(self.far.children if self.far else ())]

    @property
    def _roles(self) -> tuple[Role, Role, Role]:
        return self._shards, self._engines, self._ingests

    @property
    def engine_status(self) -> EngineStatus | None:
        """What the engine last said; None while it is away."""
        status = self.engine.status
        return status if isinstance(status, EngineStatus) else None

    @property
    def ready(self) -> bool:
        """Whether all actors answer and a model is loaded."""
        engine = self.engine_status
        places = [*self.shards, *self.ingests]
        return engine is not None and bool(engine.model) and all(c.ready for c in places)

    def poll(self, now: float, *, is_asking: bool) -> None:
        """Take news from all actors; never waits. Spares are started last, one by one.

        Args:
            now: Seconds, never going back.
            is_asking: Ask each how it is, too; a call costs both sides far more than what it
                carries. They are asked anyway while not all of them are ready.
        """
        answered = answers_of(self.all)
        for role in self._roles:
            role.poll(now, answered)
        if self.far is not None:
            self.far.poll(now, answered)
        if is_asking or not self.ready:
            for child in self.all:
                child.ask(now)
        if self.ready and all(child.ready for role in self._roles for child in role.all):
            for role in self._roles:
                if role.start_spare():
                    break

    def load(self, model: ModelSpec, options: EngineOptions) -> None:
        """Serve with this model from now on, also after a restart of the engine."""
        self._model = (model, options)
        for engine in self._engines.all:
            if engine.ready:
                self._tell_model(engine)
        for shard in self.shards:
            if shard.ready:
                tell(shard, "set_labels", model.labels, options.secondaries)

    def open(self, holding: Holding, state: bytes = b"") -> None:
        """Begin a stream: its rules first, which go on from ``state``, then its camera."""
        row = self._ledger.row(holding.assignment.ledger_row)
        row.clear()  # ends that were told late may have been counted in it
        row.begin(holding.assignment.spec.id)
        tell(self._shard(holding), "open_stream", holding.assignment, state)
        if holding.is_far and self.far is not None:
            self.far.open(holding)
        else:
            tell(self.ingests[holding.ingest], "open_stream", holding.assignment)

    def update(self, holding: Holding) -> None:
        """Take over a changed spec of a stream that runs."""
        tell(self._shard(holding), "open_stream", holding.assignment)
        if holding.is_far and self.far is not None:
            self.far.update(holding)
        else:
            tell(self.ingests[holding.ingest], "update_stream", holding.assignment)

    def close_camera(self, stream: str, holding: Holding) -> Any:
        """Begin to end a stream; returns a reference that is done when its frames have ended."""
        if holding.is_far and self.far is not None:
            return self.far.close(stream, holding)
        return self.ingests[holding.ingest].handle.close_stream.remote(stream)

    def ended(self, references: Sequence[Any]) -> list[Any]:
        """Those of the references that are done; never waits."""
        done = list(ray.wait(list(references), num_returns=len(references), timeout=0)[0])
        if self.far is not None:
            self.far.take_last(done)
        return done

    def close_rules(self, stream: str, holding: Holding, state: bytes = b"") -> None:
        """End a stream's tracks and rules after its frames; ``state`` is what was exported."""
        if state:
            tell(self._shard(holding), "end_exported", holding.assignment, state)
        else:
            tell(self._shard(holding), "close_stream", stream)

    def export_rules(self, stream: str, holding: Holding) -> Any:
        """Begin to give up a stream's tracks and rules, once its frames have ended.

        Nothing of what is open ends. Returns a reference for ``exported``.
        """
        return self._shard(holding).handle.export_stream.remote(stream)

    def exported(self, reference: Any) -> bytes:
        """What another slot needs to go on; empty where there is nothing, or the shard died."""
        try:
            return bytes(ray.get(reference))
        except RayError as error:
            logger.warning("a stream moves without what was known of it: %s", error)
            return b""

    def report_states(self, changes: Sequence[StateChange]) -> list[StateChange]:
        """Hand changes to the shards of their streams; returns those whose shards are there."""
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

    def _tell_model(self, engine: Child) -> None:
        if self._model is not None:
            tell(engine, "load", *self._model)

    def _engine_started(self, engine: Child) -> None:
        """Give it its model and its place between the others."""
        self._tell_model(engine)
        tell(engine, "serve")
        for number, address in self._shard_addresses.items():
            tell(engine, "use_shard", number, address)
        address = asked(engine, "channel")
        if address is not None:
            self._engine_address = address
            for ingest in self.ingests:
                if ingest.ready:
                    tell(ingest, "use_engine", address)
        if self.far is not None:
            self.far.use_engine(asked(engine, "far_channel"))

    def _shard_started(self, shard: Child) -> None:
        """Results come only once it knows its streams; those that leave need no rules again."""
        if self._model is not None:
            model, options = self._model
            tell(shard, "set_labels", model.labels, options.secondaries)
        for _, holding in self._holdings.items():
            if self._shard(holding) is shard and not holding.closing:
                tell(shard, "open_stream", holding.assignment)
        number, address = self.shards.index(shard), asked(shard, "channel")
        if address is not None:
            self._shard_addresses[number] = address
            if self.engine.ready:
                tell(self.engine, "use_shard", number, address)

    def _ingest_started(self, ingest: Child) -> None:
        """Book what the dead process held as lost, then open its cameras again."""
        tell(ingest, "begin", ingest.name)
        if self._engine_address is not None:
            tell(ingest, "use_engine", self._engine_address)
        for holding in self._holdings.of_ingest(self.ingests.index(ingest)):
            if ingest.num_starts > 1:
                self._ledger.row(holding.assignment.ledger_row).settle()
            tell(ingest, "open_stream", holding.assignment)
