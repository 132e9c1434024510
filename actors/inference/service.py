"""The engine's side of a slot without Ray: pool, scheduler, model and the loop that joins them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from actors.crop_messages import CropRequest
from actors.inference.alarm import Alarm
from actors.inference.degrading import Degrading
from actors.inference.fifo import Fifo
from actors.inference.ladder import LadderStatus
from actors.inference.leases import PoolLeases
from actors.inference.options import PolicyName
from actors.inference.overload import LadderConfig
from actors.inference.policy import Batch, BatchPolicy, Drop, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.inference.secondaries import ask, looked_at
from actors.inference.snapshot import SchedulerSnapshot
from actors.messages import FrameResult, PoolLease, SubmitReply, SubmitRequest, Ticket
from actors.pools import Pool, PoolConfig, create_pool
from actors.stages import Stage, StageClock, StageClocks, StageCounts
from engines.cuda.ranges import PUBLISH
from engines.engine import Engine
from engines.frames import DeviceFrame, Frame, Picture, unpacked

logger = logging.getLogger(__name__)

_MAX_WORKERS = 2
"""One batch computes while the next is prepared; an engine may allow fewer."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """Whose a stream is, and where its frames' latencies are counted."""

    ingest: str
    latencies: StageClock


class InferenceService:
    """Takes tickets from ingest actors, runs batches, hands results on. Safe to call from threads.

    Args:
        engine: Loaded already.
        pool: The frame pool that it makes, on the device of the engine.
        publish: Gets the results of each batch, in stream order; must not block.
        max_queue_delay_s: See ``SchedulerConfig``.
        policy: See ``EngineOptions``.
        ladder: When long overload degrades streams.
        clock: Seconds, the same clock as the tickets' arrival.
        make_pool: Makes the frame pool.
    """

    def __init__(
        self,
        engine: Engine,
        pool: PoolConfig,
        publish: Callable[[Sequence[FrameResult]], None],
        *,
        max_queue_delay_s: float = 0.005,
        policy: PolicyName = "qos",
        ladder: LadderConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
        make_pool: Callable[[PoolConfig], Pool] = create_pool,
    ) -> None:
        self._engine = engine
        self._publish = PUBLISH(publish)
        self._clock = clock
        self._max_queue_delay_s = max_queue_delay_s
        self._pool = make_pool(pool)
        self._leases = PoolLeases(self._pool.layout, pool.max_ingests)
        config = SchedulerConfig(engine.batch_sizes, max_queue_delay_s)
        self._scheduler = _make_policy(policy, config, pool.num_slots)
        self._ladder = Degrading(
            None if policy == "fifo" else ladder or LadderConfig(),
            shares_cores=pool.device is None,
        )
        self._streams: dict[str, _Stream] = {}
        self._stages = StageClocks(Stage.DECODE, Stage.QUEUE, Stage.INFERENCE)
        self._counting = threading.Lock()
        self._frames: dict[int, tuple[tuple[Picture, tuple[int, int]], Frame]] = {}
        self._num_running = 0
        self._num_pausing = 0
        self._changed = threading.Condition()
        self._alarm = Alarm(self._changed)
        self._closed = False
        self.failure: Exception | None = None

    @property
    def model(self) -> str:
        """Name of the model that runs now."""
        return self._engine.spec.name

    def attach(self, ingest: str) -> PoolLease:
        """Lease pool slots to an ingest actor; what its predecessor had waiting is forgotten."""
        with self._changed:
            for stream in [s for s, known in self._streams.items() if known.ingest == ingest]:
                self._close_stream(stream)
            self._ladder.forget(ingest)
            self._pause()
            return self._leases.attach(ingest)

    def submit(self, request: SubmitRequest) -> SubmitReply:
        """Take tickets and stream changes; return the slots that came free since the last call.

        Raises:
            StaleGenerationError: if the caller must attach again.
        """
        with self._changed:
            self._leases.check(request.ingest, request.generation)
            now = self._clock()
            self._ladder.take(request)
            for opened in request.opened:
                latencies = self._stages.of(opened.qos.class_name)
                self._streams[opened.stream] = _Stream(request.ingest, latencies)
                self._scheduler.open(opened.stream, opened.qos, now)
            self._release(self._scheduler.submit(request.tickets, now), now)
            for stream in request.closed:
                self._close_stream(stream)
            self._ladder.decide(self._scheduler, now)
            self._wake()
            return SubmitReply(
                self._leases.take(request.ingest),
                self._scheduler.is_backlogged,
                self._ladder.take_steps(request.ingest),
            )

    def place(self, request: SubmitRequest, pictures: Iterable[bytes]) -> None:
        """Put the pictures of an ingest actor on another machine into its slots.

        Raises:
            StaleGenerationError: if the caller must attach again.
            FramePoolError: if a picture is not what its ticket says.
        """
        with self._changed:
            self._leases.check_slots(request.ingest, request.generation, request.tickets)
        for ticket, data in zip(request.tickets, pictures, strict=True):
            self._pool.write(ticket.slot, ticket.picture, unpacked(data, ticket.picture))

    def ask(self, requests: Sequence[CropRequest]) -> None:
        """Let secondary models look at these in the next frames of their streams."""
        ask(self._engine, requests)

    def run(self) -> None:
        """Serve batches until ``close``; a failure of the engine ends it and is kept."""
        names = [f"inference-{number}" for number in range(_MAX_WORKERS)]
        workers = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def swap(self, engine: Engine) -> Engine:
        """Serve with another loaded engine from the next batch on; returns the one before."""
        with self._changed:
            self._pause()
            before, self._engine = self._engine, engine
            self._scheduler.configure(SchedulerConfig(engine.batch_sizes, self._max_queue_delay_s))
            self._ladder.reset(self._clock())
            return before

    def close(self) -> None:
        """End the loop and remove the pool."""
        self._end()
        self._pool.unlink()

    def snapshot(self) -> SchedulerSnapshot:
        """The scheduler's counts and costs."""
        with self._changed:
            return self._scheduler.snapshot()

    def ladder(self) -> LadderStatus:
        """What long overload takes from streams."""
        with self._changed:
            return self._ladder.status(self._clock(), time.time())

    def stages(self) -> StageCounts:
        """How long frames took to be decoded, to wait and to be inferred."""
        return self._stages.read()

    def _work(self) -> None:
        try:
            while not self._closed:
                batch = self._next_batch()
                if batch is not None:
                    self._serve(batch)
        except Exception as error:
            logger.exception("the engine failed")
            self.failure = error
            self._end()

    def _next_batch(self) -> Batch | None:
        with self._changed:
            if self._num_pausing or self._num_running >= self._engine.max_in_flight:
                self._alarm.sleep(None, self._clock())
                return None
            now = self._clock()
            decision = self._scheduler.next_batch(now)
            self._release(decision.drops, now)
            if decision.batch is None:
                self._alarm.sleep(self._scheduler.next_wakeup(), now)
            else:
                self._num_running += 1
                self._wake()
            return decision.batch

    def _wake(self) -> None:
        if self._num_running < self._engine.max_in_flight and not self._alarm.is_ringing:
            self._alarm.wake(self._scheduler.next_wakeup())

    def _serve(self, batch: Batch) -> None:
        engine, began = self._engine, self._clock()
        frames = [self._frame(ticket) for ticket in batch.tickets]
        found = engine.infer(frames)
        crops = looked_at(engine, batch.tickets, frames, found, self._is_busy)
        inferred_at, name = self._clock(), engine.spec.name
        results = zip(batch.tickets, found, crops, strict=True)
        # Before the batch completes, so that no later frame of its streams can overtake it.
        self._publish([FrameResult.of(*result, name, inferred_at) for result in results])
        with self._changed:
            now = self._clock()
            self._scheduler.complete(batch, now)
            self._leases.release((ticket.slot for ticket in batch.tickets), None, now)
            self._num_running -= 1
            if self._num_pausing:
                self._changed.notify_all()
        self._count_stages(batch, began, inferred_at)

    def _count_stages(self, batch: Batch, began: float, inferred_at: float) -> None:
        """Under a lock of its own, so that the next batch need not wait for it."""
        with self._counting:
            for ticket in batch.tickets:
                stream = self._streams.get(ticket.stream)
                if stream is not None:
                    stream.latencies.count(ticket.arrival, ticket.ready, began, inferred_at)

    def _pause(self) -> None:
        """Wait until no batch is in flight; until then none begins."""
        self._num_pausing += 1
        self._changed.wait_for(lambda: self._num_running == 0 or self._closed)
        self._num_pausing -= 1
        self._changed.notify_all()

    def _is_busy(self) -> bool:
        with self._changed:
            return self._ladder.is_short(self._clock())

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _frame(self, ticket: Ticket) -> Frame:
        """A slot of a device is a mere address, so what points to it is made once."""
        of = ticket.picture, ticket.source_size
        known = self._frames.get(ticket.slot)
        if known is not None and known[0] == of:
            return known[1]
        found = self._pool.read(ticket.slot, ticket.picture, source_size=ticket.source_size)
        frame = cast(Frame, found)  # a pool on a device has an engine that reads it there
        if isinstance(found, DeviceFrame):
            self._frames[ticket.slot] = of, frame
        return frame

    def _close_stream(self, stream: str) -> None:
        self._streams.pop(stream, None)
        self._ladder.close(stream)
        self._release(self._scheduler.close(stream), self._clock())

    def _release(self, drops: Iterable[Drop], now: float) -> None:
        for drop in drops:
            self._ladder.count_drop(drop)
            self._leases.release((drop.ticket.slot,), drop.reason, now)


def _make_policy(name: PolicyName, config: SchedulerConfig, num_slots: int) -> BatchPolicy:
    return Fifo(config, num_slots) if name == "fifo" else Scheduler(config)
