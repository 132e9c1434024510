"""Streams that go while no slot has them: what they left is for one slot to end."""

from __future__ import annotations

import pytest

from cluster.registry import Left, Registry
from tests.cluster.builders import eventually, stream_spec
from tests.cluster.test_registry_free import STATE, TTL_MS, add, command, end_lease, free


def leave(registry: Registry, *streams: str) -> None:
    """Streams are handed over, and then one is switched off and the others are deleted."""
    add(registry, *streams)
    for stream, token in registry.leases.claim("s", streams, TTL_MS).items():
        assert registry.leases.hand_over("s", stream, token, STATE, "t")
    add(registry, streams[0], enabled=False)
    for stream in streams[1:]:
        registry.streams.delete(stream)


def taken(registry: Registry, slot: str = "t", limit: int = 9) -> dict[str, Left]:
    return {left.record.spec.id: left for left in registry.leases.take_left(slot, limit, TTL_MS)}


def test_what_is_left_of_streams_goes_to_one_slot_with_how_they_ran(registry: Registry) -> None:
    leave(registry, "a", "b")
    assert registry.leases.renew("t", {}, TTL_MS).num_left == 2
    found = taken(registry)
    assert {stream: left.record.spec for stream, left in found.items()} == {
        stream: stream_spec(stream) for stream in "ab"
    }
    assert {left.state for left in found.values()} == {STATE}
    owners = {stream: lease.token for stream, lease in registry.leases.lookup("ab").items()}
    assert owners == {stream: left.token for stream, left in found.items()}
    assert taken(registry, "u") == {}
    for stream, left in found.items():
        assert not registry.leases.end_left("u", stream, left.token)
        assert registry.leases.end_left("t", stream, left.token)
        assert not registry.leases.end_left("t", stream, left.token)
    assert registry.leases.renew("t", {}, TTL_MS).num_left == 0
    for name in ("left", "state:a", "state:b", "lease:a", "lease:b", "expiry", "free"):
        assert command(registry, "EXISTS", name) == 0


def test_a_slot_takes_no_more_than_it_has_room_for(registry: Registry) -> None:
    leave(registry, *"abc")
    first = taken(registry, "t", 2)
    assert len(first) == 2
    assert set(taken(registry, "u", 2)) == set("abc") - set(first)


def test_what_a_slot_took_and_did_not_end_goes_to_another(registry: Registry) -> None:
    leave(registry, "a")
    before = taken(registry)["a"]
    end_lease(registry, "a")
    after = taken(registry, "u")["a"]
    assert (after.state, after.record) == (before.state, before.record)
    assert after.token > before.token
    assert not registry.leases.end_left("t", "a", before.token)
    assert registry.leases.end_left("u", "a", after.token)


def test_a_stream_that_is_back_waits_until_what_it_left_is_ended(registry: Registry) -> None:
    leave(registry, "a", "b")
    add(registry, "a", "b")
    assert free(registry) == ["a", "b"]
    assert registry.leases.claim("u", "ab", TTL_MS) == {}
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    for stream, left in taken(registry).items():
        registry.leases.end_left("t", stream, left.token)
    assert eventually(lambda: wake_up.wait(0.5)) <= {"a", "b"}
    wake_up.close()
    won = registry.leases.claim("u", "ab", TTL_MS)
    assert set(won) == {"a", "b"}
    assert registry.leases.take_states(won) == {}


def test_who_has_claimed_a_stream_before_it_went_takes_its_state_and_nobody_else(
    registry: Registry,
) -> None:
    add(registry, "a")
    old = registry.leases.claim("s", ["a"], TTL_MS)["a"]
    registry.leases.hand_over("s", "a", old, STATE)
    new = registry.leases.claim("t", ["a"], TTL_MS)
    registry.streams.delete("a")
    assert taken(registry, "u") == {}
    assert registry.leases.take_states(new) == {"a": STATE}
    registry.leases.release("t", new)
    assert taken(registry, "u") == {}
    assert command(registry, "EXISTS", "left") == 0


def test_a_stream_that_remembers_nothing_leaves_nothing(registry: Registry) -> None:
    add(registry, "a", "b")
    for stream, token in registry.leases.claim("s", "ab", TTL_MS).items():
        registry.leases.hand_over("s", stream, token)
    add(registry, "a", enabled=False)
    registry.streams.delete("b")
    assert command(registry, "EXISTS", "left") == 0


def test_what_is_left_is_forgotten_with_its_state(registry: Registry) -> None:
    leave(registry, "a")
    assert 0 < command(registry, "PTTL", "left") <= 86_400_000
    assert 0 < command(registry, "PTTL", "state:a") <= 86_400_000
    command(registry, "DEL", "state:a")
    assert taken(registry) == {}
    assert command(registry, "EXISTS", "left") == 0


def test_what_another_version_left_is_forgotten_with_a_line_in_the_log(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    leave(registry, "a", "b")
    command(registry, "HSET", "left", "b", '{"spec": 7}')
    assert set(taken(registry)) == {"a"}
    assert "stream b was left by another version" in caplog.text
    assert command(registry, "HKEYS", "left") == ["a"]
    assert registry.leases.lookup("ab").keys() == {"a"}
