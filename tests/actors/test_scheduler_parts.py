"""The parts of the scheduler by themselves: heap, load, costs, window, snapshot."""

from __future__ import annotations

import heapq
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inference.cost import CostEstimate
from actors.inference.lazy_heap import LazyHeap
from actors.inference.load import EngineLoad
from actors.inference.policy import SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.inference.sharing import FairQueue
from actors.inference.snapshot import ClassSnapshot
from actors.inference.waiting import WaitingStream
from actors.inference.window import BatchWindow, Cadence
from actors.specs import QosClass
from engines.fake import CostModel
from tests.actors.traces import make_ticket, qos


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 99)), max_size=300))
def test_a_heap_gives_the_lowest_and_forgets_what_was_withdrawn(
    script: list[tuple[bool, int, int]],
) -> None:
    heap, known = LazyHeap[int](), dict[int, int]()
    for is_put, item, key in script:
        if is_put:
            heap.put(item, (key,))
            known[item] = key
        else:
            heap.remove(item)
            known.pop(item, None)
        first = heap.first()
        assert (first is None) == (not known)
        assert first is None or known[first] == heapq.nsmallest(1, known.values())[0]
        assert len(heap) == len(known)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=1, max_size=60))
def test_a_heap_is_popped_from_the_lowest_to_the_highest(puts: list[tuple[int, int]]) -> None:
    heap, known = LazyHeap[int](), dict[int, int]()
    for item, key in puts:
        heap.put(item, key)
        known[item] = key
    popped = [heap.pop() for _ in known]
    assert [known[item] for item in popped] == sorted(known.values())
    assert sorted(popped) == sorted(known)
    assert heap.first() is None
    assert heap.num_entries == 0


def test_a_heap_does_not_grow_with_what_is_put_again_and_again() -> None:
    heap = LazyHeap[int]()
    heap.put(0, (0.0,))
    for number in range(10_000):
        heap.put(1 + number % 10, (float(number),))
    assert heap.num_entries <= 100


def waiting(queue: FairQueue) -> list[WaitingStream]:
    """Two streams of each class, each with a frame."""
    streams = []
    for number in range(8):
        qos_class = list(QosClass)[number % 4]
        stream = WaitingStream(str(number), qos_class)
        queue.join(stream, qos(qos_class, weight=1.0 + number), 0.0)
        stream.ticket = make_ticket(str(number), 0, 1.0 + 0.001 * (number * 5 % 8))
        queue.entitle(stream)
        queue.enter(stream, 1.01)
        streams.append(stream)
    return streams


@given(st.integers(1, 7), st.floats(0.0, 0.15), st.sampled_from([0.0, 100.0, 1e4]))
def test_who_is_taken_together_is_who_would_be_taken_one_by_one(
    num: int, after_s: float, capacity_fps: float
) -> None:
    together, one_by_one = FairQueue(), FairQueue()
    streams, others = waiting(together), waiting(one_by_one)
    for queue in (together, one_by_one):
        queue.reserve(capacity_fps)
    now = 1.02 + after_s
    taken = together.take(num, now)
    alone = [one_by_one._take_next(now) for _ in range(num)]
    assert [s.stream for s in taken] == [s.stream for s in alone]
    assert [(s.virtual_time, s.due) for s in streams] == [(s.virtual_time, s.due) for s in others]
    assert [s.stream for s in together.take(8 - num, now)] == [
        s.stream for s in one_by_one.take(8 - num, now)
    ]


def test_all_that_waits_is_charged_as_if_it_were_taken_one_by_one() -> None:
    together, one_by_one = FairQueue(), FairQueue()
    streams, others = waiting(together), waiting(one_by_one)
    taken = together.take(8, 1.02)
    for _ in others:
        one_by_one.take(1, 1.02)
    assert sorted(map(id, taken)) == sorted(map(id, streams))
    assert [(s.virtual_time, s.due) for s in streams] == [(s.virtual_time, s.due) for s in others]
    assert len(together) == len(one_by_one) == 0


def test_more_frames_than_wait_cannot_be_taken() -> None:
    queue = FairQueue()
    waiting(queue)
    with pytest.raises(ValueError, match="9 frames were asked for, 8 wait"):
        queue.take(9, 1.02)


def test_batches_that_overlap_are_charged_the_time_in_which_the_engine_worked() -> None:
    load = EngineLoad()
    load.began(1, 0.0)
    load.began(2, 1.0)
    assert load.ended(2, 3.0) == pytest.approx(1.0)
    assert load.ended(1, 4.0) == pytest.approx(3.0)
    assert load.utilisation(8.0) == pytest.approx(1.0 / 5.0), "of 3 s to 8 s"


def test_utilisation_is_that_of_the_last_five_seconds() -> None:
    load = EngineLoad()
    for number in range(100):
        load.began(number, number * 0.1)
        load.ended(number, number * 0.1 + (0.1 if number < 50 else 0.025))
    assert load.utilisation(10.0) == pytest.approx(0.25, abs=0.05)
    assert load.utilisation(30.0) < 0.01


def taught(cost: CostModel, sizes: tuple[int, ...], times: int = 3) -> CostEstimate:
    estimate = CostEstimate(sizes)
    for size in sizes:
        for _ in range(times):
            estimate.learn(size, cost.batch_ms(size) / 1e3, cost.batch_ms(size) / 1e3)
    return estimate


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        (CostModel(10.0, 0.5), 32),
        (CostModel(2.0, 4.0), 8),  # 16 would gain 3 %
        (CostModel(0.0, 8.0), 1),
    ],
)
def test_the_preferred_size_is_the_smallest_that_gets_about_as_much_through(
    cost: CostModel, best: int
) -> None:
    sizes = (1, 2, 4, 8, 16, 32)
    estimate = taught(cost, sizes)
    assert estimate.best_size(100) == estimate.preferred_size == best
    most = max(size / cost.batch_ms(size) for size in sizes) * 1e3
    assert estimate.capacity_fps == pytest.approx(most)


def test_sizes_between_those_that_were_seen_cost_what_lies_between() -> None:
    estimate = CostEstimate(range(1, 33))
    assert estimate.capacity_fps == 0.0
    for size in (1, 4, 8):
        estimate.learn(size, 0.006 + 0.0015 * size, 0.006 + 0.0015 * size)
    for size in (2, 6, 16, 32):
        assert estimate.seconds(size) == pytest.approx(0.006 + 0.0015 * size)


def test_one_slow_batch_changes_little_and_a_slow_first_one_nothing() -> None:
    estimate = taught(CostModel(0.0, 10.0), (1,), 10)
    estimate.learn(1, 5.0, 5.0)
    assert estimate.seconds(1) < 0.0125
    warming_up = CostEstimate((1,))
    warming_up.learn(1, 2.0, 2.0)
    warming_up.learn(1, 0.01, 0.01)
    assert warming_up.seconds(1) == pytest.approx(0.01)


def test_a_size_that_was_ruled_out_is_tried_again() -> None:
    estimate = taught(CostModel(0.0, 10.0), (1, 2))
    taken = []
    for _ in range(500):
        taken.append(estimate.best_size(4))
        cost = 0.01 if len(taken) < 250 else 0.005
        estimate.learn(taken[-1], cost if taken[-1] == 2 else 0.01, 0.01)
    assert 1 <= taken[:180].count(1) <= 180
    assert taken[-50:] == [2] * 50


def test_no_batch_is_so_long_that_a_critical_frame_that_just_missed_it_is_late() -> None:
    sizes = (1, 2, 4, 8, 16, 32)
    scheduler = Scheduler(SchedulerConfig(sizes))
    names = [f"s{i}" for i in range(64)]
    for name in names:
        scheduler.open(name, qos("low"), 0.0)
    largest = {True: 0, False: 0}
    now = 0.0
    for number in range(60):
        if number == 40:
            scheduler.open("c", qos("critical"), now)
        scheduler.submit([make_ticket(name, number, now) for name in names], now)
        batch = scheduler.next_batch(now).batch
        assert batch is not None
        largest[number >= 40] = len(batch.tickets)
        now += 0.016 + 0.002 * len(batch.tickets)
        scheduler.complete(batch, now)
    assert largest == {False: 32, True: 8}, "2 x 48 ms and the window are more than 100 ms"


def test_the_window_expects_a_frame_one_period_after_the_last_and_not_for_long() -> None:
    window, cadence = BatchWindow(0.005), Cadence()
    for number in range(10):
        window.arrived(cadence, number * 0.04)
        window.taken(cadence, number * 0.04 + 0.01)
    assert window.arrival(1, 0.38) == float("inf"), "more than 5 ms ahead"
    assert 0.399 <= window.arrival(1, 0.397) <= 0.402
    assert window.arrival(2, 0.397) == float("inf")
    assert window.arrival(1, 0.402) == float("inf"), "it paused"
    window.forget(cadence)
    assert window.arrival(1, 0.397) == float("inf")


def test_a_snapshot_tells_of_streams_classes_batches_and_load() -> None:
    scheduler = Scheduler(SchedulerConfig((1, 2)))
    for name in ("critical", "low"):
        scheduler.open(name, qos(name), 0.0)
    for number in range(60):
        now = number * 0.1
        scheduler.submit([make_ticket(n, number, now, 0.5) for n in ("critical", "low")], now)
        while (batch := scheduler.next_batch(now).batch) is not None:
            scheduler.complete(batch, now := now + 0.02)
    scheduler.submit([make_ticket("low", 97, 5.99), make_ticket("low", 98, 5.99)], 5.99)
    scheduler.submit([make_ticket("critical", 99, 6.0)], 6.0)
    found = scheduler.snapshot()
    assert (found.num_streams, found.num_waiting, found.num_in_flight) == (2, 2, 0)
    assert sum(found.batch_counts.values()) == found.num_batches
    assert sum(size * num for size, num in found.batch_counts.items()) == found.num_batched == 120
    assert found.capacity_fps == pytest.approx(100.0)
    assert found.utilisation == pytest.approx(0.2, abs=0.02)
    assert found.streams["low"].waiting_ms == pytest.approx(10.0)
    assert (found.streams["low"].num_inferred, found.streams["low"].num_on_time) == (60, 60)
    assert found.classes[QosClass.LOW] == ClassSnapshot(1, 1, 10.0, 60, 60, 1)
    assert found.classes[QosClass.HIGH] == ClassSnapshot()


def test_a_snapshot_without_streams_has_all_that_is_counted() -> None:
    scheduler = Scheduler(SchedulerConfig((1, 2)))
    for name in ("critical", "low"):
        scheduler.open(name, qos(name), 0.0)
    scheduler.submit([make_ticket(n, 1, 0.0, 0.5) for n in ("critical", "low")], 0.0)
    while (batch := scheduler.next_batch(0.0).batch) is not None:
        scheduler.complete(batch, 0.02)
    scheduler.submit([make_ticket("low", 2, 0.03)], 0.03)
    whole, counts = scheduler.snapshot(), scheduler.snapshot(with_streams=False)
    assert counts == replace(whole, streams={}, classes=counts.classes)
    for name, load in counts.classes.items():
        seen = replace(whole.classes[name], num_streams=0, num_waiting=0, oldest_wait_ms=0.0)
        assert load == seen


def test_the_fleets_counts_go_on_when_streams_leave() -> None:
    scheduler = Scheduler(SchedulerConfig((1,)))
    scheduler.open("a", qos("high"), 0.0)
    scheduler.submit([make_ticket("a", 0, 0.0, 0.01)], 0.0)
    batch = scheduler.next_batch(0.0).batch
    assert batch is not None
    scheduler.complete(batch, 1.0)
    scheduler.close("a")
    found = scheduler.snapshot()
    assert found.streams == {}
    assert found.classes[QosClass.HIGH] == ClassSnapshot(num_inferred=1, num_on_time=0)
