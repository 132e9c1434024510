"""The engine's side of a slot: leases of the pool, the batch loop and the results."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from actors.crop_messages import CropRequest
from actors.errors import StaleGenerationError
from actors.inference.leases import PoolLeases
from actors.inference.outlet import ResultOutlet
from actors.inference.service import InferenceService, PoolConfig
from actors.messages import (
    DropReason,
    FrameResult,
    PoolLease,
    Release,
    StreamQos,
    SubmitRequest,
    Ticket,
)
from actors.specs import QosClass, QosSpec
from actors.stages import Stage
from engines.cuda.pool import DevicePool
from engines.cuda.stand_in import HostMemory
from engines.detections import Detections
from engines.errors import FramePoolError
from engines.fake import FAKE_SPEC, CostModel, FakeEngine
from engines.frames import DeviceFrame, Frame, FramePool, Picture, PoolLayout
from tests.actors.builders import eventually

PICTURE = Picture(64, 36)
POOL = PoolConfig(num_slots=8, slot_bytes=PICTURE.size_bytes, max_ingests=2, name="test-pool")


class Collector:
    """Keeps results and lets a test wait for them."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    def __call__(self, results: Sequence[FrameResult]) -> None:
        self.results.extend(results)


@pytest.fixture
def results() -> Collector:
    return Collector()


@pytest.fixture
def service(results: Collector) -> Iterator[InferenceService]:
    engine = FakeEngine(cost=CostModel(fixed_ms=1.0, per_frame_ms=1.0))
    engine.load()
    service = InferenceService(engine, POOL, results)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service
    service.close()
    thread.join()


def make_ticket(lease: PoolLease, stream: str, index: int, deadline_s: float = 10.0) -> Ticket:
    now = time.monotonic()
    return Ticket(
        stream=stream,
        session=1,
        index=index,
        slot=lease.slots[index % len(lease.slots)],
        picture=PICTURE,
        source_size=(128, 72),
        pts_s=float(index),
        ts=1e9 + index,
        arrival=now,
        deadline=now + deadline_s,
        ready=now,
    )


def opened(*streams: str) -> tuple[StreamQos, ...]:
    return tuple(StreamQos(stream, QosSpec()) for stream in streams)


def drain(service: InferenceService, lease: PoolLease, ingest: str, count: int) -> list[Release]:
    releases: list[Release] = []

    def collected() -> bool:
        releases.extend(service.submit(SubmitRequest(ingest, lease.generation)).releases)
        return len(releases) >= count

    eventually(collected)
    return releases


def test_frames_come_back_as_results_and_their_slots_as_releases(
    service: InferenceService, results: Collector
) -> None:
    lease = service.attach("ingest-0")
    pool = FramePool.attach(lease.layout)
    planes = [np.full(shape, 80, np.uint8) for shape in PICTURE.plane_shapes]
    tickets = [make_ticket(lease, s, i) for i, s in enumerate(("a", "b"))]
    for ticket in tickets:
        pool.write(ticket.slot, PICTURE, planes)
    service.submit(SubmitRequest("ingest-0", lease.generation, tuple(tickets), opened("a", "b")))
    releases = drain(service, lease, "ingest-0", 2)
    assert {r.slot for r in releases} == {t.slot for t in tickets}
    assert all(r.drop is None and r.finished_at > tickets[0].arrival for r in releases)
    eventually(lambda: len(results.results) == 2)
    assert {(r.stream, r.source_size) for r in results.results} == {
        ("a", (128, 72)),
        ("b", (128, 72)),
    }


def test_a_frame_s_stages_add_up_to_its_latency_and_count_in_its_class(
    service: InferenceService, results: Collector
) -> None:
    lease = service.attach("ingest-0")
    ticket = replace(make_ticket(lease, "a", 0), arrival=time.monotonic() - 0.5)
    news = (StreamQos("a", QosSpec(class_name=QosClass.HIGH)),)
    service.submit(SubmitRequest("ingest-0", lease.generation, (ticket,), news))
    eventually(lambda: len(service.stages()[Stage.INFERENCE]) == 1)
    (result,) = results.results
    stages = {stage: list(classes[QosClass.HIGH]) for stage, classes in service.stages().items()}
    assert list(stages) == [Stage.DECODE, Stage.QUEUE, Stage.INFERENCE]
    took_ms = {stage: middles[0] for stage, middles in stages.items()}
    assert took_ms[Stage.DECODE] == pytest.approx((ticket.ready - ticket.arrival) * 1e3, rel=0.016)
    whole_ms = (result.inferred_at - result.arrival) * 1e3
    assert sum(took_ms.values()) == pytest.approx(whole_ms, rel=0.016, abs=0.1)


def test_a_slot_of_a_device_is_read_as_its_ticket_says_whatever_was_in_it_before(
    results: Collector,
) -> None:
    def make_pool(config: PoolConfig) -> DevicePool:
        return DevicePool.create(config.num_slots, config.slot_bytes, memory=HostMemory)

    config = PoolConfig(4, Picture(64, 48).size_bytes)
    service = InferenceService(FakeEngine(), config, results, make_pool=make_pool)
    try:
        lease = service.attach("ingest-0")
        tall = make_ticket(lease, "gate", 0)
        wide = replace(tall, picture=Picture(48, 32), source_size=(96, 64))
        seen = [service._frame(ticket) for ticket in (tall, tall, wide, tall)]
    finally:
        service.close()
    assert seen[0] is seen[1]
    assert [(f.picture, f.source_width) for f in seen] == [
        (ticket.picture, ticket.source_size[0]) for ticket in (tall, tall, wide, tall)
    ]
    assert len({f.address for f in seen if isinstance(f, DeviceFrame)}) == 1


def test_frames_of_an_unknown_stream_are_given_back_as_closed(service: InferenceService) -> None:
    lease = service.attach("ingest-0")
    reply = service.submit(
        SubmitRequest("ingest-0", lease.generation, (make_ticket(lease, "nobody", 0),))
    )
    assert [r.drop for r in reply.releases] == [DropReason.CLOSED]


def test_attaching_again_ends_the_lease_before(service: InferenceService) -> None:
    first = service.attach("ingest-0")
    second = service.attach("ingest-0")
    assert second.slots == first.slots
    with pytest.raises(StaleGenerationError, match="attach again"):
        service.submit(SubmitRequest("ingest-0", first.generation))
    service.submit(SubmitRequest("ingest-0", second.generation))


def test_ingest_actors_get_parts_of_the_pool_that_do_not_overlap() -> None:
    leases = PoolLeases(PoolLayout("nowhere", 9, 10), max_ingests=2)
    first, second = leases.attach("a"), leases.attach("b")
    assert not set(first.slots) & set(second.slots)
    with pytest.raises(FramePoolError, match="c is one more"):
        leases.attach("c")


def test_an_engine_that_fails_ends_the_loop_and_says_why(results: Collector) -> None:
    engine = FakeEngine(max_batches=0)
    engine.load()
    service = InferenceService(engine, POOL, results)
    lease = service.attach("ingest-0")
    service.submit(
        SubmitRequest("ingest-0", lease.generation, (make_ticket(lease, "a", 0),), opened("a"))
    )
    service.run()
    assert service.failure is not None
    service.close()


def test_a_swapped_engine_serves_from_the_next_batch_on(
    service: InferenceService, results: Collector
) -> None:
    lease = service.attach("ingest-0")
    other = FakeEngine(FAKE_SPEC.model_copy(update={"name": "other"}))
    other.load()
    before = service.swap(other)
    service.submit(
        SubmitRequest("ingest-0", lease.generation, (make_ticket(lease, "a", 0),), opened("a"))
    )
    eventually(lambda: len(results.results) == 1)
    assert results.results[0].model == "other" == service.model
    assert before.spec.name != "other"


def ask_nothing(requests: Sequence[CropRequest]) -> None:
    pytest.fail(f"nothing was asked for, not {requests}")


def make_result(index: int) -> FrameResult:
    return FrameResult("a", 1, index, 0.0, 0.0, 0.0, (1, 1), "m", Detections.empty(), 0.0)


class MeetingEngine(FakeEngine):
    """Two batches at once, and each waits for the other."""

    def __init__(self) -> None:
        super().__init__(batch_sizes=(1,), detect=self._meet)
        self.max_in_flight = 2
        self.meeting = threading.Barrier(2)

    def _meet(self, _frame: Frame, _index: int) -> Detections:
        self.meeting.wait(timeout=5.0)
        return Detections.empty()


def test_one_batch_is_served_while_another_computes(results: Collector) -> None:
    engine = MeetingEngine()
    engine.load()
    service = InferenceService(engine, POOL, results)
    thread = threading.Thread(target=service.run)
    thread.start()
    lease = service.attach("ingest-0")
    tickets = tuple(make_ticket(lease, s, i) for i, s in enumerate(("a", "b")))
    service.submit(SubmitRequest("ingest-0", lease.generation, tickets, opened("a", "b")))
    drain(service, lease, "ingest-0", 2)
    swapped = FakeEngine()
    swapped.load()
    assert service.swap(swapped) is engine
    service.close()
    thread.join()
    assert service.failure is None
    assert {r.stream for r in results.results} == {"a", "b"}


def test_results_reach_a_slow_shard_in_order_and_in_few_calls() -> None:
    calls: list[tuple[FrameResult, ...]] = []
    gate = threading.Event()

    def deliver(results: tuple[FrameResult, ...]) -> tuple[CropRequest, ...]:
        gate.wait()
        calls.append(results)
        return ()

    outlet = ResultOutlet(deliver, ask_nothing)
    for index in range(50):
        outlet.put([make_result(index)])
    gate.set()
    eventually(lambda: sum(map(len, calls)) == 50)
    outlet.close()
    assert [r.index for call in calls for r in call] == list(range(50))
    assert len(calls) <= 3


def test_results_of_batches_that_follow_each_other_go_together() -> None:
    calls: list[tuple[FrameResult, ...]] = []

    def deliver(results: tuple[FrameResult, ...]) -> tuple[CropRequest, ...]:
        calls.append(results)
        return ()

    outlet = ResultOutlet(deliver, ask_nothing)
    outlet.put([make_result(0)])
    eventually(lambda: len(calls) == 1)
    for index in range(1, 30):
        outlet.put([make_result(index)])
    eventually(lambda: sum(map(len, calls)) == 30)
    outlet.close()
    assert [len(call) for call in calls] == [1, 29]


def test_what_a_shard_that_was_away_missed_comes_first_when_it_is_back() -> None:
    arrived: list[FrameResult] = []
    away = [True]

    def deliver(results: tuple[FrameResult, ...]) -> tuple[CropRequest, ...]:
        if away.pop() if away else False:
            raise ConnectionError("away")
        arrived.extend(results)
        return ()

    outlet = ResultOutlet(deliver, ask_nothing)
    outlet.put([make_result(0)])
    eventually(lambda: not away)
    outlet.put([make_result(1)])
    eventually(lambda: [r.index for r in arrived] == [0, 1])
    outlet.close()
