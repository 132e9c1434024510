"""What a slot tells of its load follows its streams, and is added up only where they changed."""

from __future__ import annotations

from cluster.placement import Axes, Need, slot_load
from cluster.slot.own_load import OwnLoad

NEEDS = [Need(f"cam{number}", number % 4, Axes(5.0, 57.6)) for number in range(6)]
CAPACITY = Axes(300.0, 4_000.0)


def test_the_load_is_that_of_the_streams_capacity_and_state() -> None:
    load = OwnLoad("slot-a", 8, {"site": "north"})
    for held in (NEEDS, NEEDS[:3], NEEDS[:3]):
        for capacity in (CAPACITY, Axes()):
            for ready in (True, False):
                found = load.of(held, capacity, is_ready=ready)
                wanted = slot_load(
                    "slot-a",
                    held,
                    max_streams=8,
                    capacity=capacity,
                    node=found.node,
                    labels={"site": "north"},
                    is_ready=ready,
                )
                assert found == wanted
    assert found.node
    assert load.of(NEEDS, CAPACITY, is_draining=True).is_draining


def test_what_has_not_changed_is_not_added_up_again() -> None:
    load = OwnLoad("slot-a", 8, {})
    first = load.of(NEEDS, CAPACITY)
    assert load.of(list(NEEDS), Axes(300.0, 4_000.0)) is first
    assert load.of(NEEDS[1:], CAPACITY) is not first
