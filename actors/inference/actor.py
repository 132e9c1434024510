"""The engine actor: owns the model, the pool and the scheduler of one slot. A thin shell."""

from __future__ import annotations

import glob
import logging
import os
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from actors.channel import Channel, ChannelAddress, ChannelServer
from actors.inference.ladder import LadderStatus
from actors.inference.outlet import Deliver, ResultOutlet
from actors.inference.service import EngineOptions, InferenceService
from actors.inference.snapshot import SchedulerSnapshot
from actors.inference.warm_up import batch_costs_ms
from actors.messages import FrameResult, PoolLease, SubmitReply, SubmitRequest
from actors.pools import PoolConfig
from actors.stages import StageCounts
from engines.cuda.address import bus_address
from engines.engine import Engine
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

    Args:
        pool: The frame pool that it makes; files of a predecessor are removed.
        shards: Handles of the analytics actors; a stream always goes to the same one.
    """

    def __init__(self, pool: PoolConfig, shards: Sequence[Any]) -> None:
        _remove_pools(pool.name)
        self._incarnation = uuid.uuid4().hex
        self._pool = pool
        self._gpu = "" if pool.device is None else bus_address(pool.device)
        self._outlets = [ResultOutlet(_deliver_to(shard)) for shard in shards]
        self._channel = ChannelServer(self._submit, "engine")
        self._service: InferenceService | None = None
        self._error = ""
        self._building = ""
        self._load_s: float | None = None
        self._start_ms: dict[int, float] = {}
        self._loading = threading.Lock()

    def load(self, spec: ModelSpec, options: EngineOptions) -> None:
        """Load a model in the background and serve with it; ``status`` says how that went.

        Until it is ready the model before it goes on, and it stays where the new one is no good.
        """
        threading.Thread(target=self._load, args=(spec, options), name="load", daemon=True).start()

    def attach(self, ingest: str) -> PoolLease:
        """See ``InferenceService.attach``.

        Raises:
            ConnectionError: if no model is loaded yet.
        """
        return self._ready().attach(ingest)

    def channel(self) -> ChannelAddress:
        """Where ingest actors call ``InferenceService.submit``."""
        return self._channel.address

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
        self._channel.close()
        if self._service is not None:
            self._service.close()
        for outlet in self._outlets:
            outlet.close()

    def _submit(self, request: SubmitRequest) -> SubmitReply:
        return self._ready().submit(request)

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
                self._serve_with(engine, options)
                self._error = ""
            except EngineError as error:
                logger.error("model %s: %s", spec.name, error)
                self._error = str(error)
            finally:
                self._building = ""

    def _report(self, what: str) -> None:
        self._building = what

    def _serve_with(self, engine: Engine, options: EngineOptions) -> None:
        if self._service is not None:
            self._service.swap(engine).close()
            return
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
        threading.Thread(target=self._serve, name="inference", daemon=True).start()

    def _serve(self) -> None:
        service = self._ready()
        service.run()
        if service.failure is not None:
            os._exit(1)  # a device that failed is only clean again in a new process: Ray starts it

    def _publish(self, results: Sequence[FrameResult]) -> None:
        own: dict[int, list[FrameResult]] = {}
        for result in results:
            own.setdefault(shard_of(result.stream, len(self._outlets)), []).append(result)
        for number, some in own.items():
            self._outlets[number].put(some)


def shard_of(stream: str, num_shards: int) -> int:
    """The analytics shard that a stream belongs to; the same in every process."""
    return zlib.crc32(stream.encode()) % num_shards


def _loaded(spec: ModelSpec, options: EngineOptions, report: Callable[[str], None]) -> Engine:
    # Imported here, so that the slot, which only starts the actor, needs no backend.
    from engines.factory import Backend, create_engine

    engine = create_engine(
        spec,
        backend=Backend.TENSORRT if options.device == "cuda" else Backend.ONNXRUNTIME,
        num_threads=options.num_threads,
        max_batch_size=options.max_batch_size,
        batch_sizes=options.batch_sizes,
        precision=options.precision,
        report=lambda progress: report(progress.sentence(spec.name)),
    )
    engine.load()
    return engine


def _deliver_to(shard: Any) -> Deliver:
    """Calls an analytics actor through its channel, which is asked for again when it has died."""
    channel: Channel | None = None

    def deliver(results: tuple[FrameResult, ...]) -> None:
        nonlocal channel
        try:
            if channel is None:
                address = ray.get(shard.channel.remote(), timeout=_DELIVER_TIMEOUT_S)
                channel = Channel(address, _DELIVER_TIMEOUT_S)
            channel.call(results)
        except (RayError, ConnectionError) as error:
            channel = None
            raise ConnectionError(str(error)) from error

    return deliver


def _remove_pools(name: str) -> None:
    for path in glob.glob(os.path.join(shared_memory_dir(), f"sightline-{name}-*")):
        os.unlink(path)
