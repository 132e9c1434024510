"""The comparison of policies: its traces, its clock, its figures, and what each baseline does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from actors.inference.fifo import Fifo
from actors.inference.policy import Decision, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.messages import DropReason, Ticket
from actors.specs import QosClass, QosSpec
from cluster.bench.qos.baselines import RoundRobin, dynamic_batching, strict_priority
from cluster.bench.qos.engine import CPU, SMALL_GPU, SimulatedEngine
from cluster.bench.qos.figures import figures_of
from cluster.bench.qos.scenarios import LOADS, cells
from cluster.bench.qos.shares import fair_shares, jain_index, percentile
from cluster.bench.qos.simulate import NEVER, simulate
from cluster.bench.qos.workload import Camera, Trace, Workload, make_workload
from engines.fake import CostModel
from engines.frames import Picture

ENGINE = SimulatedEngine("test", CostModel(10.0, 0.0), (1, 2))  # 10 ms a batch of at most two
CONFIG = SchedulerConfig(ENGINE.batch_sizes, 0.005)
HIGH, LOW = QosSpec(class_name=QosClass.HIGH), QosSpec(class_name=QosClass.LOW)


def ticket(stream: str, slot: int, arrival: float, deadline_s: float = 0.1) -> Ticket:
    return Ticket(
        stream=stream,
        session=1,
        index=slot,
        slot=slot,
        picture=Picture(64, 36),
        source_size=(64, 36),
        pts_s=arrival,
        ts=arrival,
        arrival=arrival,
        deadline=arrival + deadline_s,
        ready=arrival,
    )


def workload(
    cameras: dict[str, QosClass], frames: Sequence[tuple[str, float]], seconds: float
) -> Workload:
    tickets = [ticket(name, slot, arrival) for slot, (name, arrival) in enumerate(frames)]
    return Workload(
        tuple(Camera(name, qos_class, 1.0) for name, qos_class in cameras.items()),
        tuple(tickets),
        seconds,
    )


def slots(decision: Decision) -> list[int]:
    return [t.slot for t in decision.batch.tickets] if decision.batch else []


@pytest.mark.parametrize("trace", list(Trace))
def test_a_trace_is_the_same_each_time_and_in_order(trace: Trace) -> None:
    cameras = [Camera(f"cam{i}", QosClass.LOW, 10.0) for i in range(5)]
    first, second = (make_workload(cameras, trace, 10.0) for _ in range(2))
    assert first == second
    assert [t.slot for t in first.tickets] == list(range(len(first.tickets)))
    arrivals = [t.arrival for t in first.tickets]
    assert arrivals == sorted(arrivals)
    for camera in cameras:
        indexes = [t.index for t in first.tickets if t.stream == camera.name]
        assert indexes == list(range(len(indexes)))
        assert len(indexes) == pytest.approx(100, abs=16)  # one stall more or less at the end


def test_pauses_hold_frames_back_and_bring_them_together() -> None:
    camera = Camera("cam", QosClass.LOW, 10.0)
    paused = make_workload([camera], Trace.PAUSES, 20.0).tickets
    gaps = [round(b.arrival - a.arrival, 4) for a, b in pairwise(paused)]
    assert max(gaps) == pytest.approx(0.4, abs=0.11)
    assert sum(gap < 0.001 for gap in gaps) == pytest.approx(3 * 10, abs=3)


def test_every_load_asks_for_what_its_name_says_on_every_trace() -> None:
    for cell in cells():
        played = cell.workload(12.0)
        asked = len(played.tickets) / played.seconds / cell.engine.capacity_fps
        extra = cell.num_more * 10.0 / cell.engine.capacity_fps
        assert asked - extra == pytest.approx(0.8 if cell.load is LOADS[0] else 2.0, rel=0.06)


def test_an_engine_is_charged_for_the_size_that_holds_the_batch() -> None:
    engine = SimulatedEngine("padded", CostModel(1.0, 1.0), (1, 4, 8))
    assert engine.batch_s(3) == engine.batch_s(4) == pytest.approx(0.005)
    assert engine.capacity_fps == pytest.approx(8 / 0.009)
    assert CPU.tuned_sizes == (1,)
    assert SMALL_GPU.tuned_sizes == SMALL_GPU.batch_sizes
    assert SMALL_GPU.turn_s == pytest.approx(0.030)


def test_the_clock_takes_a_batch_when_the_engine_is_free_and_ends_all_frames() -> None:
    played = workload({"a": QosClass.LOW}, [("a", 0.0), ("a", 0.001), ("a", 0.002)], 1.0)
    run = simulate(played, Fifo(CONFIG, 8), ENGINE)
    assert run.done == pytest.approx([0.010, 0.020, 0.020])
    assert [span.num_frames for span in run.spans] == [1, 2]
    assert run.dropped == {}


def test_a_policy_that_ends_a_frame_twice_or_never_is_found_out() -> None:
    class Twice(Fifo):
        def complete(self, batch: object, now: float) -> None:
            self._waiting.extend(batch.tickets)  # type: ignore[attr-defined]

    class Forgetful(Fifo):
        def close(self, stream: str) -> tuple[()]:
            return ()

        def next_batch(self, now: float) -> Decision:
            return Decision(None)

        def next_wakeup(self) -> None:
            return None

    played = workload({"a": QosClass.LOW}, [("a", 0.0)], 1.0)
    with pytest.raises(AssertionError, match="frame 0 ended twice"):
        simulate(played, Twice(CONFIG, 8), ENGINE)
    with pytest.raises(AssertionError, match="frame 0 never ended"):
        simulate(played, Forgetful(CONFIG, 8), ENGINE)


def test_strict_priority_starves_the_lower_level_while_the_higher_has_frames() -> None:
    policy = strict_priority(CONFIG, 16)
    policy.open("low", LOW, 0.0)
    policy.open("high", HIGH, 0.0)
    policy.submit([ticket("low", 0, 0.0), ticket("low", 1, 0.0)], 0.0)
    policy.submit([ticket("high", i, 0.001) for i in (2, 3, 4)], 0.001)
    assert slots(policy.next_batch(0.01)) == [2, 3]
    assert slots(policy.next_batch(0.02)) == [4, 0]


def test_dynamic_batching_waits_for_its_delay_and_rejects_what_timed_out() -> None:
    policy = dynamic_batching(CONFIG, 16)
    policy.open("low", LOW, 0.0)
    policy.open("high", HIGH, 0.0)
    policy.submit([ticket("low", 0, 0.0)], 0.0)
    assert slots(policy.next_batch(0.0)) == []
    assert policy.next_wakeup() == pytest.approx(0.005)
    assert slots(policy.next_batch(0.005)) == [0]
    policy.submit([ticket("low", 1, 1.0), ticket("high", 2, 1.0, 0.5)], 1.0)
    decision = policy.next_batch(1.2)
    assert [(d.ticket.slot, d.reason) for d in decision.drops] == [(1, DropReason.DEADLINE)]
    assert slots(decision) == [2]


def test_dynamic_batching_infers_in_vain_what_times_out_on_the_engine() -> None:
    policy = dynamic_batching(CONFIG, 16)
    policy.open("high", HIGH, 0.0)
    policy.submit([ticket("high", 0, 0.0)], 0.0)
    assert slots(policy.next_batch(0.0999)) == [0]


def test_a_full_level_refuses() -> None:
    policy = strict_priority(CONFIG, 1)
    policy.open("low", LOW, 0.0)
    policy.open("high", HIGH, 0.0)
    drops = policy.submit(
        [ticket("low", 0, 0.0), ticket("low", 1, 0.0), ticket("high", 2, 0.0)], 0.0
    )
    assert [(d.ticket.slot, d.reason) for d in drops] == [(1, DropReason.OVERLOAD)]


def test_round_robin_visits_by_priority_but_serves_all_alike() -> None:
    policy = RoundRobin(CONFIG)
    for name, qos in (("low-0", LOW), ("high-0", HIGH), ("low-1", LOW)):
        policy.open(name, qos, 0.0)
    served: Counter[str] = Counter()
    order: list[str] = []
    for turn in range(6):
        names = ("low-0", "low-1", "high-0")
        policy.submit([ticket(n, turn, turn * 0.01) for n in names], turn * 0.01)
        batch = policy.next_batch(turn * 0.01).batch
        assert batch is not None
        order += [t.stream for t in batch.tickets]
        served.update(t.stream for t in batch.tickets)
    assert order[:3] == ["high-0", "low-0", "low-1"]
    assert set(served.values()) == {4}


def test_round_robin_keeps_a_sources_newest_frame() -> None:
    policy = RoundRobin(CONFIG)
    policy.open("a", LOW, 0.0)
    policy.open("b", LOW, 0.0)
    (drop,) = policy.submit([ticket("a", 0, 0.0), ticket("a", 1, 0.001)], 0.001)
    assert (drop.ticket.slot, drop.reason) == (0, DropReason.SUPERSEDED)
    assert slots(policy.next_batch(0.002)) == []
    assert policy.next_wakeup() == pytest.approx(0.006)
    assert slots(policy.next_batch(0.006)) == [1]


def test_shares_are_by_weight_and_what_one_leaves_goes_to_the_others() -> None:
    assert fair_shares(15.0, [99.0] * 4, [8.0, 4.0, 2.0, 1.0]) == (8.0, 4.0, 2.0, 1.0)
    assert fair_shares(15.0, [2.0, 99.0, 99.0, 1.0], [8.0, 4.0, 2.0, 1.0]) == (2.0, 8.0, 4.0, 1.0)
    assert fair_shares(15.0, [2.0, 3.0], [1.0, 1.0]) == (2.0, 3.0)
    assert jain_index([3.0, 3.0, 3.0]) == 1.0
    assert jain_index([3.0, 0.0, 0.0]) == pytest.approx(1 / 3)
    assert [percentile([1.0, 2.0, 3.0, 4.0], p) for p in (50, 75, 76, 100)] == [2, 3, 4, 4]


def test_figures_tell_frames_in_time_late_and_lost_apart() -> None:
    frames = [("a", 0.0), ("a", 0.2), ("a", 0.25), ("b", 0.5)]
    played = workload({"a": QosClass.HIGH, "b": QosClass.LOW}, frames, 1.0)
    run = simulate(played, Fifo(CONFIG, 8), ENGINE)
    run.done[1], run.done[2] = 0.4, NEVER  # one late, one lost
    found = figures_of(run, played, ENGINE, 0.0)
    high, low = found.classes[QosClass.HIGH], found.classes[QosClass.LOW]
    assert high.on_time == high.inferred_on_time == pytest.approx(1 / 3, abs=1e-4)
    assert high.late == 0.5
    assert low.on_time == 1.0
    assert low.latency_ms == {"p50": 10.0, "p95": 10.0, "p99": 10.0}
    assert high.latency_ms["p99"] == 200.0
    assert found.busy == pytest.approx(0.04)


def test_a_frame_is_on_time_through_a_newer_one_of_the_same_turn_but_of_no_later_one() -> None:
    frames = [("a", 0.0), ("a", 0.001), ("a", 0.05), ("a", 0.08)]
    played = workload({"a": QosClass.HIGH}, frames, 1.0)
    run = simulate(played, Fifo(CONFIG, 8), ENGINE)
    run.done[0] = run.done[2] = NEVER
    figures = figures_of(run, played, ENGINE, 0.0).classes[QosClass.HIGH]
    assert figures.on_time == 0.75
    assert figures.inferred_on_time == 0.5


def test_streams_under_their_floor_are_counted_unless_their_camera_sends_less() -> None:
    frames = [("a", i / 10) for i in range(100)] + [("b", 5.0)]
    frames.sort(key=lambda frame: frame[1])
    played = workload({"a": QosClass.CRITICAL, "b": QosClass.CRITICAL}, frames, 10.0)
    run = simulate(played, Fifo(CONFIG, 8), ENGINE)
    assert figures_of(run, played, ENGINE, 0.0).classes[QosClass.CRITICAL].num_below_floor == 0
    for number in range(0, 101, 3):
        run.done[number], run.done[number - 1] = NEVER, NEVER
    assert figures_of(run, played, ENGINE, 0.0).classes[QosClass.CRITICAL].num_below_floor == 1


def test_ours_passes_the_simulators_own_checks() -> None:
    cameras = [Camera(f"{c.value}-{i}", c, 10.0) for c in QosClass for i in range(8)]
    played = make_workload(cameras, Trace.JITTERED, 4.0)
    run = simulate(played, Scheduler(CONFIG), ENGINE)
    assert len(run.dropped) + sum(done < NEVER for done in run.done) == len(played.tickets)
