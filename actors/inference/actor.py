"""The engine actor: owns the model, the pool and the scheduler of one slot. A thin shell."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray.util

from actors.channel import ChannelAddress, ChannelServer, Route
from actors.crop_messages import CropRequest
from actors.far_messages import FarReply, FarRequest
from actors.garbage import collect_seldom
from actors.inference.ladder import LadderStatus
from actors.inference.options import EngineOptions
from actors.inference.outlet import ResultOutlet
from actors.inference.secondaries import with_secondaries
from actors.inference.service import InferenceService
from actors.inference.snapshot import SchedulerSnapshot
from actors.inference.warm_up import batch_costs_ms
from actors.messages import AttachRequest, FrameResult, PoolLease, SubmitReply, SubmitRequest
from actors.orphans import orphans
from actors.pools import PoolConfig
from actors.stages import StageCounts
from engines.cuda.address import bus_address
from engines.engine import CropEngine, Engine
from engines.errors import EngineError
from engines.frames import shared_memory_dir
from engines.spec import ModelSpec

logger = logging.getLogger(__name__)

_DELIVER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine's actor tells its slot.

    Attributes:
        incarnation: Changes with each start of the process.
        model: Name of the model that runs; empty before the first is loaded.
        error: Why the last model that it was given cannot be used; empty where it can.
        scheduler: Counts and costs; None before the first model is loaded.
        num_unpublished: Results that wait for analytics.
        ladder: What long overload takes from streams; None before the first model is loaded.
        stages: How long frames took by stage, up to their detections.
        load_s: How long the last model took to load, with the import of what runs it, seconds;
            None before.
        start_ms: What batches cost when the last model was loaded, milliseconds by size.
        building: How far the plan of the last model is, while it is built; else empty.
        gpu: Address of its GPU on the PCI bus; empty on a CPU.
    """

    incarnation: str
    model: str
    error: str
    scheduler: SchedulerSnapshot | None
    num_unpublished: int
    ladder: LadderStatus | None = None
    stages: StageCounts = field(default_factory=dict)
    load_s: float | None = None
    start_ms: dict[int, float] = field(default_factory=dict)
    building: str = ""
    gpu: str = ""


class EngineActor:
    """One model on one device, for all streams of a slot.

    A slot may keep a spare one beside the one that serves, with the model loaded and no pool.

    Args:
        pool: The frame pool that it makes when it serves; files of dead predecessors are removed.
        num_shards: Analytics actors; a stream always goes to the same one.
        is_far: Whether ingest actors on other machines may call, too.
    """

    def __init__(self, pool: PoolConfig, num_shards: int, is_far: bool = False) -> None:
        self._incarnation = uuid.uuid4().hex
        self._pool = replace(pool, name=f"{pool.name}-{os.getpid()}")
        self._pool_family = pool.name
        self._gpu = "" if pool.device is None else bus_address(pool.device)
        names = [f"analytics-{number}" for number in range(num_shards)]
        self._shards = [Route(name, _DELIVER_TIMEOUT_S) for name in names]
        self._outlets = [ResultOutlet(route.call, self._ask) for route in self._shards]
        self._channel = ChannelServer(self._answer, "engine")
        self._far = _far_channel(self._answer) if is_far else None
        self._is_serving = False
        self._spare: tuple[Engine, EngineOptions] | None = None
        self._service: InferenceService | None = None
        self._error = ""
        self._building = ""
        self._load_s: float | None = None
        self._start_ms: dict[int, float] = {}
        self._loading = threading.Lock()

    def load(self, spec: ModelSpec, options: EngineOptions) -> None:
        """Load a model in the background; ``status`` says how that went.

        Until it is ready the model before it goes on, and it stays where the new one is no good.
        """
        threading.Thread(target=self._load, args=(spec, options), name="load", daemon=True).start()

    def serve(self) -> None:
        """Serve from now on, as soon as there is a model; returns at once."""
        threading.Thread(target=self._begin, name="begin", daemon=True).start()

    def use_shard(self, number: int, shard: ChannelAddress) -> None:
        """The analytics actor of this number is there from now on."""
        self._shards[number].lead_to(shard)

    def channel(self) -> ChannelAddress:
        """Where ingest actors attach and submit: ``AttachRequest`` and ``SubmitRequest``."""
        return self._channel.address

    def far_channel(self) -> ChannelAddress | None:
        """The same for those on other machines: ``AttachRequest`` and ``FarRequest``."""
        return None if self._far is None else self._far.address

    def status(self) -> EngineStatus:
        """What the slot shows of the engine."""
        service = self._service
        return EngineStatus(
            incarnation=self._incarnation,
            model=service.model if service else "",
            error=self._error,
            scheduler=service.snapshot() if service else None,
            num_unpublished=sum(len(outlet) for outlet in self._outlets),
            ladder=service.ladder() if service else None,
            stages=service.stages() if service else {},
            load_s=self._load_s,
            start_ms=self._start_ms,
            building=self._building,
            gpu=self._gpu,
        )

    def stop(self) -> None:
        """End the loop and remove the pool."""
        for server in (self._channel, self._far):
            if server is not None:
                server.close()
        if self._service is not None:
            self._service.close()
        if self._spare is not None:
            self._spare[0].close()
        for outlet in self._outlets:
            outlet.close()

    def _answer(
        self, request: AttachRequest | SubmitRequest | FarRequest
    ) -> PoolLease | SubmitReply | FarReply:
        service = self._ready()
        if isinstance(request, FarRequest):
            received_at = time.monotonic()
            service.place(request.request, request.pictures)
            reply = service.submit(request.request)
            return FarReply(reply, received_at, time.monotonic())
        if isinstance(request, AttachRequest):
            return service.attach(request.ingest)
        return service.submit(request)

    def _ready(self) -> InferenceService:
        if self._service is None:
            raise ConnectionError(f"no model is loaded yet{self._error and ': ' + self._error}")
        return self._service

    def _load(self, spec: ModelSpec, options: EngineOptions) -> None:
        with self._loading:
            try:
                began = time.monotonic()
                engine = _loaded(spec, options, self._report)
                self._load_s = time.monotonic() - began
                self._start_ms = batch_costs_ms(engine)
                self._put_to_use(engine, options)
                self._error = ""
            except EngineError as error:
                logger.error("model %s: %s", spec.name, error)
                self._error = str(error)
            finally:
                self._building = ""

    def _report(self, what: str) -> None:
        self._building = what

    def _begin(self) -> None:
        with self._loading:
            self._is_serving = True
            if self._spare is not None:
                engine, options = self._spare
                self._spare = None
                try:
                    self._put_to_use(engine, options)
                except EngineError as error:
                    logger.error("model %s: %s", engine.spec.name, error)
                    self._error = str(error)

    def _put_to_use(self, engine: Engine, options: EngineOptions) -> None:
        """Serve with a loaded model, or keep it until that is asked for."""
        if self._service is not None:
            self._service.swap(engine).close()
        elif self._is_serving:
            self._serve_with(engine, options)
        else:
            before, self._spare = self._spare, (engine, options)
            if before is not None:
                before[0].close()

    def _serve_with(self, engine: Engine, options: EngineOptions) -> None:
        _remove_pools(self._pool_family)
        try:
            self._service = InferenceService(
                engine,
                self._pool,
                self._publish,
                max_queue_delay_s=options.max_queue_delay_s,
                policy=options.policy,
            )
        except EngineError:  # no room for the pool
            engine.close()
            raise
        collect_seldom()
        threading.Thread(target=self._serve, name="inference", daemon=True).start()

    def _serve(self) -> None:
        service = self._ready()
        service.run()
        if service.failure is not None:
            os._exit(1)  # a device that failed is only clean again in a new process: Ray starts it

    def _ask(self, requests: Sequence[CropRequest]) -> None:
        if self._service is not None:
            self._service.ask(requests)

    def _publish(self, results: Sequence[FrameResult]) -> None:
        own: dict[int, list[FrameResult]] = {}
        for result in results:
            own.setdefault(shard_of(result.stream, len(self._outlets)), []).append(result)
        for number, some in own.items():
            self._outlets[number].put(some)


def _far_channel(answer: Callable[[Any], Any]) -> ChannelServer:
    """At the address by which Ray's other machines know this one."""
    host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return ChannelServer(answer, "engine-far", host)


@lru_cache(maxsize=4096)
def shard_of(stream: str, num_shards: int) -> int:
    """The analytics shard that a stream belongs to; the same in every process."""
    return zlib.crc32(stream.encode()) % num_shards


def _loaded(spec: ModelSpec, options: EngineOptions, report: Callable[[str], None]) -> Engine:
    # Imported here, so that the slot, which only starts the actor, needs no backend.
    from engines.factory import Backend, create_crop_engine, create_engine

    backend = Backend.TENSORRT if options.device == "cuda" else Backend.ONNXRUNTIME

    def make(model: ModelSpec) -> CropEngine:
        return create_crop_engine(
            model,
            backend=backend,
            num_threads=options.num_threads,
            precision=options.precision,
            report=lambda progress: report(progress.sentence(model.name)),
        )

    engine = create_engine(
        spec,
        backend=backend,
        num_threads=options.num_threads,
        max_batch_size=options.max_batch_size,
        batch_sizes=options.batch_sizes,
        precision=options.precision,
        report=lambda progress: report(progress.sentence(spec.name)),
    )
    engine.load()
    return with_secondaries(engine, options.secondaries, options.max_crops, make)


def _remove_pools(family: str) -> None:
    """Of processes that are gone."""
    for path in orphans(Path(shared_memory_dir()), f"sightline-{family}-"):
        path.unlink(missing_ok=True)
