"""Whole days of cameras in seconds: the scheduler on traces of arrivals, on a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.specs import CLASS_DEFAULTS, QosClass
from engines.fake import CostModel
from tests.actors.traces import (
    NO_FLOOR,
    Arrivals,
    Camera,
    Machine,
    cameras,
    in_beats,
    jittered,
    paused,
    qos,
    regular,
    stalled,
    tickets_of,
)

GPU = Machine(CostModel(6.0, 1.5), (1, 2, 4, 8, 16))
CPU = Machine(CostModel(0.0, 8.0), (1, 2, 4))
PAIR = Machine(CostModel(6.0, 1.5), (1, 2, 4, 8), num_workers=2)
MACHINES = pytest.mark.parametrize("machine", [GPU, CPU, PAIR], ids=["gpu", "cpu", "pair"])
TRACES = pytest.mark.parametrize("arrivals", [regular, jittered, paused, stalled])
SECONDS = 6.0
WARM_UP_S = 1.0
CLASSES = list(QosClass)


def fleet(machine: Machine, parts: Sequence[float], fps: float = 10.0) -> list[Camera]:
    """Cameras of each class that ask for such a part of the engine."""
    total = machine.capacity_fps * machine.num_workers
    return [
        camera
        for name, part in zip(CLASSES, parts, strict=True)
        for camera in cameras(max(1, round(part * total / fps)), fps, qos(name.value))
    ]


def of_class(group: Sequence[Camera], *names: QosClass) -> list[Camera]:
    return [camera for camera in group if camera.qos.class_name in names]


@MACHINES
@TRACES
def test_nobody_is_late_while_the_engine_can_do_it_all(
    machine: Machine, arrivals: Arrivals
) -> None:
    group = fleet(machine, (0.2, 0.15, 0.15, 0.2))
    tickets = tickets_of(group, arrivals, SECONDS)
    outcome = machine.play(group, tickets)
    if arrivals in (regular, jittered):
        assert outcome.on_time(group, WARM_UP_S) == 1.0
        critical = {camera.name for camera in of_class(group, QosClass.CRITICAL)}
        waits = [
            outcome.taken[t.stream, t.index] - t.arrival for t in tickets if t.stream in critical
        ]
        longest_s = machine.cost.batch_ms(machine.sizes[-1]) / 1e3
        assert max(waits) <= longest_s + max(0.04, machine.delay_s)
    last = {ticket.stream: ticket for ticket in tickets}.values()
    assert all((t.stream, t.index) in outcome.done for t in last)


def test_cameras_that_come_in_beats_lose_nothing_while_the_engine_can_do_it_all() -> None:
    """What one beat brings is hardly done when the next comes."""
    machine = Machine(CostModel(0.6, 0.175), (1, 8, 32), slowness=lambda n: 1.0 + n % 3 * 0.03)
    group = cameras(150, 30.0, qos("normal"))
    tickets = tickets_of(group, in_beats, SECONDS)
    outcome = machine.play(group, tickets)
    assert outcome.busy(WARM_UP_S, SECONDS) > 0.95
    assert not outcome.drops


@MACHINES
@TRACES
def test_in_overload_critical_and_high_are_on_time_while_they_fit_and_floors_are_kept(
    machine: Machine, arrivals: Arrivals
) -> None:
    group = fleet(machine, (0.25, 0.2, 0.75, 0.8))
    outcome = machine.play(group, tickets_of(group, arrivals, SECONDS))
    if arrivals in (regular, jittered):
        assert outcome.on_time(of_class(group, QosClass.CRITICAL), WARM_UP_S) >= 0.99
        assert outcome.on_time(of_class(group, QosClass.HIGH), WARM_UP_S) >= 0.99
    served = outcome.served()
    for camera in group:
        least = CLASS_DEFAULTS[camera.qos.class_name].min_fps * (SECONDS - 1.5) - 1
        assert served[camera.name] >= least, camera.name
    if arrivals is not stalled:
        assert outcome.busy(WARM_UP_S, SECONDS) >= 0.97


@pytest.mark.parametrize("machine", [GPU, CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize("arrivals", [regular, jittered, paused])
def test_in_overload_classes_share_by_weight(machine: Machine, arrivals: Arrivals) -> None:
    group = fleet(machine, (0.9, 0.6, 0.5, 0.5))
    outcome = machine.play(group, tickets_of(group, arrivals, SECONDS))
    weights = sum(defaults.weight for defaults in CLASS_DEFAULTS.values())
    floors = {
        name: len(of_class(group, name)) * defaults.min_fps / machine.capacity_fps
        for name, defaults in CLASS_DEFAULTS.items()
    }
    for name, share in outcome.shares(group, WARM_UP_S, SECONDS).items():
        fair = CLASS_DEFAULTS[name].weight / weights
        assert share == pytest.approx(fair, rel=0.05) or floors[name] > fair, (name, share)


def test_a_camera_at_120_fps_gets_no_more_than_its_class_has_for_each() -> None:
    slow = cameras(30, 10.0, qos("normal", min_fps=NO_FLOOR))
    group = [*slow, Camera("fast", qos("normal", min_fps=NO_FLOOR), 120.0)]
    machine = Machine(CostModel(4.0, 2.0), (1, 2, 4, 8))
    busier = Machine(CostModel(8.0, 4.0), (1, 2, 4, 8))
    served = busier.play(group, tickets_of(group, jittered, SECONDS)).served()
    fair = busier.capacity_fps / len(group) * SECONDS
    assert served["fast"] <= 1.2 * fair
    assert min(served[camera.name] for camera in slow) >= 0.8 * fair
    idle = machine.play(group, tickets_of(group, jittered, SECONDS))
    assert idle.served()["fast"] > 20 * SECONDS, "what nobody else needs is its own"


def test_a_thousand_streams_each_get_their_floor() -> None:
    machine = Machine(CostModel(1.0, 0.4), (1, 2, 4, 8, 16, 32))
    counts = zip((60, 120, 320, 500), CLASSES, strict=True)
    group = [camera for num, name in counts for camera in cameras(num, 5.0, qos(name.value))]
    outcome = machine.play(group, tickets_of(group, jittered, 5.0))
    served = outcome.served()
    for camera in group:
        assert served[camera.name] >= CLASS_DEFAULTS[camera.qos.class_name].min_fps * 4.0 - 1
    assert outcome.on_time(of_class(group, QosClass.CRITICAL), WARM_UP_S) >= 0.99


def test_ten_more_cameras_in_overload_leave_critical_where_it_was() -> None:
    group = fleet(GPU, (0.4, 0.5, 0.6, 0.6))
    more = cameras(10, 10.0, qos("low"), "more")
    waits = []
    for streams in (group, [*group, *more]):
        outcome = GPU.play(streams, tickets_of(streams, jittered, SECONDS))
        critical = {camera.name for camera in of_class(streams, QosClass.CRITICAL)}
        took = sorted(
            outcome.done[t.stream, t.index] - t.arrival
            for t in outcome.tickets
            if t.stream in critical and (t.stream, t.index) in outcome.done
        )
        waits.append(took[len(took) * 99 // 100])
    assert waits[1] <= 1.2 * waits[0]


@MACHINES
def test_no_camera_that_pauses_holds_up_the_others(machine: Machine) -> None:
    group = fleet(machine, (0.1, 0.1, 0.1, 0.1))
    outcome = machine.play(group, tickets_of(group, paused, SECONDS))
    assert max(outcome.waits_idle, default=0.0) <= machine.delay_s + 1e-6


def test_frames_of_critical_that_are_inferred_are_on_time_where_some_batches_take_much_longer() -> (
    None
):
    """Cores that others use too: one batch in ten takes two to six times its usual time."""
    chance = random.Random(5)
    slowness = [chance.uniform(2.0, 6.0) if chance.random() < 0.1 else 1.0 for _ in range(20_000)]
    machine = replace(PAIR, cost=CostModel(0.0, 10.0), sizes=(1,), slowness=slowness.__getitem__)
    group = fleet(machine, (0.6, 0.4, 0.4, 0.4))
    outcome = machine.play(group, tickets_of(group, jittered, 40.0))
    critical = {camera.name for camera in of_class(group, QosClass.CRITICAL)}
    due = {(t.stream, t.index): t.deadline for t in outcome.tickets if t.arrival > 10.0}
    lateness = [
        outcome.done[frame] > due[frame]
        for frame in outcome.done
        if frame[0] in critical and frame in due
    ]
    assert len(lateness) > 500
    assert sum(lateness) / len(lateness) < 0.01
