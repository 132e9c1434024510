"""The simulator's books: who had a stream when. And a small run of the real thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.bench.simulator.paper import Note
from cluster.bench.simulator.simulator import SimulatorPlan, simulate
from cluster.bench.simulator.timeline import Timeline
from cluster.bench.simulator.virtual_server import VirtualServer
from cluster.embedded import EmbeddedRedis
from cluster.registry import Registry
from tests.cluster.builders import fresh_prefix, stream_spec


def timeline(*notes: tuple[float, str, int, bool]) -> Timeline:
    made = Timeline()
    made.add(Note(at, slot, "gate", token, is_open) for at, slot, token, is_open in notes)
    return made


def test_a_stream_that_is_given_up_and_taken_has_one_owner_at_a_time() -> None:
    moved = timeline((0.0, "a", 1, True), (5.0, "a", 1, False), (5.5, "b", 2, True))
    assert moved.num_overlaps(()) == 0
    assert moved.gaps_s({"gate"}, 1.0) == [0.5]
    assert moved.moved_since(1.0) == {"gate"}
    assert moved.held_by("b") == {"gate"}
    assert moved.held_by("a") == set()


def test_two_slots_that_have_a_stream_at_once_are_seen() -> None:
    both = timeline((0.0, "a", 1, True), (5.0, "b", 2, True))
    assert both.num_overlaps(()) == 1
    assert both.num_overlaps({"a"}) == 0


def test_a_token_that_is_not_newer_is_seen() -> None:
    older = timeline((0.0, "a", 2, True), (5.0, "a", 2, False), (5.5, "b", 1, True))
    assert older.num_overlaps(()) == 1


def test_after_a_death_the_gap_counts_from_it() -> None:
    died = timeline((0.0, "a", 1, True), (9.0, "b", 2, True))
    assert died.held_by("a") == {"gate"}
    assert died.gaps_s({"gate"}, 4.0) == [5.0]


def test_every_stream_has_one_owner_whichever_slot_dies_joins_or_leaves() -> None:
    plan = SimulatorPlan(60, 4, num_deaths=2, ttl_s=2.0, publish_every_s=2.0, calm_s=1.0)
    found = simulate(plan, lambda _: None)
    assert found["streams_with_two_owners"] == 0
    assert found["unowned_at_the_end"] == 0
    assert found["died"]["streams"] > 0
    assert 1.0 < found["died"]["longest_gap_s"] <= 2.0
    assert found["left"]["streams"] > 0
    assert found["left"]["with_state"] == found["left"]["streams_moved"] > 0


class Clock:
    """Shows what it is set to."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Iterator[Registry]:
    with EmbeddedRedis() as server:
        made = Registry(VirtualServer(server.url, clock), fresh_prefix())
        yield made
        made.close()


def free_after(registry: Registry, clock: Clock, seconds: int) -> list[float]:
    """Some slot looks each second; how long each free stream has been free in the end."""
    for _ in range(seconds):
        clock.now += 1.0
        found = registry.leases.free(10)
    return [each.free_s for each in found]


def test_leases_end_by_the_clock_of_the_simulation(registry: Registry, clock: Clock) -> None:
    registry.streams.create(stream_spec("gate"))
    held = registry.leases.claim("a", ["gate"], 5_000)
    assert free_after(registry, clock, 4) == []
    assert registry.leases.renew("a", held, 5_000).next_end_s == 5.0
    assert free_after(registry, clock, 4) == []
    assert registry.leases.renew("b", {}, 5_000).next_end_s == 1.0
    assert free_after(registry, clock, 1) == [0.0]
    assert free_after(registry, clock, 2) == [2.0]
    assert registry.leases.renew("b", {}, 5_000).next_end_s == float("inf")


def test_a_simulated_hour_may_be_over_at_once_and_leases_last_it(
    registry: Registry, clock: Clock
) -> None:
    registry.streams.create(stream_spec("gate"))
    held = registry.leases.claim("a", ["gate"], 5_000)
    for _ in range(1_000):
        clock.now += 4.0
        assert not registry.leases.renew("a", held, 5_000).lost
    assert registry.leases.claim("b", ["gate"], 5_000) == {}
