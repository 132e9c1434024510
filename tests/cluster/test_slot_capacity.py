"""What a slot promises by is steady, and belongs to the model that runs."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from actors.inference.actor import EngineStatus
from actors.inference.policy import SchedulerConfig
from actors.inference.scheduler import Scheduler
from cluster.slot.capacity import Capacity, SteadyValue

SNAPSHOT = Scheduler(SchedulerConfig()).snapshot()


def engine(
    fps: float, frame_ms: float = 8.3, model: str = "traffic", utilisation: float = 0.2
) -> EngineStatus:
    batch_ms = {4: 3 * frame_ms, 1: frame_ms}
    scheduler = replace(SNAPSHOT, capacity_fps=fps, batch_ms=batch_ms, utilisation=utilisation)
    return EngineStatus("a", model, "", scheduler, 0)


def test_what_is_measured_first_is_no_promise_yet() -> None:
    value = SteadyValue()
    for now in (0.0, 1.0, 4.9):
        value.add(80.0, now)
        assert value.value == 0.0
    value.add(80.0, 5.0)
    assert value.value == 80.0


def test_a_hiccup_moves_nothing_and_a_lasting_change_is_followed() -> None:
    value = SteadyValue()
    for tenth in range(100):
        value.add(5.0 if 40 <= tenth < 80 else 80.0, tenth / 10)
    assert value.value == 80.0
    for tenth in range(100, 200):
        value.add(40.0, tenth / 10)
    assert value.value == 40.0


def test_what_is_known_stays_while_nothing_new_is() -> None:
    value = SteadyValue()
    for now in (0.0, 2.0, 5.0, 500.0):
        value.add(80.0, now)
    assert value.value == 80.0


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 100.0)), min_size=1, max_size=60))
def test_a_value_is_the_median_of_what_was_seen_in_ten_seconds(
    steps: list[tuple[float, float]],
) -> None:
    value, now, seen = SteadyValue(), 0.0, list[tuple[float, float]]()
    for step_s, each in steps:
        now += step_s
        value.add(each, now)
        seen = [(at, x) for at, x in (*seen, (now, each)) if now - at <= 10.0]
        if now - seen[0][0] >= 5.0:
            assert value.value == median(x for _, x in seen)


def test_at_rest_twice_as_much_is_admitted_as_batches_one_by_one_get_done() -> None:
    capacity = Capacity()
    for now in range(7):
        capacity.observe(engine(60.0), now)
    assert (capacity.fps, capacity.admission_fps) == (60.0, 120.0)


def test_what_a_busy_engine_has_shown_is_admitted_also_when_it_rests_again() -> None:
    capacity = Capacity()
    for now in range(7):
        capacity.observe(engine(60.0), now)
    for now in range(7, 20):
        capacity.observe(engine(95.0, utilisation=0.98), now)
    assert (capacity.fps, capacity.admission_fps) == (95.0, 95.0)
    for now in range(20, 40):
        capacity.observe(engine(60.0), now)
    assert (capacity.fps, capacity.admission_fps) == (60.0, 95.0)


def test_the_cost_of_one_frame_is_that_of_the_smallest_batch() -> None:
    capacity = Capacity()
    for now in range(7):
        capacity.observe(engine(120.0), now)
    assert (capacity.fps, capacity.frame_ms) == (120.0, 8.3)


def test_a_scheduler_that_has_learned_nothing_leaves_the_capacity_unknown() -> None:
    capacity = Capacity()
    for now in range(20):
        capacity.observe(engine(0.0), now)
    assert (capacity.fps, capacity.frame_ms) == (0.0, 0.0)


def test_another_model_is_measured_anew_and_an_engine_that_is_away_changes_nothing() -> None:
    capacity = Capacity()
    for now in range(7):
        capacity.observe(engine(120.0), now)
    capacity.observe(None, 7)
    assert capacity.fps == 120.0
    capacity.observe(engine(30.0, model="other"), 8)
    assert (capacity.fps, capacity.admission_fps, capacity.model) == (0.0, 0.0, "other")


def test_before_the_first_frame_the_engine_is_known_from_its_start_and_nothing_is_refused() -> None:
    capacity = Capacity()
    begun = replace(engine(0.0), start_ms={1: 8.0, 4: 20.0})
    capacity.observe(begun, 0.0)
    assert (capacity.fps, capacity.admission_fps, capacity.frame_ms) == (200.0, 0.0, 8.0)
    for now in range(1, 8):
        capacity.observe(replace(engine(150.0), start_ms=begun.start_ms), now)
    assert (capacity.fps, capacity.frame_ms) == (150.0, 8.3)
