"""When a wake-up call makes a slot look for streams."""

from __future__ import annotations

from cluster.registry import FOR_SLOT
from cluster.slot.surroundings import look_after_end_s, look_after_s, wait_for_others_s


def test_of_a_few_slots_each_looks_at_once_when_a_stream_is_added() -> None:
    assert look_after_s("a", {"gate"}, 2) == 0.05


def test_many_slots_look_two_hundred_times_a_second_together() -> None:
    assert look_after_s("a", {"gate"}, 99) == 0.5


def test_a_stream_that_is_given_to_a_slot_calls_this_one_only() -> None:
    assert look_after_s("a", {f"{FOR_SLOT}a"}, 99) == 0.05
    assert look_after_s("b", {f"{FOR_SLOT}a"}, 99) is None
    assert look_after_s("b", {f"{FOR_SLOT}a", "gate"}, 99) == 0.5


def test_a_slot_waits_for_another_longer_where_there_are_many() -> None:
    assert wait_for_others_s(2) == 0.25
    assert wait_for_others_s(99) == 0.5


def test_when_a_lease_ends_all_slots_look_within_a_millisecond_for_each_of_them() -> None:
    names = [f"slot-{number}" for number in range(200)]
    after_s = [look_after_end_s(name, len(names) - 1) for name in names]
    assert 0.01 <= min(after_s) < 0.02
    assert 0.2 < max(after_s) <= 0.21
    assert len(set(after_s)) == len(names)
