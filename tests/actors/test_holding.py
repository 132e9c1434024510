"""Who is held back where decoders do not keep up: as many as needed, where they are, in turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inference.holding import Group, Place, Turns
from actors.inference.rungs import NUM_CAPPED, RUNGS
from actors.messages import HELD_BACK, DegradeStep
from actors.specs import QosClass
from tests.actors.decoder_world import MAX_LAG_S, Decoded, DecoderWorld

NORMAL, LOW = QosClass.NORMAL, QosClass.LOW
OWNERS = ("ingest-0", "ingest-1", "ingest-2", "ingest-3")
TURN_S = 20


def cameras(num: int = 56, *classes: QosClass) -> list[Decoded]:
    """Cameras of classes in turn, block by block of four ingest actors."""
    kinds = classes or (NORMAL,)
    return [
        Decoded(f"cam{number:03d}", kinds[number % len(kinds)], OWNERS[number * 4 // num])
        for number in range(num)
    ]


def short(speed: float, num: int = 56, *classes: QosClass) -> DecoderWorld:
    return DecoderWorld(cameras(num, *classes), dict.fromkeys(OWNERS, speed))


@pytest.mark.parametrize(
    ("speed", "least"), [(0.95, 0.8), (0.85, 0.7), (0.7, 0.57), (0.4, 0.3), (0.2, 0.1)]
)
def test_what_is_lost_is_in_proportion_to_what_decoders_are_short_of(speed, least):
    world = short(speed)
    world.run(180)
    assert world.measure(1200) > least
    assert world.max_lag_s < MAX_LAG_S
    lags_s = [sum(world.lags_s().values()) for _ in range(100) if world.run(1) is None]
    assert min(lags_s) == 0.0


@pytest.mark.parametrize("speed", [0.85, 0.4])
def test_after_the_shortage_all_come_back_and_nobody_is_behind(speed):
    world = short(speed, 56, *QosClass)
    world.run(600)
    assert world.held()
    world.speeds = dict.fromkeys(OWNERS, 2.0)
    world.run(900)
    assert world.ladder.rung == 0
    assert not world.held()
    assert {camera.order.step for camera in world.cameras} == {DegradeStep.NONE}
    assert set(world.lags_s().values()) == {0.0}
    assert world.measure(60) == pytest.approx(1.0)


def test_lower_classes_are_held_back_first_and_critical_never():
    world = short(0.4, 56, *QosClass)
    for _ in range(600):
        world.run(1)
        held = world.held()
        for owner in OWNERS:
            classes = [
                {c.stream in held for c in world.cameras if (c.owner, c.qos_class) == (owner, name)}
                for name in QosClass
            ]
            assert classes[0] == {False}
            for higher, lower in pairwise(classes[1:]):
                assert True not in higher or lower == {True}
    assert {c.qos_class for c in world.cameras if c.stream in held} >= {NORMAL, LOW}


def test_cameras_of_a_class_take_turns():
    world = short(0.85)
    world.run(60)
    seen: Counter[str] = Counter()
    for _ in range(90):
        held = world.held()
        seen.update(held)
        world.run(TURN_S)
    assert set(seen) == {camera.stream for camera in world.cameras}
    assert max(seen.values()) <= 1.5 * min(seen.values())
    a, b = (world.held() for _ in range(2) if world.run(TURN_S) is None)
    assert a.isdisjoint(b)


def test_only_ingest_actors_that_are_behind_hold_cameras_back():
    world = short(2.0)
    world.speeds["ingest-2"] = 0.7
    owners = set()
    for _ in range(600):
        world.run(1)
        held = world.held()
        owners |= {camera.owner for camera in world.cameras if camera.stream in held}
    assert owners == {"ingest-2"}
    others = [camera for camera in world.cameras if camera.owner != "ingest-2"]
    assert {camera.order.max_fps for camera in others} == {None}
    assert world.measure(600) > 0.87


def test_each_ingest_actor_gives_what_it_is_short_of():
    world = short(0.85)
    world.speeds["ingest-3"] = 0.4
    world.run(600)
    held, nums = world.held(), []
    for owner in OWNERS:
        nums.append(sum(c.stream in held for c in world.cameras if c.owner == owner))
    assert max(nums[:3]) < 5
    assert nums[3] > 7


def test_who_is_not_held_back_keeps_what_the_engine_can_do():
    world = short(0.85)
    world.run(120)
    held = world.held()
    free = [camera for camera in world.cameras if camera.stream not in held]
    assert {camera.order.max_fps for camera in free} == {None}


@pytest.mark.parametrize(("engine", "decoders"), [(0.2, 0.85), (0.5, 0.85), (0.84, 0.5)])
def test_where_engine_and_decoders_are_short_each_does_what_it_can_and_the_ladder_rests(
    engine, decoders
):
    world = DecoderWorld(
        cameras(56, *QosClass), dict.fromkeys(OWNERS, decoders), engine=engine, shares_cores=False
    )
    world.run(300)
    before = world.num_moves
    assert world.measure(900) > 0.9 * min(engine, decoders)
    assert world.num_moves - before < 20


def test_an_engine_on_the_decoders_cores_is_asked_for_the_floors_alone_meanwhile():
    world = DecoderWorld(cameras(), dict.fromkeys(OWNERS, 0.85), shares_cores=True)
    world.run(120)
    assert world.held()
    assert None not in {camera.order.max_fps for camera in world.cameras}


def test_a_camera_that_comes_while_all_of_its_class_are_held_back_is_held_back_at_once():
    groups = {("a", LOW): ["x", "y"], ("a", NORMAL): ["z"]}
    assert Place(NUM_CAPPED, {"a": 8}).step_of_all(("a", LOW)) is DegradeStep.KEY_FRAMES
    assert Place(NUM_CAPPED, {"a": 7}).step_of_all(("a", LOW)) is DegradeStep.CAPPED
    assert Place(NUM_CAPPED, {"a": 8}).step_of_all(("b", LOW)) is DegradeStep.CAPPED
    assert Turns().steps(Place(NUM_CAPPED, {"a": 1}), groups) == {
        "x": DegradeStep.KEY_FRAMES,
        "y": DegradeStep.CAPPED,
        "z": DegradeStep.CAPPED,
    }


@st.composite
def some_groups(draw: st.DrawFn) -> Mapping[Group, list[str]]:
    sizes = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(OWNERS), st.sampled_from(list(QosClass))),
            st.integers(1, 20),
            min_size=1,
        )
    )
    return {
        (owner, name): [f"{owner}-{name.value}-{number:02d}" for number in range(size)]
        for (owner, name), size in sizes.items()
    }


@given(some_groups())
def test_each_step_up_takes_more_until_all_give_everything_and_each_step_back_takes_less(groups):
    strengths = list(DegradeStep)

    def taken(place: Place) -> int:
        return sum(strengths.index(step) for step in Turns().steps(place, groups).values())

    owners = {owner for owner, _ in groups}
    places = [Place()]
    while (above := places[-1].above(owners, groups)) is not None:
        places.append(above)
    assert all(taken(a) < taken(b) for a, b in pairwise(places))
    for (_, name), streams in groups.items():
        last = DegradeStep.NONE if name is QosClass.CRITICAL else DegradeStep.PAUSED
        steps = Turns().steps(places[-1], groups)
        assert {steps[stream] for stream in streams} == {last}
    place = places[-1]
    while place.rung:
        below = place.below(groups)
        assert taken(below) < taken(place)
        place = below
    assert taken(place) == 0


@given(some_groups(), st.integers(1, 8 * (len(RUNGS) - NUM_CAPPED)), st.integers(2, 30))
def test_turns_hold_back_always_as_many_and_all_as_often(groups, stage, num_turns):
    turns, place = Turns(), Place(NUM_CAPPED, dict.fromkeys(OWNERS, stage))
    strengths = list(DegradeStep)
    seen = Counter[str]()
    nums = set()
    for _ in range(num_turns):
        steps = turns.steps(place, groups)
        nums.add(sum(step in HELD_BACK for step in steps.values()))
        seen.update({stream: strengths.index(step) for stream, step in steps.items()})
        turns.move_on(place, groups)
    assert len(nums) == 1
    for streams in groups.values():
        times = [seen[stream] for stream in streams]
        assert max(times) - min(times) <= 2
