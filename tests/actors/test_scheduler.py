"""The batch scheduler's promises, on a virtual clock."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.inference.policy import Batch, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.messages import DropReason
from actors.specs import QosClass, QosSpec
from engines.fake import CostModel
from tests.actors.traces import make_ticket, qos


def make_scheduler(
    streams: dict[str, QosSpec], sizes: tuple[int, ...] = (1, 2, 4), delay_s: float = 0.005
) -> Scheduler:
    scheduler = Scheduler(SchedulerConfig(sizes, delay_s))
    for stream, spec in streams.items():
        scheduler.open(stream, spec, 0.0)
    return scheduler


def serve_overloaded(
    scheduler: Scheduler, streams: list[str], num_batches: int, now: float = 0.0
) -> Counter[str]:
    """Every stream always has a fresh frame; each batch takes 10 ms."""
    served: Counter[str] = Counter()
    for index in range(num_batches):
        scheduler.submit([make_ticket(s, index, now) for s in streams], now)
        batch = scheduler.next_batch(now).batch
        assert batch is not None
        served.update(ticket.stream for ticket in batch.tickets)
        now += 0.01
        scheduler.complete(batch, now)
    return served


def submit(scheduler: Scheduler, index: int, now: float, deadline_s: float = 10.0) -> list[int]:
    """Bring a frame of stream a; the frames that it pushed out."""
    drops = scheduler.submit([make_ticket("a", index, now, deadline_s)], now)
    assert {drop.reason for drop in drops} <= {DropReason.SUPERSEDED}
    return [drop.ticket.index for drop in drops]


def test_a_frame_waits_behind_the_one_before_it_and_a_third_pushes_out_the_first() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    assert [submit(scheduler, index, index * 0.01) for index in range(3)] == [[], [], [0]]
    assert scheduler.snapshot().num_waiting == 2
    first = take(scheduler, 0.03)
    assert indices_of(first) == [1]
    assert scheduler.next_batch(0.03).batch is None, "it overtook the one in flight"
    scheduler.complete(first, 0.04)
    assert indices_of(take(scheduler, 0.05)) == [2]
    assert scheduler.snapshot().num_waiting == 0


def test_in_overload_only_the_newest_frame_of_a_stream_waits() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    assert submit(scheduler, 0, 0.0) == submit(scheduler, 1, 0.1) == []
    assert submit(scheduler, 2, 0.3) == [0, 1], "something has waited for longer than 0.2 s"
    assert submit(scheduler, 3, 0.31) == [2]
    assert indices_of(take(scheduler, 0.32)) == [3]


def test_of_frames_that_were_held_up_and_come_together_the_newest_waits() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    for index in range(4):
        submit(scheduler, index, index * 0.04)
        scheduler.complete(take(scheduler, index * 0.04), index * 0.04)
    assert [submit(scheduler, index, 0.4) for index in (4, 5, 6)] == [[], [4], [5]]


def test_a_frame_that_waits_behind_a_late_one_takes_its_place() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    submit(scheduler, 0, 0.0, deadline_s=0.05)
    submit(scheduler, 1, 0.03)
    late = scheduler.next_batch(0.06)
    assert [(drop.ticket.index, drop.reason) for drop in late.drops] == [(0, DropReason.DEADLINE)]
    assert late.batch is not None
    assert indices_of(late.batch) == [1]


def teach(scheduler: Scheduler, cost: CostModel, sizes: tuple[int, ...] = (1, 2, 4)) -> float:
    """Serve batches of each size with streams that leave again; returns the time then."""
    now = 0.0
    for size in sizes:
        names = [f"teacher{i}" for i in range(size)]
        for name in names:
            scheduler.open(name, QosSpec(), now)
        scheduler.submit([make_ticket(name, 0, now) for name in names], now)
        while (batch := scheduler.next_batch(now).batch) is not None:
            now += cost.batch_ms(len(batch.tickets)) / 1e3
            scheduler.complete(batch, now)
        for name in names:
            scheduler.close(name)
    return now + 1.0


def take(scheduler: Scheduler, now: float) -> Batch:
    batch = scheduler.next_batch(now).batch
    assert batch is not None
    return batch


def streams_of(batch: Batch) -> list[str]:
    return [ticket.stream for ticket in batch.tickets]


def indices_of(batch: Batch) -> list[int]:
    return [ticket.index for ticket in batch.tickets]


def test_a_full_batch_closes_at_once_and_a_lonely_camera_is_not_kept_waiting() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "abcd"})
    now = teach(scheduler, CostModel(10.0, 1.0))
    scheduler.submit([make_ticket(s, 1, now) for s in "abcd"], now)
    assert len(take(scheduler, now).tickets) == 4
    lonely = make_scheduler({s: QosSpec() for s in "abcd"})
    now = teach(lonely, CostModel(10.0, 1.0))
    lonely.submit([make_ticket("a", 1, now)], now)
    assert len(take(lonely, now).tickets) == 1


def two_cameras(scheduler: Scheduler, cost_s: float) -> float:
    """Two cameras at 50 fps, the second always 2 ms after the first; returns the last time."""
    now = teach(scheduler, CostModel(cost_s * 1e3, 0.1), (1, 2))
    for index in range(20):
        for name, offset in (("a", 0.0), ("b", 0.002)):
            scheduler.submit([make_ticket(name, index, now + offset)], now + offset)
        batch = scheduler.next_batch(now + 0.01).batch
        if batch is not None:
            scheduler.complete(batch, now + 0.01 + cost_s)
        now += 0.02
    return now


def test_a_batch_waits_for_company_that_is_due() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "ab"}, (1, 2), 0.005)
    now = two_cameras(scheduler, 0.008)
    scheduler.submit([make_ticket("a", 99, now)], now)
    assert scheduler.next_batch(now).batch is None
    wakeup = scheduler.next_wakeup()
    assert wakeup is not None
    assert now + 0.002 <= wakeup <= now + 0.005
    scheduler.submit([make_ticket("b", 99, now + 0.002)], now + 0.002)
    assert streams_of(take(scheduler, now + 0.002)) == ["a", "b"]


def test_a_batch_goes_alone_when_the_company_does_not_come() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "ab"}, (1, 2), 0.005)
    now = two_cameras(scheduler, 0.008)
    scheduler.submit([make_ticket("a", 99, now)], now)
    assert scheduler.next_batch(now).batch is None
    wakeup = scheduler.next_wakeup()
    assert wakeup is not None
    assert streams_of(take(scheduler, wakeup)) == ["a"]


def test_nobody_waits_for_a_camera_that_paused() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "ab"}, (1, 2), 0.005)
    now = two_cameras(scheduler, 0.008)
    for index in range(20, 40):
        now += 0.02
        scheduler.submit([make_ticket("a", index, now)], now)
        batch = scheduler.next_batch(now).batch
        if index > 20:
            assert batch is not None
        if batch is not None:
            scheduler.complete(batch, now + 0.008)


def test_nobody_waits_where_a_batch_gains_less_than_the_wait_costs() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "ab"}, (1, 2), 0.005)
    now = two_cameras(scheduler, 0.001)
    scheduler.submit([make_ticket("a", 99, now)], now)
    assert streams_of(take(scheduler, now)) == ["a"]


SIZES = (1, 2, 4, 8, 16, 32)


CHEAP_IN_BULK = CostModel(1.0, 0.02)


def crowd(num: int, cost: CostModel = CHEAP_IN_BULK) -> tuple[Scheduler, list[str], float]:
    """Cameras at 25 fps that come together; the time when they come again."""
    scheduler = make_scheduler({}, SIZES)
    now = teach(scheduler, cost, SIZES)
    names = [f"s{i}" for i in range(num)]
    for name in names:
        scheduler.open(name, QosSpec(), now)
    for index in range(20):
        scheduler.submit([make_ticket(name, index, now) for name in names], now)
        while (batch := scheduler.next_batch(now + 0.006).batch) is not None:
            scheduler.complete(batch, now + 0.006)
        now += 0.04
    return scheduler, names, now


def test_a_batch_gathers_all_frames_that_are_due_where_they_are_many_and_is_padded() -> None:
    scheduler, names, now = crowd(30)
    scheduler.submit([make_ticket(name, 99, now - 0.001) for name in names[:3]], now - 0.001)
    assert scheduler.next_batch(now - 0.001).batch is None
    scheduler.submit([make_ticket(name, 99, now) for name in names[3:27]], now)
    assert scheduler.next_batch(now).batch is None, "three are due"
    wakeup = scheduler.next_wakeup()
    assert wakeup is not None
    assert now < wakeup <= now - 0.001 + 0.005
    assert streams_of(take(scheduler, wakeup)) == names[:27], "one batch, those that paused apart"


def test_a_batch_that_gathers_goes_when_nothing_more_is_due() -> None:
    scheduler, names, now = crowd(30)
    scheduler.submit([make_ticket(name, 99, now) for name in names], now)
    assert streams_of(take(scheduler, now)) == names


def test_no_batch_gathers_beyond_half_of_its_first_frame_s_time() -> None:
    scheduler, names, now = crowd(30)
    late = [make_ticket(name, 99, now - 0.0095, 0.02) for name in names[:3]]
    scheduler.submit(late, now - 0.001)
    assert scheduler.next_batch(now - 0.001).batch is None
    assert scheduler.next_wakeup() == pytest.approx(now + 0.0005, abs=1e-6)


def test_a_device_with_much_to_do_does_not_stand_idle_to_gather() -> None:
    scheduler, names, now = crowd(30, CostModel(6.0, 0.6))
    scheduler.submit([make_ticket(name, 99, now) for name in names[:27]], now)
    assert len(take(scheduler, now).tickets) >= 16, "750 frames a second, it can do 1,270"
    idle, names, now = crowd(30)
    idle.submit([make_ticket(name, 99, now - 0.001) for name in names[:27]], now - 0.001)
    assert idle.next_batch(now - 0.001).batch is None


def test_few_cameras_are_not_gathered() -> None:
    scheduler, names, now = crowd(6)
    scheduler.submit([make_ticket(names[0], 99, now - 0.001)], now - 0.001)
    assert len(take(scheduler, now - 0.001).tickets) == 1


def test_a_wait_ends_in_time_for_the_earliest_deadline() -> None:
    scheduler = make_scheduler({s: QosSpec() for s in "ab"}, (1, 2), 0.005)
    now = two_cameras(scheduler, 0.008)
    scheduler.submit([make_ticket("a", 99, now - 0.01, 0.0195)], now)
    assert streams_of(take(scheduler, now)) == ["a"]


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
    assert sizes == [1, 2, *[4] * 18]


def test_closing_a_stream_drops_what_waits_of_it_and_refuses_later_ones() -> None:
    scheduler = make_scheduler({"a": QosSpec()})
    scheduler.submit([make_ticket("a", index, 0.0) for index in range(2)], 0.0)
    assert [d.reason for d in scheduler.close("a")] == [DropReason.CLOSED] * 2
    assert [d.reason for d in scheduler.submit([make_ticket("a", 2, 0.1)], 0.1)] == [
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
    served = serve_overloaded(scheduler, ["a", "b"], 500, 1.0)
    assert served["a"] == pytest.approx(400, rel=0.05)


def test_a_stream_changes_its_class_without_losing_the_frame_that_waits() -> None:
    names = ["a", *(f"c{i}" for i in range(3))]
    scheduler = make_scheduler({name: qos("low") for name in names}, (1,))
    serve_overloaded(scheduler, names, 200)
    scheduler.submit([make_ticket(name, 900, 2.0) for name in reversed(names)], 2.0)
    scheduler.open("a", qos("critical"), 2.0)
    batch = take(scheduler, 2.0)
    assert (streams_of(batch), batch.tickets[0].index) == (["a"], 900)
    assert scheduler.snapshot().streams["a"].qos_class is QosClass.CRITICAL


def test_a_changed_weight_counts_at_once() -> None:
    names = ["a", "b"]
    scheduler = make_scheduler({name: qos("normal", min_fps=0) for name in names}, (1,))
    serve_overloaded(scheduler, names, 100)
    scheduler.open("a", qos("normal", weight=8.0, min_fps=0), 1.0)
    served = serve_overloaded(scheduler, names, 500, 1.0)
    assert served["a"] == pytest.approx(400, rel=0.05)


def test_a_changed_floor_counts_at_once() -> None:
    streams = {f"c{i}": qos("critical", min_fps=0) for i in range(8)}
    scheduler = make_scheduler({**streams, "l": qos("low", weight=0.001, min_fps=0)}, (1,))
    names = [*streams, "l"]
    before = serve_overloaded(scheduler, names, 500)["l"]
    scheduler.open("l", qos("low", weight=0.001, min_fps=30), 5.0)
    assert serve_overloaded(scheduler, names, 500, 5.0)["l"] >= max(149, 2 * before)


def test_a_stream_that_comes_back_from_another_class_is_not_held_back_there() -> None:
    names = ["a", "b"]
    scheduler = make_scheduler({name: qos("low", min_fps=0) for name in names}, (1,))
    serve_overloaded(scheduler, names, 2000)
    scheduler.open("n", qos("normal", min_fps=0), 20.0)
    scheduler.open("a", qos("normal", min_fps=0), 20.0)
    served = serve_overloaded(scheduler, ["a", "n"], 100, 20.0)
    assert served["a"] == pytest.approx(50, abs=2)


def test_a_stream_with_a_frame_in_flight_is_not_taken_again() -> None:
    scheduler = make_scheduler({"a": QosSpec(), "b": QosSpec()}, (1,))
    scheduler.submit([make_ticket("a", 0, 0.0)], 0.0)
    first = take(scheduler, 0.0)
    scheduler.submit([make_ticket("a", 1, 0.01)], 0.01)
    assert scheduler.next_batch(0.01).batch is None
    scheduler.submit([make_ticket("b", 0, 0.02)], 0.02)
    second = take(scheduler, 0.02)
    assert streams_of(second) == ["b"]
    scheduler.complete(second, 0.03)
    assert scheduler.next_batch(0.03).batch is None
    scheduler.complete(first, 0.04)
    assert indices_of(take(scheduler, 0.04)) == [1]


def test_a_stream_opened_anew_waits_for_the_frame_that_is_still_in_flight() -> None:
    scheduler = make_scheduler({"a": QosSpec()}, (1,))
    scheduler.submit([make_ticket("a", 0, 0.0)], 0.0)
    first = take(scheduler, 0.0)
    scheduler.close("a")
    scheduler.open("a", QosSpec(), 0.01)
    scheduler.submit([make_ticket("a", 1, 0.01)], 0.01)
    assert scheduler.next_batch(0.01).batch is None
    scheduler.complete(first, 0.02)
    assert indices_of(take(scheduler, 0.02)) == [1]


def test_a_blocked_frame_can_expire() -> None:
    scheduler = make_scheduler({"a": QosSpec()}, (1,))
    scheduler.submit([make_ticket("a", 0, 0.0)], 0.0)
    take(scheduler, 0.0)
    scheduler.submit([make_ticket("a", 1, 0.01, deadline_s=0.05)], 0.01)
    wakeup = scheduler.next_wakeup()
    assert wakeup is not None
    assert [d.reason for d in scheduler.next_batch(wakeup + 1e-6).drops] == [DropReason.DEADLINE]
    assert scheduler.next_wakeup() is None
