"""What the scheduler promises, on random workloads and a virtual clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.inference.policy import Batch, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.specs import CLASS_DEFAULTS, QosClass, QosSpec
from engines.fake import CostModel
from tests.actors.traces import (
    NEVER,
    NO_FLOOR,
    Camera,
    Machine,
    jittered,
    make_ticket,
    paused,
    regular,
    stalled,
    tickets_of,
)

SIZES = ((1,), (1, 2, 4), (1, 2, 3, 4, 5, 6), (1, 4, 8))
ALL_WEIGHTS = sum(defaults.weight for defaults in CLASS_DEFAULTS.values())

costs = st.builds(CostModel, st.sampled_from((0.0, 3.0, 15.0)), st.sampled_from((0.5, 2.0, 10.0)))
classes = st.sampled_from(QosClass)
specs = st.builds(
    QosSpec,
    class_name=classes,
    weight=st.sampled_from((None, None, 0.5, 20.0)),
    deadline_ms=st.sampled_from((None, None, 25.0, 3000.0)),
    min_fps=st.sampled_from((None, None, 0.0, 4.0)),
)
machines = st.builds(
    Machine,
    costs,
    st.sampled_from(SIZES),
    st.sampled_from((0.0, 0.005, 0.05)),
    st.integers(1, 2),
    st.sampled_from((lambda _n: 1.0, lambda n: (1.0, 3.0, 0.5)[n % 3])),
)
fleets = st.lists(
    st.tuples(specs, st.sampled_from((2.0, 10.0, 25.0, 120.0))), min_size=1, max_size=14
)


@settings(max_examples=80, deadline=None)
@given(machines, fleets, st.sampled_from((regular, jittered, paused, stalled)))
def test_whatever_comes_the_rules_are_kept_and_the_same_again_the_next_time(
    machine: Machine, streams: list[tuple[QosSpec, float]], arrivals: object
) -> None:
    """The machine asserts batch sizes, order, deadlines, and that each ticket ends once."""
    group = [Camera(f"s{i}", spec, fps) for i, (spec, fps) in enumerate(streams)]
    tickets = tickets_of(group, arrivals, 1.5)  # type: ignore[arg-type]
    outcome = machine.play(group, tickets)
    assert max(outcome.waits_idle, default=0.0) <= machine.delay_s + 1e-5, "it kept the engine idle"
    again = machine.play(group, tickets)
    assert (again.taken, again.done, again.drops) == (outcome.taken, outcome.done, outcome.drops)


steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "batch", "complete", "close", "open"]),
        st.integers(0, 5),
        st.floats(0, 0.05),
        specs,
    ),
    max_size=120,
)


@settings(max_examples=120, deadline=None)
@given(steps, st.sampled_from(SIZES))
def test_every_ticket_ends_once_and_in_order_while_streams_come_change_and_go(
    script: list[tuple[str, int, float, QosSpec]], sizes: tuple[int, ...]
) -> None:
    scheduler = Scheduler(SchedulerConfig(sizes))
    ended: Counter[int] = Counter()
    finished: dict[str, list[int]] = {}
    submitted, now, running = 0, 0.0, list[Batch]()
    for action, number, pause, spec in script:
        now += pause
        name, drops = f"s{number}", ()
        if action == "submit":
            drops = scheduler.submit([make_ticket(name, submitted, now, 0.08)], now)
            submitted += 1
        elif action == "batch" and len(running) < 3:
            decision = scheduler.next_batch(now)
            drops = decision.drops
            if decision.batch:
                running.append(decision.batch)
        elif action == "complete" and running:
            batch = running.pop(number % len(running))
            scheduler.complete(batch, now)
            for ticket in batch.tickets:
                ended[ticket.index] += 1
                finished.setdefault(ticket.stream, []).append(ticket.index)
        elif action == "close":
            drops = scheduler.close(name)
        elif action == "open":
            scheduler.open(name, spec, now)
        ended.update(d.ticket.index for d in drops)
    ended.update(ticket.index for batch in running for ticket in batch.tickets)
    ended.update(d.ticket.index for i in range(6) for d in scheduler.close(f"s{i}"))
    assert ended == Counter(range(submitted))
    assert all(order == sorted(order) for order in finished.values())
    assert scheduler.snapshot().num_waiting == 0


def overload(
    streams: dict[str, QosSpec], sizes: tuple[int, ...], num_workers: int, num_frames: int
) -> Iterator[tuple[float, Batch]]:
    """Batches of an engine at 4 ms + 1 ms a frame, while a frame of each stream always waits."""
    scheduler = Scheduler(SchedulerConfig(sizes))
    for name, spec in streams.items():
        scheduler.open(name, spec, 0.0)
    scheduler.submit([make_ticket(name, 0, 0.0, NEVER) for name in streams], 0.0)
    now, running = 0.0, list[tuple[float, Batch]]()
    while num_frames > 0:
        batch = scheduler.next_batch(now).batch
        assert batch is not None, "it kept the engine idle"
        yield now, batch
        num_frames -= len(batch.tickets)
        fresh = [make_ticket(t.stream, t.index + 1, now, NEVER) for t in batch.tickets]
        scheduler.submit(fresh, now)
        running.append((now + 0.004 + 0.001 * len(batch.tickets), batch))
        if len(running) == num_workers:
            now, done = min(running, key=lambda run: run[0])
            running = [run for run in running if run[1] is not done]
            scheduler.complete(done, now)


def count(batches: Iterator[tuple[float, Batch]], since: float = 0.5) -> Counter[str]:
    return Counter(t.stream for now, batch in batches if now >= since for t in batch.tickets)


def relative(name: QosClass, weight: float, min_fps: float = NO_FLOOR) -> QosSpec:
    weight *= CLASS_DEFAULTS[name].weight
    return QosSpec(class_name=name, weight=weight, min_fps=min_fps)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(((1,), (1, 2), (1, 2, 4))),
    st.integers(1, 2),
    st.lists(st.lists(st.sampled_from((1.0, 2.0)), max_size=4), min_size=4, max_size=4),
    st.sets(classes, min_size=1),
)
def test_in_overload_classes_and_streams_of_a_class_share_by_weight_within_5_percent(
    sizes: tuple[int, ...], num_workers: int, extra: list[list[float]], present: set[QosClass]
) -> None:
    # As many streams that one class alone could fill the batches: one gives one frame at a time.
    weights = {
        name: [1.0] * (2 * sizes[-1] * num_workers + 2) + more
        for name, more in zip(QosClass, extra, strict=True)
        if name in present
    }
    streams = {
        f"{name.value}{i}": relative(name, weight)
        for name, each in weights.items()
        for i, weight in enumerate(each)
    }
    served = count(overload(streams, sizes, num_workers, 3000))
    total = sum(CLASS_DEFAULTS[name].weight for name in present)
    for name, each in weights.items():
        of_class = sum(served[f"{name.value}{i}"] for i in range(len(each)))
        fair = served.total() * CLASS_DEFAULTS[name].weight / total
        assert of_class == pytest.approx(fair, rel=0.05, abs=2.0)
        for i, weight in enumerate(each):
            own = of_class * weight / sum(each)
            assert served[f"{name.value}{i}"] == pytest.approx(own, rel=0.05, abs=2.0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(specs, min_size=1, max_size=30), st.sampled_from(SIZES), st.sampled_from((0.1, 1.0))
)
def test_nobody_starves(streams: list[QosSpec], sizes: tuple[int, ...], floor_fps: float) -> None:
    named = {
        f"s{i}": spec.model_copy(update={"min_fps": spec.min_fps or floor_fps})
        for i, spec in enumerate(streams)
    }
    waited = dict.fromkeys(named, (0.0, 0))
    in_class = Counter(spec.class_name for spec in streams)
    num_frames = 0
    for now, batch in overload(named, sizes, 1, 2500):
        num_frames += len(batch.tickets)
        for ticket in batch.tickets:
            waited[ticket.stream] = (now, num_frames)
        for name, (since, _) in waited.items():
            spec = named[name]
            part = CLASS_DEFAULTS[spec.class_name].weight / ALL_WEIGHTS
            most = 100 + sizes[-1] + 4 * in_class[spec.class_name] / part
            is_due = now > since + 1.0 / (spec.min_fps or floor_fps)
            if not is_due:
                waited[name] = (since, num_frames)
            assert num_frames - waited[name][1] <= most


@settings(max_examples=20, deadline=None)
@given(
    costs,
    st.sampled_from(((1,), (1, 2, 4), (1, 2, 4, 8))),
    st.integers(1, 4),
    st.lists(st.sampled_from(list(QosClass)[1:]), min_size=24, max_size=40),
)
def test_critical_within_its_share_waits_for_the_batch_in_flight_and_for_itself_only(
    cost: CostModel, sizes: tuple[int, ...], num_critical: int, others: list[QosClass]
) -> None:
    machine = Machine(cost, sizes)
    fps = 0.4 * machine.capacity_fps / num_critical
    spec = QosSpec(class_name=QosClass.CRITICAL, deadline_ms=2000.0)
    group = [Camera(f"critical{i}", spec, fps) for i in range(num_critical)]
    for i, name in enumerate(others):
        each = QosSpec(class_name=name, min_fps=0.2 * machine.capacity_fps / len(others))
        group.append(Camera(f"other{i}", each, 3.0 * machine.capacity_fps / len(others)))
    seconds = 0.8 + 150.0 / machine.capacity_fps
    outcome = machine.play(group, tickets_of(group, jittered, seconds))
    streams: dict[float, set[str]] = {}
    for (stream, _), taken in outcome.taken.items():
        streams.setdefault(taken, set()).add(stream)
    for ticket in outcome.tickets:
        taken = outcome.taken.get((ticket.stream, ticket.index))
        if not ticket.stream.startswith("critical") or taken is None or ticket.arrival < 0.5:
            continue
        between = [streams[at] for at in streams if ticket.arrival < at < taken]
        assert all(stream.startswith("critical") for batch in between for stream in batch)


@settings(max_examples=12, deadline=None)
@given(
    costs,
    st.sampled_from(((1,), (1, 2, 4, 8))),
    st.lists(st.tuples(classes, st.integers(1, 6)), min_size=2, max_size=30),
    st.integers(1, 2),
)
def test_floors_are_kept_where_they_fit_but_for_one_second_at_most(
    cost: CostModel, sizes: tuple[int, ...], parts: list[tuple[QosClass, int]], num_workers: int
) -> None:
    machine = Machine(cost, sizes, num_workers=num_workers)
    # A batch must be full to reach the capacity, and one stream gives one frame at a time.
    fitting = 0.7 * machine.capacity_fps * min(1.0, len(parts) / sizes[-1] / 3.0)
    unit = fitting / sum(part for _, part in parts)
    group = [
        Camera(
            f"s{i}",
            QosSpec(class_name=name, min_fps=part * unit, deadline_ms=3000.0),
            4.0 * part * unit,
        )
        for i, (name, part) in enumerate(parts)
    ]
    seconds = 2.0 + 20.0 / unit
    outcome = machine.play(group, tickets_of(group, jittered, min(seconds, 6.0)))
    length = min(seconds, 6.0) - 1.0
    served = outcome.served(1.0, 1.0 + length)
    for camera in group:
        floor = camera.qos.min_fps or 0.0
        assert served[camera.name] >= floor * (length - 1.0) - 2


@settings(max_examples=10, deadline=None)
@given(st.integers(4, 12), st.integers(4, 12))
def test_floors_that_do_not_fit_share_by_class(num_high: int, num_low: int) -> None:
    streams = {f"h{i}": relative(QosClass.HIGH, 1.0, 400.0 / num_high) for i in range(num_high)}
    streams |= {f"l{i}": relative(QosClass.LOW, 1.0, 400.0 / num_low) for i in range(num_low)}
    served = count(overload(streams, (1,), 1, 2500))
    high = sum(num for name, num in served.items() if name.startswith("h"))
    assert high == pytest.approx(0.8 * served.total(), rel=0.05)
    assert min(served[name] for name in streams) >= 0.9 * 0.2 * served.total() / num_low - 2


def test_a_stream_without_a_floor_is_served_once_a_minute_whatever_floors_others_have() -> None:
    streams = {"none": relative(QosClass.LOW, 1.0)}
    streams |= {f"l{i}": relative(QosClass.LOW, 1.0, 100.0) for i in range(4)}
    served = [
        now
        for now, batch in overload(streams, (1,), 1, 25_000)
        for t in batch.tickets
        if t.stream == "none"
    ]
    gaps = [after - before for before, after in pairwise([0.0, *served])]
    assert len(served) >= 2
    assert max(gaps) <= 60.5
