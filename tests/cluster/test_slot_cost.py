"""What a slot asks of Redis does not depend on how many streams and events there are elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from actors.messages import StreamState
from cluster.embedded import EmbeddedRedis
from cluster.placement import Axes, slot_load
from cluster.registry import Registry
from tests.cluster.builders import fresh_prefix, stream_spec
from tests.cluster.keeping import Slot, add

FEW, MANY = 300, 1_800
CAPACITY = Axes(10)


@pytest.fixture
def slot(server: EmbeddedRedis) -> Iterator[Slot]:
    """Full with three streams, which are told of."""
    registry = Registry.open(server.url, fresh_prefix())
    made = Slot(registry, "slot-a", max_streams=3)
    add(made, "x", "y", "z")
    made.turn(CAPACITY)
    made.see("x", StreamState.RUNNING)
    turn(made)
    yield made
    made.end()
    registry.close()


def turn(slot: Slot) -> None:
    """All that a slot's loop does in a second."""
    slot.keeper.refresh(["x", "somebody else's"])
    slot.turn(CAPACITY)
    slot.keeper.finish_closing(0.0)
    slot.keeper.publish(0.0)


def cost(slot: Slot) -> tuple[dict[str, int], int, int]:
    """Commands of a turn by name, those of scripts included, and bytes that were sent and read."""
    no_silence(slot)
    before, (sent_before, read_before) = commands(slot), traffic(slot)
    turn(slot)
    after, (sent, read) = commands(slot), traffic(slot)
    return dict(after - before), sent - sent_before, read - read_before


def no_silence(slot: Slot) -> None:
    """Adding streams has taken no time in which no slot was heard of."""
    store = slot.registry._store
    store.command("DEL", store.key("heard"), store.key("grace"))


def commands(slot: Slot) -> Counter[str]:
    stats = slot.registry._store.client.info("commandstats")
    return Counter({name: each["calls"] for name, each in stats.items() if name != "cmdstat_info"})


def traffic(slot: Slot) -> tuple[int, int]:
    stats: dict[str, Any] = slot.registry._store.client.info("stats")
    return stats["total_net_input_bytes"], stats["total_net_output_bytes"]


def grow(slot: Slot, first: int, last: int, **fields: Any) -> list[str]:
    names = [f"cam{number:05d}" for number in range(first, last)]
    for name in names:
        slot.registry.streams.create(stream_spec(name, **fields))
    return names


def about_the_same(few: int, many: int) -> bool:
    """Apart from digits of figures: what Redis says of itself grows by some."""
    return abs(many - few) <= 0.02 * few


def test_a_turn_costs_the_same_with_six_times_the_streams_at_other_slots(slot: Slot) -> None:
    claim = slot.registry.leases.claim
    claim("slot-b", grow(slot, 0, FEW), 60_000)
    calls, sent, read = cost(slot)
    claim("slot-b", grow(slot, FEW, MANY), 60_000)
    assert slot.registry.streams.count() == MANY + 3
    calls_later, sent_later, read_later = cost(slot)
    assert calls_later == calls
    assert about_the_same(sent, sent_later)
    assert about_the_same(read, read_later)


def test_a_turn_costs_the_same_with_six_times_the_streams_that_wait(slot: Slot) -> None:
    grow(slot, 0, FEW, qos={"class": "low", "min_fps": 50})
    calls, sent, read = cost(slot)
    grow(slot, FEW, MANY, qos={"class": "low", "min_fps": 50})
    slot.keeper._surroundings._offset = 0
    calls_later, sent_later, read_later = cost(slot)
    assert calls_later == calls
    assert about_the_same(sent, sent_later)
    assert about_the_same(read, read_later)


def test_a_claim_costs_the_same_with_six_times_the_streams(slot: Slot) -> None:
    def claim_cost() -> Counter[str]:
        no_silence(slot)
        before = commands(slot)
        held = slot.registry.leases.claim("slot-c", ["cam00000"], 60_000)
        after = commands(slot)
        assert held
        slot.registry.leases.release("slot-c", held)
        return after - before

    grow(slot, 0, FEW)
    few = claim_cost()
    grow(slot, FEW, MANY)
    assert claim_cost() == few
    assert few.total() < 25


def test_what_slots_tell_of_their_load_is_short(slot: Slot) -> None:
    load = slot_load(
        f"slot-{'x' * 30}", slot.keeper._needs.staying(57.6), max_streams=64, capacity=CAPACITY
    )
    assert len(load.to_json()) < 400
