"""The degrade ladder: who gives what, in which order, when, and when it is given back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.inference.demand import StreamDemand
from actors.inference.filling import water_level
from actors.inference.ladder import DegradeLadder
from actors.inference.overload import LadderConfig, Load
from actors.inference.rungs import RUNGS, floor_cap_fps, step_at
from actors.messages import DegradeStep, StreamQos, StreamStep
from actors.specs import CLASS_DEFAULTS, QosClass
from tests.actors.ladder_world import Camera, World, qos, ticket

CLASSES = list(QosClass)
STEPS = list(DegradeStep)
CAPPED, KEY_FRAMES, PAUSED = STEPS[1:]
OVERLOAD = 3  # rungs up to which floors are kept


def cameras(num: int = 4, fps: float = 10.0, min_fps: float = 1.0) -> list[Camera]:
    return [
        Camera(f"{name.value}-{number}", name, fps, min_fps)
        for name in CLASSES
        for number in range(num)
    ]


@st.composite
def some_cameras(draw: st.DrawFn) -> list[Camera]:
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=12))
    return [
        Camera(
            f"{name.value}-{number}",
            name,
            fps=draw(st.floats(1.0, 30.0)),
            min_fps=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
            max_fps=draw(st.sampled_from([None, 0.5, 5.0])),
        )
        for number, name in enumerate(classes)
    ]


def strength(world: World, name: QosClass) -> list[int]:
    return sorted(STEPS.index(step) for step in world.steps[name])


def test_the_rungs_go_from_the_lowest_class_up_and_from_the_mildest_step_on() -> None:
    assert [f"{name.value} {step.value}" for name, step in RUNGS] == [
        "low capped",
        "normal capped",
        "high capped",
        "low key_frames",
        "normal key_frames",
        "high key_frames",
        "low paused",
        "normal paused",
        "high paused",
    ]
    assert {step_at(rung, QosClass.CRITICAL) for rung in range(10)} == {DegradeStep.NONE}
    assert step_at(9, QosClass.HIGH) is PAUSED
    assert step_at(0, QosClass.LOW) is DegradeStep.NONE


@pytest.mark.parametrize("name", CLASSES)
def test_a_cap_leaves_a_fifth_above_the_floor_and_a_picture_every_five_seconds(name) -> None:
    assert floor_cap_fps(qos(name)) == pytest.approx(1.2 * CLASS_DEFAULTS[name].min_fps)
    assert floor_cap_fps(qos(name, 0.0)) == floor_cap_fps(qos(name, 0.1)) == 0.2


@settings(deadline=None, max_examples=25)
@given(
    some_cameras(),
    st.lists(
        st.tuples(st.floats(1.0, 400.0), st.floats(10.0, 500.0), st.integers(1, 60)),
        min_size=1,
        max_size=5,
    ),
)
def test_whatever_the_load_critical_gives_nothing_and_no_class_more_than_a_lower_one(
    some, phases
) -> None:
    world = World(some, 100.0)
    for world.capacity_fps, world.decode_fps, seconds in phases:
        for _ in range(seconds):
            world.run(1)
            assert world.steps[QosClass.CRITICAL] <= {DegradeStep.NONE}
            high, normal, low = (strength(world, name) for name in CLASSES[1:])
            for weaker, stronger in ((high, normal), (normal, low), (high, low)):
                assert not (weaker and stronger) or weaker[-1] <= stronger[0]


def test_it_climbs_while_overload_lasts_and_only_as_far_as_it_must() -> None:
    world = World(cameras(), capacity_fps=130.0)  # 160 are offered, 125 without the low ones
    world.run(60)
    assert [rung for _, rung in world.changes] == [1]
    assert world.steps[QosClass.LOW] == {CAPPED}
    world.capacity_fps = 70.0
    world.run(60)
    assert [rung for _, rung in world.changes] == [1, 2, 3]
    assert world.steps[QosClass.HIGH] == {CAPPED}


def test_it_steps_back_one_by_one_when_the_load_falls_and_gives_all_back() -> None:
    world = World(cameras(), capacity_fps=70.0)
    world.run(60)
    assert world.rung == OVERLOAD
    for camera in world.cameras:
        camera.fps = 2.0
    world.run(120)
    assert [rung for _, rung in world.changes] == [1, 2, 3, 2, 1, 0]
    assert {camera.step for camera in world.cameras} == {DegradeStep.NONE}
    assert world.ladder.status(world.now, 0.0).steps == {}


def test_a_capped_camera_s_demand_is_seen_while_it_is_capped() -> None:
    world = World(cameras(), capacity_fps=70.0)
    world.run(400)
    assert [rung for _, rung in world.changes] == [1, 2, 3]
    for camera in world.cameras:
        if camera.qos_class is QosClass.HIGH:
            camera.fps = 2.0
    world.run(60)
    assert world.rung == OVERLOAD - 1


def test_a_burst_is_no_reason_to_climb() -> None:
    world = World(cameras(), capacity_fps=170.0)
    for _ in range(20):
        world.capacity_fps = 100.0
        world.run(3)
        world.capacity_fps = 250.0
        world.run(12)
    assert world.changes == []


def test_an_engine_at_its_limit_that_gives_up_nothing_is_no_reason_to_climb() -> None:
    world = World(cameras(), capacity_fps=160.0)
    world.run(120)
    assert world.utilisation == pytest.approx(1.0)
    assert world.changes == []


@settings(deadline=None, max_examples=25)
@given(some_cameras(), st.floats(1.05, 30.0))
def test_floors_are_kept_where_they_fit_whatever_is_asked_beyond_them(some, room) -> None:
    floors_fps = sum(min(c.fps, c.min_fps, c.max_fps or c.fps) for c in some)
    world = World(some, capacity_fps=max(1.0, floors_fps) * room)
    world.run(300)
    assert world.rung <= OVERLOAD
    for camera in some:
        least_fps = min(camera.fps, camera.min_fps, camera.max_fps or camera.fps)
        assert camera.offered_fps() >= least_fps


def test_where_floors_do_not_fit_low_gives_up_its_own_first() -> None:
    world = World(cameras(min_fps=5.0), capacity_fps=75.0)  # the floors are 80
    world.run(120)
    assert world.steps[QosClass.LOW] == {KEY_FRAMES, CAPPED}
    assert world.steps[QosClass.NORMAL] == {CAPPED}
    assert world.status.num_held == 2  # of four: each leaves 4.5
    world.capacity_fps = 50.0
    world.run(120)
    assert world.steps[QosClass.LOW] == {KEY_FRAMES}
    assert world.steps[QosClass.NORMAL] == {KEY_FRAMES, CAPPED}
    world.capacity_fps = 120.0
    world.run(120)
    assert world.rung == OVERLOAD


def test_decoders_that_are_behind_go_on_to_key_frames_and_to_the_pause() -> None:
    world = World(cameras(), capacity_fps=1000.0, decode_fps=125.0)
    world.run(60)
    assert world.steps[QosClass.LOW] == {KEY_FRAMES}
    assert world.steps[QosClass.HIGH] == {CAPPED}
    world.decode_fps = 41.0  # the critical cameras are 40, key frames of the others 6
    world.run(120)
    assert PAUSED in world.steps[QosClass.LOW]
    world.decode_fps = 1000.0
    world.run(1000)
    assert world.rung == 0


@settings(deadline=None, max_examples=25)
@given(
    some_cameras(),
    st.floats(5.0, 300.0),
    st.floats(20.0, 400.0),
    st.sampled_from([0.7, 1.0, 1.5, 3.0]),
)
def test_under_a_constant_load_it_comes_to_rest(some, capacity_fps, decode_fps, estimate) -> None:
    world = World(some, capacity_fps, decode_fps, estimate)
    world.run(2400)
    # At the edge, where decoders fall behind in minutes, a trip up and down each 300 s at most.
    late = [at for at, _ in world.changes if at > world.now - 1200]
    assert len(late) <= 2 * len(RUNGS) * (1200 // 300)


def test_with_a_right_estimate_of_the_engine_it_does_not_swing_at_all() -> None:
    world = World(cameras(), capacity_fps=100.0)
    world.run(3600)
    assert [rung for _, rung in world.changes] == [1, 2]


def test_a_step_back_that_did_not_hold_is_tried_again_later_and_later() -> None:
    world = World(cameras(), capacity_fps=1000.0, decode_fps=125.0)
    world.run(3600)
    moves = zip(world.changes, pairwise([0, *world.held]), strict=True)
    backs = [at for (at, _), held in moves if held == (4, 3)]  # four are needed
    waits = [round(b - a) for a, b in pairwise(backs)]
    assert waits == sorted(waits)
    assert waits[0] < 100
    assert waits[-1] >= 300


def test_the_class_that_gives_way_keeps_what_the_others_leave() -> None:
    world = World(cameras(), capacity_fps=135.0)  # 160 are offered
    world.run(60)
    low = [camera for camera in world.cameras if camera.qos_class is QosClass.LOW]
    assert {camera.step for camera in low} == {CAPPED}
    assert all(4.0 < camera.offered_fps() < 7.5 for camera in low)
    assert world.utilisation > 0.99
    world.capacity_fps = 128.0
    world.run(60)
    assert world.rung == 1
    assert all(camera.offered_fps() < 6.0 for camera in low)


@pytest.mark.parametrize("num", [1, 16])
def test_cameras_of_one_class_without_a_limit_keep_the_engine_busy(num) -> None:
    some = [Camera(f"n{n}", QosClass.NORMAL, 400.0 / num, 1.0) for n in range(num)]
    world = World(some, capacity_fps=150.0, estimate=0.7)
    world.run(600)
    assert world.utilisation > 0.99
    assert sum(camera.offered_fps() for camera in some) < 170.0
    assert len(world.changes) == 1


def test_classes_give_way_until_urgent_frames_are_on_time() -> None:
    world = World(cameras(), capacity_fps=140.0, late_from=0.95)  # 160 are offered
    world.run(200)
    low = [camera for camera in world.cameras if camera.qos_class is QosClass.LOW]
    assert {camera.step for camera in low} == {CAPPED}
    assert all(1.2 <= camera.offered_fps() < 8.0 for camera in low)
    late, total = world.late, world.late + world.on_time
    world.run(200)
    assert (world.late - late) / (world.late + world.on_time - total) < 0.05
    assert world.rung == 1


def test_what_the_class_that_gives_way_leaves_goes_to_the_one_below() -> None:
    world = World(cameras(), capacity_fps=100.0)  # 160 are offered
    world.run(60)
    assert world.rung == 2
    low = [camera for camera in world.cameras if camera.qos_class is QosClass.LOW]
    assert all(camera.offered_fps() == pytest.approx(1.2) for camera in low)
    for camera in world.cameras:
        if camera.qos_class is QosClass.NORMAL:
            camera.fps = 1.0
    world.run(8)
    assert world.rung == 2
    assert all(4.0 < camera.offered_fps() < 7.5 for camera in low)


def test_who_asks_for_little_gets_it_and_leaves_the_rest_to_the_others() -> None:
    assert water_level([1.0, 10.0, 10.0], 13.0) == 6.0
    assert water_level([5.0, 5.0], 10.0) == float("inf")
    assert water_level([5.0, 5.0], -3.0) == 0.0
    assert water_level([], 3.0) == float("inf")


def test_classes_that_are_not_there_are_skipped() -> None:
    some = [Camera(f"c{n}", QosClass.CRITICAL, 10.0, 1.0) for n in range(2)]
    some += [Camera(f"h{n}", QosClass.HIGH, 10.0, 1.0) for n in range(2)]
    world = World(some, capacity_fps=30.0)
    world.run(60)
    assert [rung for _, rung in world.changes] == [OVERLOAD]
    world.capacity_fps = 100.0
    world.run(60)
    assert world.rung == 0


def test_critical_cameras_alone_climb_nothing() -> None:
    world = World([Camera("a", QosClass.CRITICAL, 25.0, 5.0)], capacity_fps=10.0, decode_fps=10.0)
    world.run(120)
    assert world.changes == []


def test_a_stream_is_told_when_it_is_opened_and_when_its_step_changes() -> None:
    world = World(cameras(1), capacity_fps=20.0)
    world.run(30)
    assert world.rung == OVERLOAD
    ladder = world.ladder
    assert ladder.take_steps("ingest") == ()
    low = qos(QosClass.LOW, 2.0)
    ladder.open("other", StreamQos("new", low))
    ladder.open("other", StreamQos("first", qos(QosClass.CRITICAL)))
    assert ladder.take_steps("ingest") == ()
    assert ladder.take_steps("other") == (
        StreamStep("new", CAPPED, pytest.approx(2.4)),
        StreamStep("first", DegradeStep.NONE),
    )
    ladder.open("other", StreamQos("new", low))
    assert ladder.take_steps("other") == ()
    ladder.open("other", StreamQos("new", qos(QosClass.LOW, 1.0)))
    assert ladder.take_steps("other") == (StreamStep("new", CAPPED, pytest.approx(1.2)),)
    ladder.open("other", StreamQos("new", qos(QosClass.CRITICAL)))
    assert ladder.take_steps("other") == (StreamStep("new", DegradeStep.NONE),)


def test_a_stream_that_left_is_not_told_and_told_anew_when_it_is_back() -> None:
    ladder = DegradeLadder()
    ladder.open("ingest", StreamQos("a", qos(QosClass.LOW)))
    ladder.close("a")
    assert ladder.take_steps("ingest") == ()
    ladder.open("ingest", StreamQos("a", qos(QosClass.LOW)))
    assert ladder.take_steps("ingest") == (StreamStep("a", DegradeStep.NONE),)
    ladder.close("unknown")


def test_another_engine_begins_at_the_foot() -> None:
    world = World(cameras(), capacity_fps=70.0)
    world.run(60)
    world.ladder.take_steps("ingest")
    world.ladder.reset(world.now)
    assert world.ladder.status(world.now, 0.0).name == "none"
    told = world.ladder.take_steps("ingest")
    assert len(told) == 12
    assert {each.step for each in told} == {DegradeStep.NONE}


def test_the_status_says_which_rung_since_when_and_of_whom() -> None:
    world = World(cameras(1), capacity_fps=35.0)
    world.run(30)
    at, _ = world.changes[-1]
    status = world.ladder.status(world.now, utc=1e9)
    assert (status.rung, status.name, status.num_climbs) == (1, "low capped", 1)
    assert status.since == pytest.approx(1e9 - (world.now - at))
    assert status.steps == {"low-0": CAPPED}


def test_it_decides_once_in_an_interval() -> None:
    ladder = DegradeLadder(LadderConfig(interval_s=2.0))
    assert ladder.is_due(5.0)
    ladder.update(Load(0.0, 0.0, 0, 0), 5.0)
    assert not ladder.is_due(6.9)
    assert ladder.is_due(7.0)


def test_demand_is_what_was_decoded_and_not_what_came() -> None:
    demand = StreamDemand()
    assert demand.fps(0.0, 1.0) is None
    for second in range(0, 8, 2):
        demand.learn(ticket("a", index=25 * second, arrival=100.0 + second))
    assert demand.fps(106.5, 1.0) == pytest.approx(25.0)
    demand.learn(ticket("a", index=3, arrival=107.0, session=2))
    demand.learn(ticket("a", index=43, arrival=111.0, session=2))
    assert demand.fps(111.0, 1.0) == pytest.approx(10.0)


def test_a_silent_stream_asks_for_nothing_but_a_paused_one_is_remembered() -> None:
    demand = StreamDemand()
    demand.learn(ticket("a", index=0, arrival=100.0))
    demand.learn(ticket("a", index=50, arrival=102.0))
    assert demand.fps(113.0, 1.0) == 0.0
    assert demand.fps(113.0, 0.2) == pytest.approx(25.0)
    demand.pause()
    assert demand.fps(1000.0, 1.0) == pytest.approx(25.0)
