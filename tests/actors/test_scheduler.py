"""The batch scheduler's promises, on a virtual clock."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.inference.scheduler import Scheduler, SchedulerConfig
from actors.messages import DropReason, Ticket
from actors.specs import QosClass, QosSpec
from engines.frames import Picture

PICTURE = Picture(64, 36)


def make_ticket(stream: str, index: int, arrival: float, deadline_s: float = 10.0) -> Ticket:
    return Ticket(
        stream=stream,
        session=1,
        index=index,
        slot=index,
        picture=PICTURE,
        source_size=(64, 36),
        pts_s=arrival,
        ts=arrival,
        arrival=arrival,
        deadline=arrival + deadline_s,
    )


def make_scheduler(
    streams: dict[str, QosSpec], sizes: tuple[int, ...] = (1, 2, 4), delay_s: float = 0.005
) -> Scheduler:
    scheduler = Scheduler(SchedulerConfig(sizes, delay_s))
    for stream, qos in streams.items():
        scheduler.open(stream, qos, 0.0)
    return scheduler


def serve_overloaded(scheduler: Scheduler, streams: list[str], num_batches: int) -> Counter[str]:
    """Every stream always has a fresh frame; each batch takes 10 ms."""
    served: Counter[str] = Counter()
    now = 0.0
    for index in range(num_batches):
        scheduler.submit([make_ticket(s, index, now) for s in streams], now)
        batch = scheduler.next_batch(now).batch
        assert batch is not None
        served.update(ticket.stream for ticket in batch.tickets)
        now += 0.01
        scheduler.complete(batch, now)
    return served


def test_a_newer_frame_replaces_the_waiting_one_of_its_stream() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    assert scheduler.submit([make_ticket("a", 0, 0.0)], 0.0) == ()
    (drop,) = scheduler.submit([make_ticket("a", 1, 0.01)], 0.01)
    assert (drop.ticket.index, drop.reason) == (0, DropReason.SUPERSEDED)
    batch = scheduler.next_batch(0.02).batch
    assert batch is not None
    assert [t.index for t in batch.tickets] == [1]


def test_a_full_batch_closes_at_once_and_a_lonely_camera_is_not_kept_waiting() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "abcd"})
    scheduler.submit([make_ticket("a", 0, 0.0)], 0.0)
    alone = scheduler.next_batch(0.0).batch
    assert alone is not None
    scheduler.complete(alone, 0.004)
    scheduler.submit([make_ticket(s, 1, 1.0) for s in "abcd"], 1.0)
    batch = scheduler.next_batch(1.0).batch
    assert batch is not None
    assert len(batch.tickets) == 4
    scheduler.submit([make_ticket("a", 2, 5.0)], 5.0)
    assert scheduler.next_batch(5.0).batch is not None


def test_a_batch_waits_for_company_only_while_arrivals_promise_it() -> None:
    scheduler = make_scheduler({f"s{i}": QosSpec() for i in range(40)}, delay_s=0.01)
    now = 0.0
    for i in range(400):
        now = i * 0.0025
        scheduler.submit([make_ticket(f"s{i % 40}", i, now)], now)
        decision = scheduler.next_batch(now)
        if decision.batch:
            scheduler.complete(decision.batch, now + 0.001)
    scheduler.submit([make_ticket("s0", 999, now)], now)
    assert scheduler.next_batch(now).batch is None
    wakeup = scheduler.next_wakeup()
    assert wakeup is not None
    assert now < wakeup <= now + 0.01
    assert scheduler.next_batch(wakeup).batch is not None


def test_a_frame_that_cannot_be_on_time_is_dropped_before_inference() -> None:
    scheduler = make_scheduler({"a": QosSpec(), "b": QosSpec()})
    scheduler.submit([make_ticket("a", 0, 0.0, deadline_s=0.05)], 0.0)
    scheduler.submit([make_ticket("b", 0, 0.06)], 0.06)
    decision = scheduler.next_batch(0.06)
    assert [(d.ticket.stream, d.reason) for d in decision.drops] == [("a", DropReason.DEADLINE)]
    assert decision.batch is not None
    assert [t.stream for t in decision.batch.tickets] == ["b"]


def test_frames_go_one_by_one_where_a_batch_costs_as_much_for_each() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "abcd"})
    sizes, now = [], 0.0
    for index in range(20):
        scheduler.submit([make_ticket(s, index, now) for s in "abcd"], now)
        while (batch := scheduler.next_batch(now).batch) is not None:
            sizes.append(len(batch.tickets))
            now += 0.005 * len(batch.tickets)
            scheduler.complete(batch, now)
    assert sizes.count(1) >= 60


def test_frames_go_together_where_that_is_cheaper() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "abcd"})
    sizes, now = [], 0.0
    for index in range(20):
        scheduler.submit([make_ticket(s, index, now) for s in "abcd"], now)
        batch = scheduler.next_batch(now).batch
        assert batch is not None
        sizes.append(len(batch.tickets))
        now += 0.005 + 0.001 * len(batch.tickets)
        scheduler.complete(batch, now)
    assert sizes == [1, *[4] * 19]


def test_closing_a_stream_drops_its_waiting_frame_and_refuses_later_ones() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    scheduler.submit([make_ticket("a", 0, 0.0)], 0.0)
    assert [d.reason for d in scheduler.close("a")] == [DropReason.CLOSED]
    assert [d.reason for d in scheduler.submit([make_ticket("a", 1, 0.1)], 0.1)] == [
        DropReason.CLOSED
    ]
    assert scheduler.next_wakeup() is None


def test_overloaded_classes_share_by_weight_and_streams_of_a_class_alike() -> None:
    no_floor = {"min_fps": 0.0}
    streams = {
        "c0": QosSpec(class_name=QosClass.CRITICAL, **no_floor),
        "n0": QosSpec(class_name=QosClass.NORMAL, **no_floor),
        "n1": QosSpec(class_name=QosClass.NORMAL, **no_floor),
        "l0": QosSpec(class_name=QosClass.LOW, **no_floor),
    }
    served = serve_overloaded(make_scheduler(streams, (1,)), list(streams), 1100)
    assert served["c0"] == pytest.approx(800, rel=0.05)
    assert served["n0"] == pytest.approx(100, rel=0.05)
    assert served["n1"] == pytest.approx(100, rel=0.05)
    assert served["l0"] == pytest.approx(100, rel=0.05)


def test_a_floor_holds_against_any_weight() -> None:
    streams = {f"c{i}": QosSpec(class_name=QosClass.CRITICAL, min_fps=0) for i in range(8)}
    streams["l0"] = QosSpec(class_name=QosClass.LOW, weight=0.001, min_fps=5)
    served = serve_overloaded(make_scheduler(streams, (1,)), list(streams), 1000)
    assert served["l0"] >= 10.0 * 5 - 1


def test_a_changed_class_counts_from_the_next_frame_on() -> None:
    streams = {"a": QosSpec(class_name=QosClass.LOW, min_fps=0), "b": QosSpec(min_fps=0)}
    scheduler = make_scheduler(streams, (1,))
    serve_overloaded(scheduler, ["a", "b"], 100)
    scheduler.open("a", QosSpec(class_name=QosClass.CRITICAL, min_fps=0), 1.0)
    served = serve_overloaded(scheduler, ["a", "b"], 500)
    assert served["a"] == pytest.approx(400, rel=0.05)


steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "batch", "complete", "close", "open"]),
        st.integers(0, 5),
        st.floats(0, 0.05),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_every_ticket_ends_exactly_once_and_streams_keep_their_order(
    script: list[tuple[str, int, float]],
) -> None:
    scheduler = make_scheduler({f"s{i}": QosSpec() for i in range(6)}, (1, 2, 4))
    ended: Counter[int] = Counter()
    batched: dict[str, list[int]] = {}
    submitted, now, running = 0, 0.0, []
    for action, number, pause in script:
        now += pause
        name = f"s{number}"
        if action == "submit":
            drops = scheduler.submit([make_ticket(name, submitted, now, 0.08)], now)
            submitted += 1
        elif action == "batch":
            decision = scheduler.next_batch(now)
            drops = decision.drops
            if decision.batch:
                running.append(decision.batch)
                assert len(decision.batch.tickets) in (1, 2, 4)
                for ticket in decision.batch.tickets:
                    assert ticket.deadline > now
                    ended[ticket.index] += 1
                    batched.setdefault(ticket.stream, []).append(ticket.index)
        elif action == "complete" and running:
            scheduler.complete(running.pop(0), now)
            drops = ()
        elif action == "close":
            drops = scheduler.close(name)
        else:
            scheduler.open(name, QosSpec(), now)
            drops = ()
        ended.update(d.ticket.index for d in drops)
    for i in range(6):
        ended.update(d.ticket.index for d in scheduler.close(f"s{i}"))
    assert ended == Counter(range(submitted))
    assert all(order == sorted(order) for order in batched.values())
    assert scheduler.snapshot().num_waiting == 0
