"""When a slot's loop does what."""

from __future__ import annotations

from cluster.slot.timetable import Timetable


def test_what_was_never_asked_for_is_due_and_then_again_after_its_time() -> None:
    times = Timetable()
    assert times.is_due("renew", 10.0, 2.0)
    assert not times.is_due("renew", 11.9, 2.0)
    assert times.is_due("renew", 12.0, 2.0)
    times.at_once("renew")
    assert times.is_due("renew", 12.1, 2.0)


def test_what_is_put_off_is_due_at_that_moment() -> None:
    times = Timetable()
    times.put_off("publish", 10.1)
    assert times.is_due("publish", 9.5, 0.5), "it was never asked for"
    times.put_off("publish", 10.1)
    assert not times.is_due("publish", 10.0, 0.5)
    assert times.is_due("publish", 10.1, 0.5)
    times.put_off("publish", 10.3)
    assert times.is_due("publish", 10.3, 0.5), "it may come sooner, too"
    times.at_once("publish")
    times.put_off("publish", 10.5)
    assert times.is_due("publish", 10.4, 0.5)


def test_a_slot_looks_every_second() -> None:
    times = Timetable()
    assert times.is_look_due(10.0)
    times.looked(10.0)
    assert not times.is_look_due(10.9)
    assert times.next_look_at == 11.0


def test_a_slot_that_is_called_looks_soon_but_not_too_soon_after_the_last_time() -> None:
    times = Timetable()
    times.looked(10.0)
    times.look_soon(10.0)
    assert times.next_look_at == 10.05
    times.looked(10.05)
    times.look_soon(10.2, 0.5)
    assert times.next_look_at == 10.55
    times.look_soon(10.9, 0.5)
    assert times.next_look_at == 10.55, "a later call delays nothing"
    times.looked(10.55)
    times.look_soon(11.3, 0.5)
    assert times.next_look_at == 11.3, "it has not looked for long enough"


def test_a_slot_looks_when_a_lease_ends_however_often_it_looks_before() -> None:
    times = Timetable()
    times.looked(10.0)
    times.lease_ends(11.5)
    times.looked(11.0)
    assert times.next_look_at == 11.5
    times.looked(11.5)
    assert times.next_look_at == 12.5


def test_the_next_turn_is_for_whatever_comes_first() -> None:
    times = Timetable()
    times.looked(10.0)
    times.is_due("renew", 10.0, 0.6)
    assert times.next_at == 10.6
    times.lease_ends(10.3)
    assert times.next_at == 10.3
