"""Streams that change their slot: by a drain, a better balance, a higher class, or a death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.messages import StreamState
from cluster.embedded import EmbeddedRedis
from cluster.placement import Axes
from cluster.registry import Registry
from tests.cluster.builders import fresh_prefix
from tests.cluster.keeping import Slot, add

MakeSlot = Callable[..., Slot]


@pytest.fixture
def slots(server: EmbeddedRedis) -> Iterator[MakeSlot]:
    """Makes slots of one registry; the cameras of all close as soon as they are asked about."""
    registry = Registry.open(server.url, fresh_prefix())
    made: list[Slot] = []

    def make(name: str, **options: Any) -> Slot:
        made.append(Slot(registry, name, **options))
        return made[-1]

    yield make
    for slot in made:
        slot.end()
    registry.close()


def command(slot: Slot, *words: str | int) -> Any:
    """Run a command whose second word is a key without its prefix."""
    store = slot.registry._store
    return store.command(words[0], store.key(str(words[1])), *words[2:])


def end_leases(slot: Slot) -> None:
    """The time to live of a slot's leases passes, as when it or Redis is away."""
    for stream in slot.holdings.tokens():
        command(slot, "DEL", f"lease:{stream}")
        command(slot, "ZADD", "expiry", 1, stream)
    command(slot, "DEL", "heard")  # another slot was there all the time


def drained(slot: Slot) -> bool:
    """One turn of a slot that is about to end."""
    is_done = slot.drain()
    slot.keeper.finish_closing(0.0)
    return is_done


def test_a_slot_that_drains_hands_its_streams_over_with_what_they_remember(
    slots: MakeSlot,
) -> None:
    a, b = slots("a", max_streams=4), slots("b", max_streams=4)
    add(a, "x", "y", "z")
    a.turn()
    b.turn()
    assert a.held == {"x", "y", "z"}
    for _ in range(10):
        is_done = drained(a)
        b.turn()
    assert is_done
    assert len(a.holdings) == 0
    assert b.held == {"x", "y", "z"}
    assert b.crew.adopted == {stream: f"state of {stream}".encode() for stream in "xyz"}
    assert a.crew.closed == []
    assert all(b.holdings[stream].token > 0 for stream in "xyz")


def test_a_slot_that_drains_gets_nothing_from_the_first_moment(slots: MakeSlot) -> None:
    a, b = slots("a", max_streams=9), slots("b", max_streams=4)
    a.turn()
    a.drain()
    add(a, "x", "y")
    b.turn()
    assert b.held == {"x", "y"}
    a.drain()
    assert len(a.holdings) == 0


def test_a_stream_that_is_handed_over_goes_to_the_slot_that_was_chosen(slots: MakeSlot) -> None:
    a = slots("a", max_streams=4)
    add(a, "x")
    a.turn()
    b, c = slots("b", max_streams=4), slots("c", max_streams=4)
    b.turn()
    c.turn()
    for _ in range(4):
        drained(a)
    assert command(a, "HGET", "moves", "x").startswith("b ")
    c.turn()
    assert c.held == set()
    b.turn()
    assert b.held == {"x"}


def test_what_has_no_place_elsewhere_stays_until_the_slot_ends(slots: MakeSlot) -> None:
    a, b = slots("a", max_streams=4), slots("b", max_streams=1)
    add(a, "x", "y", "z")
    a.turn()
    b.turn()
    for _ in range(10):
        drained(a)
        b.turn()
    assert len(b.held) == 1
    assert len(a.held) == 2
    assert drained(a)
    a.keeper.close_all()
    assert a.keeper.finish_closing(0.0)
    assert sorted(a.crew.closed) == sorted({"x", "y", "z"} - b.held)
    assert len(a.registry.leases.free(9)) == 2


def test_without_another_slot_there_is_nothing_to_drain(slots: MakeSlot) -> None:
    a = slots("a")
    add(a, "x")
    a.turn()
    assert drained(a)
    assert a.held == {"x"}


def test_what_was_exported_of_a_stream_that_is_switched_off_ends_where_it_was(
    slots: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = slots("a"), slots("b")
    add(a, "x")
    a.turn()
    b.turn()
    a.drain()
    with monkeypatch.context() as patched:
        patched.setattr(a.crew, "ended", lambda references: {"x"} & set(references))
        a.keeper.finish_closing(0.0)
    add(a, "x", enabled=False)
    a.keeper.refresh(["x"])
    a.keeper.finish_closing(0.0)
    assert a.crew.ended_of == {"x": b"state of x"}
    assert a.registry.leases.free(9) == []
    assert command(a, "EXISTS", "state:x") == 0


def test_a_slot_that_drains_lets_few_streams_go_at_a_time(slots: MakeSlot) -> None:
    a, b = slots("a", max_streams=30), slots("b", max_streams=30)
    add(a, *(f"cam{number}" for number in range(30)))
    a.turn()
    b.turn()
    a.drain()
    a.drain()
    assert len(a.held) == 22


def test_a_stream_that_is_switched_off_while_it_moves_ends_where_it_was(slots: MakeSlot) -> None:
    a, b = slots("a"), slots("b")
    add(a, "x")
    a.turn()
    b.turn()
    a.drain()
    add(a, "x", enabled=False)
    a.keeper.refresh(["x"])
    a.keeper.finish_closing(0.0)
    assert a.crew.closed == ["x"]
    assert a.registry.leases.free(9) == []
    assert command(a, "EXISTS", "state:x") == 0


def test_a_hand_over_that_redis_did_not_take_is_tried_again(
    slots: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ConnectionError("Redis is away")

    a, b = slots("a"), slots("b")
    add(a, "x")
    a.turn()
    b.turn()
    a.drain()
    a.keeper.finish_closing(0.0)
    with monkeypatch.context() as patched:
        patched.setattr(a.registry.leases, "hand_over", failing)
        with pytest.raises(ConnectionError):
            a.keeper.finish_closing(0.0)
    assert a.keeper.finish_closing(0.0)
    b.turn()
    assert b.crew.adopted == {"x": b"state of x"}


def test_a_slot_that_is_much_fuller_than_another_hands_some_over(slots: MakeSlot) -> None:
    a = slots("a", max_streams=8)
    add(a, *"stuvwxyz")
    a.turn()
    b = slots("b", max_streams=8)
    for _ in range(12):
        for slot in (b, a):
            slot.turn()
            slot.keeper.finish_closing(0.0)
    assert 2 <= len(b.held) <= 4
    assert len(a.held) + len(b.held) == 8
    assert set(b.crew.adopted) == b.held
    assert a.crew.closed == []


def test_a_higher_class_takes_the_place_of_a_lower_one_which_waits(slots: MakeSlot) -> None:
    a = slots("a")
    add(a, "x", "y", qos={"class": "low"})
    a.turn()
    add(a, "z", qos={"class": "critical"})
    a.turn()
    assert a.held == {"x", "y"}
    command(a, "HSET", "free_since", "z", 1)
    a.turn()
    a.keeper.finish_closing(0.0)
    a.turn()
    assert "z" in a.held
    assert len(a.held) == 2
    assert len(a.crew.closed) == 1
    assert [each.stream for each in a.registry.leases.free(9)] == a.crew.closed


def test_streams_run_on_where_redis_was_away_for_longer_than_their_leases(
    slots: MakeSlot,
) -> None:
    a = slots("a")
    add(a, "x", "y")
    a.turn()
    tokens = a.holdings.tokens()
    end_leases(a)
    a.turn()
    assert a.held == {"x", "y"}
    assert a.holdings.tokens() == tokens
    assert a.crew.opened == ["x", "y"]
    assert len(a.keeper._departures) == 0


def test_the_streams_of_a_slot_that_died_go_to_another_and_it_ends_them_when_it_is_back(
    slots: MakeSlot,
) -> None:
    a, b = slots("a"), slots("b")
    add(a, "x", "y")
    a.turn()
    old = a.holdings.tokens()
    end_leases(a)
    command(a, "HDEL", "loads", "a")
    b.turn()
    assert b.held == {"x", "y"}
    assert all(b.holdings[stream].token > old[stream] for stream in "xy")
    a.see("x", StreamState.RUNNING)
    a.keeper.publish(0.0)
    assert a.registry.leases.statuses("xy") == {}
    a.turn()
    assert a.held == set()
    a.keeper.finish_closing(0.0)
    assert len(a.holdings) == 0
    assert set(b.registry.leases.lookup("xy")) == {"x", "y"}


def test_a_change_of_a_held_stream_is_followed_when_it_is_told_of(slots: MakeSlot) -> None:
    a = slots("a")
    add(a, "x", "y")
    a.turn()
    add(a, "x", max_fps=5)
    record = a.registry.streams.get("x")
    a.keeper.refresh(["x", "somebody elses", "default"])
    assert a.crew.updated == [record.generation]
    assert a.holdings["x"].assignment.spec.max_fps == 5
    a.keeper.refresh(["x", "y"])
    assert len(a.crew.updated) == 1


def test_a_change_that_was_not_told_of_is_seen_when_leases_are_renewed(slots: MakeSlot) -> None:
    a = slots("a")
    add(a, "x", "y", "z")
    a.turn()
    add(a, "x", max_fps=5)
    a.registry.streams.delete("y")
    a.keeper.renew()
    assert a.holdings["x"].assignment.spec.max_fps == 5
    assert a.held == {"x"}


def test_streams_of_another_pipeline_are_left_alone_and_given_up(slots: MakeSlot) -> None:
    a = slots("a")
    add(a, "x", pipeline="night")
    add(a, "y")
    a.turn()
    assert a.held == {"y"}
    add(a, "y", pipeline="night")
    a.turn()
    assert a.held == set()


def test_a_stream_that_went_while_it_was_claimed_is_not_opened(
    slots: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = slots("a")
    add(a, "x")
    claim = a.registry.leases.claim

    def claim_and_lose(*args: Any) -> dict[str, int]:
        won = claim(*args)
        a.registry.streams.delete("x")
        return won

    monkeypatch.setattr(a.registry.leases, "claim", claim_and_lose)
    a.turn()
    assert a.crew.opened == []
    assert len(a.holdings) == 0
    assert a.registry.leases.lookup(["x"]) == {}


def test_streams_that_fit_nowhere_hide_no_others(slots: MakeSlot) -> None:
    a = slots("a", max_streams=9)
    add(a, *(f"big{number:03d}" for number in range(300)), qos={"class": "high", "min_fps": 50})
    add(a, "small", qos={"class": "low", "min_fps": 1})
    for _ in range(3):
        a.turn(Axes(10))
    assert a.held == {"small"}


def test_a_slot_that_cannot_serve_says_so(slots: MakeSlot) -> None:
    a, b = slots("a"), slots("b")
    a.turn()
    a.keeper.stand_by()
    add(a, "x")
    b.turn()
    assert b.held == {"x"}
