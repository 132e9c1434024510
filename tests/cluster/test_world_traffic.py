"""Traffic of the synthetic world: signals, distances and collisions."""

from __future__ import annotations

import numpy as np
import pytest

from cluster.demo.world import VIEWS, Scenario, World, scenarios
from cluster.demo.world.agents import Agent
from cluster.demo.world.collisions import first_collision
from cluster.demo.world.geometry import Polyline, rounded
from cluster.demo.world.layout import SignalPhase
from cluster.demo.world.network import Network
from cluster.demo.world.scenario import CAR
from cluster.demo.world.signals import SignalPlan

PLAN = SignalPlan((SignalPhase(("a",), 8.0, 2.0), SignalPhase(("b",), 5.0, 3.0)), 0.0)


def driver(identity: int, route: int, s_m: float, speed_mps: float = 0.0) -> Agent:
    log = [(s_m + 0.1 * speed_mps * step, speed_mps) for step in range(40)]
    return Agent(identity, CAR, route, 4.0, 1.8, 1.5, 10.0, s_m, speed_mps, 0, log=log)


@pytest.mark.parametrize("view", sorted(VIEWS))
@pytest.mark.parametrize("seed", [1, 2])
def test_vehicles_never_overlap(view, seed):
    assert World(Scenario(seed=seed, view=view, fps=5, duration_s=20)).collision() is None


def test_a_collision_is_found_when_one_car_drives_into_another():
    network = Network.of(VIEWS["bridge"])
    free = [driver(1, 0, 20.0), driver(2, 0, 30.0)]
    assert first_collision(free, network, 40) is None
    step, one, two = first_collision([driver(1, 0, 20.0), driver(2, 0, 4.0, 6.0)], network, 40)
    assert (one, two) == (1, 2)
    assert 18 <= step <= 24


def test_a_group_goes_only_in_its_phase():
    assert PLAN.going(1.0) == {"a"}
    assert PLAN.going(9.0) == frozenset()
    assert PLAN.going(11.0) == {"b"}
    assert PLAN.going(16.0) == frozenset()
    assert PLAN.going(19.0) == {"a"}


def test_the_next_green_is_one_that_has_lasted():
    at = PLAN.next_green_s("b", 2.0, 2.0)
    assert 12.0 <= at < 12.5
    assert PLAN.next_green_s("", 2.0, 2.0) == 2.0


def test_a_plan_can_be_shifted_so_that_a_green_begins_at_a_time():
    shifted = PLAN.shifted("b", 100.0)
    assert "b" in shifted.going(100.01)
    assert "b" not in shifted.going(99.9)


def test_a_green_too_short_to_settle_is_an_error():
    with pytest.raises(ValueError, match="'b'"):
        PLAN.next_green_s("b", 0.0, 6.0)


def test_a_polyline_is_walked_at_unit_speed():
    line = Polyline(rounded(((0, 0), (0, 20), (30, 20)), 5.0))
    places, headings = line.at(np.arange(0.0, 40.0, 0.5))
    steps = np.sqrt((np.diff(places, axis=0) ** 2).sum(axis=1))
    assert np.allclose(steps, 0.5, atol=0.03)
    assert np.allclose((headings**2).sum(axis=1), 1.0)


def test_scenarios_differ_in_seed_and_take_turns_in_views():
    chosen = scenarios(6, seed=3)
    assert len({scenario.seed for scenario in chosen}) == 6
    assert len({scenario.view for scenario in chosen[:5]}) >= 4
    assert scenarios(2, seed=3) == chosen[:2]
    assert not {s.seed for s in scenarios(6, seed=4)} & {s.seed for s in chosen}


def test_impossible_scenarios_are_refused():
    with pytest.raises(ValueError, match="641x360"):
        Scenario(seed=0, view="street", width=641)
    with pytest.raises(ValueError, match="duration_s=0"):
        Scenario(seed=0, view="street", duration_s=0)
    with pytest.raises(ValueError, match="-1"):
        scenarios(-1)


def test_the_digest_names_all_that_decides_a_clip():
    scenario = Scenario(seed=1, view="street")
    assert scenario.digest() == Scenario(seed=1, view="street").digest()
    assert scenario.digest() != Scenario(seed=2, view="street").digest()
    assert scenario.digest() != Scenario(seed=1, view="street", time_of_day="dusk").digest()
