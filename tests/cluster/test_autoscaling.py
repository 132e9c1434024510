"""How many slots are wanted, and how Serve asks."""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle
from ray.serve._private.autoscaling_state import _resolve_policy_callable
from ray.serve._private.build_app import build_app
from ray.serve._private.common import DeploymentID
from ray.serve._private.config import DeploymentConfig
from ray.serve.autoscaling_policy import _apply_autoscaling_config
from ray.serve.config import AutoscalingContext

from cluster import app
from cluster.autoscaling.demand import Demand, SlotShape, demand_of
from cluster.autoscaling.policy import Bounds, Hysteresis, Wanted, wanted_slots
from cluster.autoscaling.serve import ScalingWatch, SlotScaling
from cluster.config import SightlineConfig
from cluster.embedded import EmbeddedRedis
from cluster.placement import STEP_S, Axes, Free, slot_load
from cluster.registry import Registry
from tests.cluster.builders import eventually, stream_spec
from tests.cluster.placement_model import need

SHAPE = SlotShape(Axes(100.0, 1000.0), 64)
BOUNDS = Bounds(min_slots=1, max_slots=9, headroom=0.8, downscale_delay_s=300)


def wanted(demand: Demand, current: int = 1, bounds: Bounds = BOUNDS) -> Wanted:
    return wanted_slots(demand, current, bounds, Hysteresis(), 0.0)


def demand(
    floors: float = 0.0, decoding: float = 0.0, num: int = 1, shape: SlotShape = SHAPE
) -> Demand:
    return Demand(num, Axes(floors, decoding), num_ready=1, shape=shape)


@pytest.mark.parametrize(
    ("needed", "number", "words"),
    [
        (demand(72.0), 1, "no fewer than min_slots; need 72 frames/s of floors"),
        (demand(72.1), 2, "need 72.1 frames/s of floors, a slot has 90 and is planned to 80%"),
        (demand(0, 2500.0), 4, "need 2500 Mpx/s of decoding, a slot has 1000"),
        (demand(num=103), 3, "need 103 streams, a slot has 64"),
        (demand(1e4), 9, "139 would be needed, max_slots is 9: need 1e+04 frames/s"),
    ],
)
def test_the_axis_that_asks_for_the_most_decides(needed: Demand, number: int, words: str) -> None:
    found = wanted(needed, bounds=BOUNDS)
    assert found.number == number
    assert number == 1 or words in found.reason


def test_without_streams_the_floor_is_kept_and_nothing_is_known_to_be_wrong() -> None:
    found = wanted(Demand(shape=SHAPE))
    assert (found.number, found.reason) == (1, "no fewer than min_slots; no stream needs a slot")


def test_slots_may_all_go_where_the_floor_is_nothing_and_come_back_for_one_stream() -> None:
    bounds = Bounds(min_slots=0, max_slots=3, downscale_delay_s=0)
    assert wanted(Demand(shape=SHAPE), 1, bounds).number == 0
    assert wanted(demand(), 0, bounds).number == 1
    unknown = Demand(num_streams=1, num_pending=1)
    assert wanted(unknown, 0, bounds).number == 1


def test_streams_that_fit_nowhere_bring_slots_besides_those_that_are_ready_and_no_more() -> None:
    pending = Demand(8, Axes(8, 400), 2, Axes(4, 115.0), num_ready=2, shape=SHAPE)
    found = wanted(pending, 2)
    assert found.number == 3
    assert found.reason == (
        "2 streams fit on none of 2 ready slots, and need 4 frames/s and 115 Mpx/s"
    )
    assert wanted(pending, 3).number == 3, "one is on its way already"


def test_more_can_be_made_to_wait() -> None:
    bounds = Bounds(max_slots=9, upscale_delay_s=20)
    first = wanted_slots(demand(150.0), 1, bounds, Hysteresis(), 100.0)
    assert first.number == 1
    assert first.reason.startswith("goes from 1 to 3 in 20 s, if it stays: need 150 frames/s")
    second = wanted_slots(demand(150.0), 1, bounds, first.state, 119.0)
    third = wanted_slots(demand(150.0), 1, bounds, second.state, 120.0)
    assert (second.number, third.number) == (1, 3)


def test_fewer_wait_for_a_calm_time_and_then_as_many_stay_as_were_needed_during_it() -> None:
    state, numbers = Hysteresis(), []
    for second, floors in ((0, 20.0), (100, 110.0), (200, 20.0), (299, 20.0), (300, 20.0)):
        found = wanted_slots(demand(floors), 4, BOUNDS, state, float(second))
        state = found.state
        numbers.append(found.number)
    assert numbers == [4, 4, 4, 4, 2]
    assert found.reason == "2 were needed lately"


def test_what_comes_back_within_the_calm_time_takes_no_slot_with_it() -> None:
    first = wanted_slots(demand(20.0), 2, BOUNDS, Hysteresis(), 0.0)
    assert first.reason.startswith("goes from 2 to 1 in 300 s, if it stays")
    back = wanted_slots(demand(120.0), 2, BOUNDS, first.state, 250.0)
    again = wanted_slots(demand(20.0), 2, BOUNDS, back.state, 251.0)
    assert (back.number, again.number) == (2, 2)
    assert "in 300 s" in again.reason


def test_fewer_slots_must_hold_with_a_margin() -> None:
    bounds = Bounds(max_slots=9, downscale_delay_s=0)
    assert wanted(demand(70.0), 2, bounds) == Wanted(
        2,
        "2 stay, since 1 would be fuller than 72%: need 70 frames/s of floors, a slot has 90 and "
        "is planned to 80%",
        Hysteresis(),
    )
    assert wanted(demand(64.0), 2, bounds).number == 1


@given(
    floors=st.floats(0, 2000),
    decoding=st.floats(0, 9000),
    num=st.integers(0, 500),
    current=st.integers(0, 12),
    start=st.integers(0, 12),
)
def test_with_the_same_streams_it_comes_to_one_number_and_stays_there(
    floors: float, decoding: float, num: int, current: int, start: int
) -> None:
    needed, state, seen = demand(floors, decoding, num), Hysteresis(), []
    current = start
    for second in range(0, 2000, 50):
        found = wanted_slots(needed, current, BOUNDS, state, float(second))
        current, state = found.number, found.state
        seen.append(current)
        assert found.reason
    assert len(set(seen[1:])) <= 2
    assert len(set(seen[10:])) == 1
    assert BOUNDS.min_slots <= current <= BOUNDS.max_slots
    if current < BOUNDS.max_slots:
        assert floors <= current * 90 + 1e-6
        assert decoding <= current * 1000 + 1e-6
        assert num <= current * 64


def test_all_streams_count_those_of_slots_that_drain_and_those_that_wait() -> None:
    loads = [
        slot_load("a", [need("x"), need("y")], max_streams=2, capacity=SHAPE.capacity),
        slot_load("b", [need("z")], max_streams=4, is_ready=False, is_draining=True),
    ]
    found = demand_of(loads, [Free(need("new"), 0.0)])
    assert (found.num_streams, found.axes, found.num_ready) == (4, Axes(4, 40), 1)
    assert found.num_pending == 0, "it has not waited long"
    assert found.shape == SlotShape(SHAPE.capacity, 3)
    found = demand_of(loads, [Free(need("new"), STEP_S)])
    assert (found.num_pending, found.pending) == (1, Axes(1, 10))


@pytest.mark.parametrize(
    ("wanting", "num"),
    [
        (need("site", site="north"), 0),
        (need("huge", floor_fps=91.0), 0),
        (need("usual"), 1),
        (need("here", pool="gpu"), 1),
    ],
)
def test_only_streams_that_another_slot_would_help_ask_for_one(wanting: object, num: int) -> None:
    full = slot_load(
        "a",
        [need(f"{at}", floor_fps=30.0) for at in range(3)],
        max_streams=9,
        capacity=SHAPE.capacity,
        labels={"pool": "gpu"},
    )
    assert demand_of([full], [Free(wanting, 60.0)]).num_pending == num  # type: ignore[arg-type]


def test_what_slots_can_do_is_remembered_while_none_says_so() -> None:
    starting = slot_load("a", [], max_streams=64)
    assert demand_of([starting], [], SHAPE).shape == SHAPE
    assert demand_of([], [], SHAPE).shape == SHAPE


@pytest.fixture
def registry(server: EmbeddedRedis) -> Iterator[Registry]:
    registry = Registry.open(server.url)
    registry._store.client.flushall()
    yield registry
    registry.close()


def context(target: int, current: int | None = None) -> AutoscalingContext:
    """As the controller makes it."""
    return AutoscalingContext(
        deployment_id=DeploymentID(name="Slot", app_name=app.NAME),
        deployment_name="Slot",
        app_name=app.NAME,
        current_num_replicas=target if current is None else current,
        target_num_replicas=target,
        running_replicas=[],
        total_num_requests=0.0,
        total_queued_requests=0.0,
        aggregated_metrics={},
        raw_metrics={},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=9,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=time.time(),
        config=None,
    )


def scaling_threads() -> int:
    return sum(thread.name == "scaling" for thread in threading.enumerate())


def test_the_watch_counts_the_streams_of_the_registry_and_publishes_why(
    registry: Registry,
) -> None:
    for at in range(5):
        registry.streams.create(stream_spec(f"cam{at}"))
    registry.streams.create(stream_spec("other", pipeline="night"))
    load = slot_load("a", [], max_streams=2, capacity=SHAPE.capacity)
    registry.slots.publish_load("a", load.to_json(), 60_000)
    watch = ScalingWatch(registry, BOUNDS, ("default",))
    assert watch.look(1, 0.0) == 4
    shown = registry.scaling.get()
    assert shown is not None
    assert (shown.wanted, shown.current, shown.num_streams) == (4, 1, 5)
    assert shown.reason == "need 5 streams, a slot has 2 and is planned to 80%"
    assert abs(shown.updated_at - time.time()) < 60


def test_serve_is_answered_from_redis_and_with_what_it_had_before(registry: Registry) -> None:
    redis_url = f"redis://{registry.address}/0"
    registry.streams.create(stream_spec("cam"))
    load = slot_load("a", [], max_streams=1, capacity=SHAPE.capacity)
    registry.slots.publish_load("a", load.to_json(), 60_000)
    policy = SlotScaling(redis_url, "sightline", BOUNDS, every_s=0.02)
    assert policy(context(7))[0] in (7, 2)
    eventually(lambda: policy(context(1))[0] == 2)


def test_a_policy_without_redis_keeps_the_number_and_never_waits() -> None:
    policy = SlotScaling("redis://127.0.0.1:1/0", "sightline", BOUNDS, every_s=0.01)
    assert [policy(context(number))[0] for number in (3, 5, 4)] == [3, 5, 4]


def test_the_last_answer_stands_when_redis_goes_away() -> None:
    with EmbeddedRedis() as server:
        registry = Registry.open(server.url)
        load = slot_load("a", [need(f"{at}") for at in range(5)], max_streams=2)
        registry.slots.publish_load("a", load.to_json(), 60_000)
        policy = SlotScaling(server.url, "sightline", BOUNDS, every_s=0.01)
        eventually(lambda: policy(context(1))[0] == 4)
        registry.close()
    time.sleep(0.05)
    assert policy(context(1))[0] == 4


def test_its_thread_ends_with_the_policy() -> None:
    gc.collect()
    eventually(lambda: scaling_threads() == 0)
    policy = SlotScaling("redis://127.0.0.1:1/0", "sightline", BOUNDS, every_s=0.01)
    policy(context(1))
    assert scaling_threads() == 1
    del policy
    gc.collect()
    eventually(lambda: scaling_threads() == 0)


def config(**scaling: object) -> SightlineConfig:
    return SightlineConfig.model_validate(
        {
            "redis": {"url": "redis://:secret@127.0.0.1:1/0"},
            "slots": {"device": "cpu", "num": 2},
            "api": {"auth": {"mode": "off"}},
            **({"autoscaling": scaling} if scaling else {}),
        }
    )


def slot_deployment(config: SightlineConfig) -> DeploymentConfig:
    """As the controller receives it."""
    built = build_app(app.application(config), name=app.NAME, default_runtime_env={})
    (slot,) = [each for each in built.deployments if each.name == "Slot"]
    return DeploymentConfig.from_proto_bytes(slot._deployment_config.to_proto_bytes())


def test_serve_gets_the_policy_with_its_bounds_and_shows_no_password() -> None:
    received = slot_deployment(config(min_slots=1, max_slots=5, headroom=0.7))
    scaling = received.autoscaling_config
    assert scaling is not None
    assert (scaling.min_replicas, scaling.initial_replicas, scaling.max_replicas) == (1, 2, 5)
    assert (scaling.upscale_delay_s, scaling.downscale_delay_s) == (0, 0)
    policy = _resolve_policy_callable(scaling.policy)
    assert isinstance(policy, SlotScaling)
    assert policy._asked[2] == Bounds(1, 5, 0.7)
    assert "secret" in policy._asked[0]
    assert not re.search("secret", f"{received.model_dump()} {received!r}")


def test_serve_applies_what_the_policy_wants() -> None:
    scaling = slot_deployment(config(max_slots=5)).autoscaling_config
    assert scaling is not None
    asked = context(2)
    asked.config = scaling
    number, _ = _apply_autoscaling_config(_resolve_policy_callable(scaling.policy))(asked)
    assert number == 2


def test_a_change_of_the_settings_is_a_change_for_serve() -> None:
    first, second = (slot_deployment(config(max_slots=5, headroom=h)) for h in (0.7, 0.8))
    assert first.autoscaling_config != second.autoscaling_config


def test_without_autoscaling_the_number_is_that_of_the_file() -> None:
    received = slot_deployment(config())
    assert (received.num_replicas, received.autoscaling_config) == (2, None)


def test_a_pickled_policy_is_one_that_has_not_begun() -> None:
    policy = SlotScaling("redis://127.0.0.1:1/0", "sightline", BOUNDS)
    policy(context(1))
    again = cloudpickle.loads(cloudpickle.dumps(policy))
    assert again._answers is None
    assert again._asked == policy._asked
