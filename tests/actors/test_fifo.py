"""The plain queue: what it keeps, what it refuses, and that it knows nothing else."""

from __future__ import annotations

import pytest

from actors.inference.fifo import Fifo
from actors.inference.options import PolicyName
from actors.inference.policy import BatchPolicy, SchedulerConfig
from actors.inference.service import InferenceService, PoolConfig
from actors.messages import DropReason, StreamQos, SubmitRequest, Ticket
from actors.specs import QosClass, QosSpec
from engines.fake import FakeEngine
from engines.frames import Picture


def ticket(stream: str, index: int, arrival: float = 0.0) -> Ticket:
    return Ticket(
        stream=stream,
        session=1,
        index=index,
        slot=index,
        picture=Picture(64, 36),
        source_size=(64, 36),
        pts_s=arrival,
        ts=arrival,
        arrival=arrival,
        deadline=arrival + 0.1,
        ready=arrival,
    )


def make_fifo(*streams: str, max_waiting: int = 8, sizes: tuple[int, ...] = (1, 2, 4)) -> Fifo:
    fifo = Fifo(SchedulerConfig(sizes), max_waiting)
    for stream in streams:
        fifo.open(stream, QosSpec(), 0.0)
    return fifo


def taken(policy: BatchPolicy, now: float) -> list[tuple[str, int]]:
    batch = policy.next_batch(now).batch
    return [(t.stream, t.index) for t in batch.tickets] if batch else []


def test_frames_go_in_the_order_of_arrival_whatever_their_class() -> None:
    fifo = Fifo(SchedulerConfig((1, 2)), 8)
    fifo.open("low", QosSpec(class_name=QosClass.LOW), 0.0)
    fifo.open("critical", QosSpec(class_name=QosClass.CRITICAL), 0.0)
    fifo.submit([ticket("low", 0), ticket("low", 1), ticket("critical", 2)], 0.0)
    assert taken(fifo, 0.0) == [("low", 0), ("low", 1)]
    assert taken(fifo, 0.0) == [("critical", 2)]
    assert taken(fifo, 0.0) == []


def test_a_newer_frame_does_not_replace_the_waiting_one_and_a_late_one_is_still_inferred() -> None:
    fifo = make_fifo("a")
    assert fifo.submit([ticket("a", 0)], 0.0) == ()
    assert fifo.submit([ticket("a", 1, 5.0)], 5.0) == ()
    assert taken(fifo, 9.0) == [("a", 0), ("a", 1)]


def test_what_finds_it_full_is_dropped_as_overload() -> None:
    fifo = make_fifo("a", max_waiting=2)
    drops = fifo.submit([ticket("a", i) for i in range(3)], 0.0)
    assert [(d.ticket.index, d.reason) for d in drops] == [(2, DropReason.OVERLOAD)]


def test_a_batch_is_as_large_as_a_size_of_the_engine() -> None:
    fifo = make_fifo("a")
    fifo.submit([ticket("a", i) for i in range(7)], 0.0)
    assert [len(taken(fifo, 0.0)) for _ in range(4)] == [4, 2, 1, 0]
    fifo.configure(SchedulerConfig((1,)))
    fifo.submit([ticket("a", i) for i in range(2)], 0.0)
    assert len(taken(fifo, 0.0)) == 1


def test_it_never_waits_nor_asks_for_less() -> None:
    fifo = make_fifo("a")
    fifo.submit([ticket("a", i) for i in range(8)], 0.0)
    assert fifo.next_wakeup() == 0.0
    assert not fifo.is_backlogged
    assert [len(taken(fifo, 0.0)) for _ in range(2)] == [4, 4]
    assert fifo.next_wakeup() is None


def test_a_stream_that_leaves_takes_its_frames_along() -> None:
    fifo = make_fifo("a", "b")
    fifo.submit([ticket("a", 0), ticket("b", 1), ticket("a", 2)], 0.0)
    assert [(d.ticket.index, d.reason) for d in fifo.close("a")] == [
        (0, DropReason.CLOSED),
        (2, DropReason.CLOSED),
    ]
    (late,) = fifo.submit([ticket("a", 3)], 0.0)
    assert late.reason is DropReason.CLOSED
    assert taken(fifo, 0.0) == [("b", 1)]


def test_it_counts_what_waits_and_what_is_at_the_engine() -> None:
    fifo = make_fifo("a", "b", sizes=(1, 2))
    fifo.submit([ticket("a", i) for i in range(3)], 0.0)
    batch = fifo.next_batch(0.0).batch
    assert batch is not None
    before = fifo.snapshot()
    assert (before.num_streams, before.num_waiting, before.num_in_flight) == (2, 1, 2)
    fifo.complete(batch, 0.1)
    after = fifo.snapshot()
    assert (after.num_in_flight, after.num_batches, after.num_batched) == (0, 1, 2)


@pytest.mark.parametrize(("policy", "dropped"), [("qos", [DropReason.SUPERSEDED]), ("fifo", [])])
def test_the_engine_runs_the_policy_that_its_options_name(
    policy: PolicyName, dropped: list[DropReason]
) -> None:
    pool = PoolConfig(num_slots=4, slot_bytes=Picture(64, 36).size_bytes, name="test-fifo")
    service = InferenceService(FakeEngine(), pool, list, policy=policy, clock=lambda: 0.0)
    lease = service.attach("ingest")
    frames = tuple(ticket("a", index) for index in range(3))
    opened = (StreamQos("a", QosSpec()),)
    reply = service.submit(SubmitRequest("ingest", lease.generation, frames, opened))
    service.close()
    assert [release.drop for release in reply.releases] == dropped
