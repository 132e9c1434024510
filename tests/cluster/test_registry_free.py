"""Which streams are free, who may claim them, and what goes with them, on a real Valkey."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from cluster.errors import UnavailableError
from cluster.placement import SlotLoad
from cluster.registry import FOR_SLOT, Lease, Registry
from cluster.registry.index import Index
from cluster.registry.lease_scripts import MAX_OWNERS, SWEEP_AT_MOST
from tests.cluster.builders import (
    eventually,
    fresh_prefix,
    stream_record,
    stream_spec,
    stream_status,
)

TTL_MS = 60_000


def add(registry: Registry, *streams: str, **fields: Any) -> None:
    for stream in streams:
        registry.streams.put(stream_spec(stream, **fields))


def free(registry: Registry) -> list[str]:
    return [each.stream for each in registry.leases.free(1000)]


def command(registry: Registry, *words: str | int) -> Any:
    """Run a command whose second word is a key without its prefix."""
    store = registry._store
    return store.command(words[0], store.key(str(words[1])), *words[2:])


def tell(registry: Registry, *slots: str, **fields: Any) -> None:
    """These slots say how they are."""
    for slot in slots:
        registry.slots.publish_load(slot, SlotLoad(slot, **fields).to_json(), TTL_MS)


def end_lease(registry: Registry, *streams: str) -> None:
    """The time to live of these leases passes."""
    for stream in streams:
        command(registry, "DEL", f"lease:{stream}")
        command(registry, "ZADD", "expiry", 1, stream)
    command(registry, "DEL", "heard")  # it does not pass in silence, however slow this machine is


def test_free_streams_come_by_class_and_then_by_id(registry: Registry) -> None:
    for stream, qos in [("d", "low"), ("c", "normal"), ("b", "normal"), ("z", "critical")]:
        add(registry, stream, qos={"class": qos})
    add(registry, "off", enabled=False)
    assert free(registry) == ["z", "b", "c", "d"]
    assert [each.stream for each in registry.leases.free(2, 1)] == ["b", "c"]
    assert registry.leases.free(2, 4) == []


def test_a_free_stream_says_what_it_asks_for(registry: Registry) -> None:
    placement = {"labels": {"site": "harbour"}, "spread": "gate"}
    record = registry.streams.create(
        stream_spec("a", max_fps=3, placement=placement, qos={"class": "critical"})
    )
    (found,) = registry.leases.free(9)
    need = found.free(57.6).need
    assert found.wanted.generation == record.generation
    assert (found.wanted.pipeline, found.decode_mpx_s, found.reserved_for) == ("default", None, "")
    assert (need.stream, need.rank, need.axes.infer_fps) == ("a", 0, 3.0)
    assert (need.labels, need.spread) == ({"site": "harbour"}, "gate")


def test_a_change_of_class_moves_a_free_stream(registry: Registry) -> None:
    add(registry, "a", "b")
    add(registry, "b", qos={"class": "high"})
    assert free(registry) == ["b", "a"]


def test_a_stream_is_free_while_it_is_wanted_and_has_no_lease(registry: Registry) -> None:
    add(registry, "a")
    held = registry.leases.claim("s", ["a"], TTL_MS)
    assert free(registry) == []
    add(registry, "a", enabled=False)
    add(registry, "a")
    assert free(registry) == []
    registry.leases.release("s", held)
    assert free(registry) == ["a"]
    add(registry, "a", enabled=False)
    assert free(registry) == []
    add(registry, "a")
    registry.streams.delete("a")
    assert free(registry) == []


def test_what_is_not_wanted_is_not_claimed(registry: Registry) -> None:
    add(registry, "off", enabled=False)
    assert registry.leases.claim("s", ["off", "ghost"], TTL_MS) == {}
    assert registry.leases.lookup(["off", "ghost"]) == {}


def test_a_stream_that_was_disabled_while_it_was_held_is_not_free_when_it_ends(
    registry: Registry,
) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a", "b"], TTL_MS)
    add(registry, "a", enabled=False)
    registry.streams.delete("b")
    assert registry.leases.release("s", held) == 2
    assert free(registry) == []


def test_an_expired_lease_makes_its_stream_free_again(registry: Registry) -> None:
    add(registry, "a", "b")
    first = registry.leases.claim("s", ["a"], ttl_ms=30)
    registry.leases.claim("s", ["b"], TTL_MS)
    assert eventually(lambda: free(registry) == ["a"])
    assert registry.leases.claim("t", ["a", "b"], TTL_MS)["a"] > first["a"]


def test_a_stream_that_was_enabled_while_its_lease_ran_out_is_free(registry: Registry) -> None:
    add(registry, "a")
    registry.leases.claim("s", ["a"], TTL_MS)
    add(registry, "a", enabled=False)
    end_lease(registry, "a")
    assert free(registry) == []
    add(registry, "a")
    assert free(registry) == ["a"]


def test_many_leases_that_end_at_once_are_found_in_a_few_calls(registry: Registry) -> None:
    streams = [f"cam{number:03d}" for number in range(2 * SWEEP_AT_MOST + 1)]
    add(registry, *streams)
    registry.leases.claim("s", streams, TTL_MS)
    end_lease(registry, *streams)
    counts = [0]

    def all_are_free() -> bool:
        counts.append(len(registry.leases.free(1000)))
        return counts[-1] == len(streams)

    eventually(all_are_free)
    found = [after - before for before, after in pairwise(counts)]
    assert [num for num in found if num] == [SWEEP_AT_MOST, SWEEP_AT_MOST, 1]


def test_what_decoding_took_is_remembered_for_the_spec_that_it_was_seen_with(
    registry: Registry,
) -> None:
    record = registry.streams.create(stream_spec("a"))
    held = registry.leases.claim("s", ["a"], TTL_MS)
    status = stream_status("s", held["a"], generation=record.generation, decode_mpx_s=11.5)
    registry.leases.publish_status("a", held["a"], status, TTL_MS)
    registry.leases.release("s", held)
    assert [each.decode_mpx_s for each in registry.leases.free(9)] == [11.5]
    add(registry, "a", url="rtsp://127.0.0.1:8554/sub")
    assert [each.decode_mpx_s for each in registry.leases.free(9)] == [None]


def test_what_decoding_takes_is_written_again_when_it_changes_or_the_stream_is_a_new_one(
    registry: Registry,
) -> None:
    def seen(mpx_s: float) -> list[float | None]:
        record = registry.streams.put(stream_spec("a"))
        held = registry.leases.claim("s", ["a"], TTL_MS)
        fields = {"generation": record.generation, "decode_mpx_s": mpx_s}
        for _ in range(2):
            status = stream_status("s", held["a"], **fields)
            assert registry.leases.publish_status("a", held["a"], status, TTL_MS)
        registry.leases.release("s", held)
        return [each.decode_mpx_s for each in registry.leases.free(9)]

    assert seen(11.5) == [11.5]
    assert seen(12.5) == [12.5]
    registry.streams.delete("a")
    assert seen(12.5) == [12.5]


def test_a_slot_that_still_ends_a_deleted_stream_leaves_nothing_of_it(registry: Registry) -> None:
    add(registry, "a")
    token = registry.leases.claim("s", ["a"], TTL_MS)["a"]
    registry.streams.delete("a")
    status = stream_status("s", token, decode_mpx_s=1.0)
    assert not registry.leases.publish_status("a", token, status, TTL_MS)
    assert registry.leases.statuses(["a"]) == {}
    assert command(registry, "HLEN", "decode_costs") == 0


def test_how_long_a_stream_has_been_free_counts_from_the_end_of_its_lease(
    registry: Registry,
) -> None:
    add(registry, "a")
    command(registry, "HSET", "free_since", "a", 1)
    assert registry.leases.free(1)[0].free_s > 1e6
    add(registry, "a", name="the wait goes on")
    assert registry.leases.free(1)[0].free_s > 1e6
    registry.leases.release("s", registry.leases.claim("s", ["a"], TTL_MS))
    assert registry.leases.free(1)[0].free_s < 60


def test_a_lapsed_lease_that_nobody_has_claimed_is_taken_back_with_its_token(
    registry: Registry,
) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a", "b"], TTL_MS)
    end_lease(registry, "a")
    assert free(registry) == ["a"]
    renewal = registry.leases.renew("s", held, TTL_MS)
    assert set(renewal.generations) == {"a", "b"}
    assert (renewal.regained, renewal.lost) == (frozenset("a"), frozenset())
    assert registry.leases.lookup(["a"]) == {"a": Lease("s", held["a"])}
    assert free(registry) == []
    assert registry.leases.claim("t", ["a"], TTL_MS) == {}
    assert len(command(registry, "LRANGE", "owners:a", 0, -1)) == 1


def test_after_a_silence_nobody_takes_what_has_ended_before_its_slot_had_time_to_renew(
    registry: Registry,
) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a", "b"], TTL_MS)
    end_lease(registry, "a", "b")
    command(registry, "SET", "heard", 1)
    assert free(registry) == []
    assert registry.leases.claim("t", ["a", "b"], TTL_MS) == {}
    assert registry.leases.renew("s", {"a": held["a"]}, TTL_MS).regained == {"a"}
    assert eventually(lambda: free(registry) == ["b"])


def test_slots_that_are_slow_take_what_has_ended_all_the_same(registry: Registry) -> None:
    add(registry, "a")
    registry.leases.claim("s", ["a"], TTL_MS)
    end_lease(registry, "a")

    def slowly() -> list[str]:
        command(registry, "SET", "heard", 1)
        return free(registry)

    assert slowly() == []
    assert eventually(lambda: slowly() == ["a"])


def test_what_is_free_is_claimed_after_a_silence_too(registry: Registry) -> None:
    add(registry, "a")
    command(registry, "SET", "heard", 1)
    assert registry.leases.claim("s", ["a"], TTL_MS)


def test_a_lease_that_another_slot_has_had_meanwhile_is_lost_though_it_is_free_again(
    registry: Registry,
) -> None:
    add(registry, "a")
    held = registry.leases.claim("s", ["a"], TTL_MS)
    end_lease(registry, "a")
    registry.leases.release("t", registry.leases.claim("t", ["a"], TTL_MS))
    assert registry.leases.renew("s", held, TTL_MS).lost == {"a"}
    assert registry.leases.lookup(["a"]) == {}
    assert free(registry) == ["a"]


def test_a_redis_that_has_lost_the_last_leases_gives_no_token_twice(registry: Registry) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a"], TTL_MS)
    for key in ("fence", "lease:a", "owners:a", "expiry"):
        command(registry, "DEL", key)
    command(registry, "ZADD", "free", 2, "a")
    assert registry.leases.renew("s", held, TTL_MS).regained == {"a"}
    assert registry.leases.claim("t", ["b"], TTL_MS)["b"] > held["a"]


def test_tokens_go_up_also_where_the_clock_is_set_back(registry: Registry) -> None:
    add(registry, "a")
    command(registry, "SET", "fence", 10**14)
    assert registry.leases.claim("s", ["a"], TTL_MS) == {"a": 10**14 + 1}


def test_the_owners_of_a_stream_are_remembered_newest_first(registry: Registry) -> None:
    add(registry, "a")
    tokens = []
    for number in range(MAX_OWNERS + 2):
        held = registry.leases.claim(f"s{number}", ["a"], TTL_MS)
        tokens.append(held["a"])
        registry.leases.release(f"s{number}", held)
    owners = [entry.split() for entry in command(registry, "LRANGE", "owners:a", 0, -1)]
    assert [int(token) for token, _, _ in owners] == tokens[::-1][:MAX_OWNERS]
    assert [slot for _, _, slot in owners][:2] == ["s17", "s16"]
    times = [int(claimed_at) for _, claimed_at, _ in owners]
    assert times == sorted(times, reverse=True)
    assert command(registry, "PTTL", "owners:a") > 3_600_000


STATE = bytes(range(256)) * 20


def test_what_a_stream_remembers_goes_to_its_next_owner_once(registry: Registry) -> None:
    add(registry, "a", "b")
    old = registry.leases.claim("s", ["a"], TTL_MS)["a"]
    assert registry.leases.hand_over("s", "a", old, STATE)
    new = registry.leases.claim("t", ["a", "b"], TTL_MS)
    assert registry.leases.take_states({"a": old}) == {}
    assert registry.leases.take_states(new) == {"a": STATE}
    assert registry.leases.take_states(new) == {}


def test_a_stream_that_is_handed_over_is_kept_for_its_new_slot(registry: Registry) -> None:
    add(registry, "a")
    tell(registry, "t")
    token = registry.leases.claim("s", ["a"], TTL_MS)["a"]
    assert registry.leases.hand_over("s", "a", token, STATE, "t")
    assert [each.reserved_for for each in registry.leases.free(9)] == ["t"]
    assert registry.leases.claim("u", ["a"], TTL_MS) == {}
    assert registry.leases.claim("t", ["a"], TTL_MS)


def test_only_the_slot_that_is_given_a_stream_is_called(registry: Registry) -> None:
    add(registry, "a", "b")
    tell(registry, "t")
    held = registry.leases.claim("s", ["a", "b"], TTL_MS)
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    registry.leases.hand_over("s", "a", held["a"], STATE, "t")
    assert eventually(lambda: wake_up.wait(0.5)) == {f"{FOR_SLOT}t"}
    registry.leases.hand_over("s", "b", held["b"], STATE)
    assert eventually(lambda: wake_up.wait(0.5)) == {"b"}
    wake_up.close()


def test_a_lease_that_runs_out_wakes_the_slots_and_its_owner_counts_for_nothing(
    registry: Registry,
) -> None:
    add(registry, "a")
    registry.leases.claim("s", ["a"], TTL_MS)
    tell(registry, "s", "t")
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    end_lease(registry, "a")
    assert [each.stream for each in registry.leases.free(9)] == ["a"]
    assert eventually(lambda: wake_up.wait(0.5)) == {"a"}
    assert list(registry.slots.loads()) == ["t"]
    wake_up.close()


def hand_over(registry: Registry, stream: str, to: str) -> None:
    """Some slot had it."""
    token = registry.leases.claim("s", [stream], TTL_MS)[stream]
    assert registry.leases.hand_over("s", stream, token, STATE, to)


def stop_being_ready(registry: Registry) -> None:
    tell(registry, "t", is_ready=False)


def drain(registry: Registry) -> None:
    tell(registry, "t", is_draining=True)


def end(registry: Registry) -> None:
    registry.slots.remove("t")


def fall_silent(registry: Registry) -> None:
    load = SlotLoad("t").to_json()
    registry.slots.publish_load("t", load, 1)
    assert eventually(lambda: "t" not in registry.slots.loads())


Leave = Callable[[Registry], None]


@pytest.mark.parametrize("leave", [drain, end, stop_being_ready])
def test_what_is_kept_for_a_slot_that_leaves_is_anybodys_and_all_are_called(
    registry: Registry, leave: Leave
) -> None:
    add(registry, "a", "b")
    tell(registry, "t", "v")
    hand_over(registry, "a", "t")
    hand_over(registry, "b", "v")
    assert registry.leases.claim("u", ["a", "b"], TTL_MS) == {}
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    leave(registry)
    assert eventually(lambda: wake_up.wait(0.5)) == {"a"}
    assert [each.reserved_for for each in registry.leases.free(9)] == ["", "v"]
    won = registry.leases.claim("u", ["a", "b"], TTL_MS)
    assert registry.leases.take_states(won) == {"a": STATE}
    wake_up.close()


@pytest.mark.parametrize("leave", [drain, end, stop_being_ready, fall_silent])
def test_nothing_is_kept_for_a_slot_that_has_left_before_the_hand_over(
    registry: Registry, leave: Leave
) -> None:
    add(registry, "a")
    tell(registry, "t")
    leave(registry)
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    hand_over(registry, "a", "t")
    assert eventually(lambda: wake_up.wait(0.5)) == {"a"}
    assert [each.reserved_for for each in registry.leases.free(9)] == [""]
    won = registry.leases.claim("u", ["a"], TTL_MS)
    assert registry.leases.take_states(won) == {"a": STATE}
    wake_up.close()


def test_a_stream_is_kept_for_a_slot_for_a_second_only_and_who_was_silent_counts_for_nothing(
    registry: Registry,
) -> None:
    add(registry, "a")
    tell(registry, "dead", "u")
    hand_over(registry, "a", "dead")
    command(registry, "HSET", "moves", "a", "dead 1000")
    wake_up = registry.subscribe()
    wake_up.wait(0.05)
    assert [each.reserved_for for each in registry.leases.free(9)] == [""]
    assert eventually(lambda: wake_up.wait(0.5)) == {"a"}
    assert list(registry.slots.loads()) == ["u"]
    assert registry.leases.claim("u", ["a"], TTL_MS)
    assert command(registry, "HLEN", "moves") == 0
    wake_up.close()


def test_nothing_is_handed_over_by_who_does_not_own_it(registry: Registry) -> None:
    add(registry, "a")
    old = registry.leases.claim("s", ["a"], TTL_MS)["a"]
    end_lease(registry, "a")
    new = registry.leases.claim("t", ["a"], TTL_MS)["a"]
    assert not registry.leases.hand_over("s", "a", old, STATE, "s")
    assert not registry.leases.hand_over("s", "a", new, STATE, "s")
    assert registry.leases.lookup(["a"]) == {"a": Lease("t", new)}
    assert registry.leases.take_states({"a": new}) == {}


def test_what_nobody_wants_any_more_is_not_handed_over(registry: Registry) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a", "b"], TTL_MS)
    add(registry, "a", enabled=False)
    registry.streams.delete("b")
    for stream, token in held.items():
        assert not registry.leases.hand_over("s", stream, token, STATE, "t")
    assert set(registry.leases.lookup("ab")) == {"a", "b"}
    assert registry.leases.release("s", held) == 2
    assert free(registry) == []
    for name in ("state:a", "state:b", "moves", "left"):
        assert command(registry, "EXISTS", name) == 0


def test_slots_tell_each_other_their_load_and_forget_who_is_silent(registry: Registry) -> None:
    registry.slots.publish_load("a", '{"name": "a b"}', TTL_MS)
    registry.slots.publish_load("b", "{}", 1)
    assert eventually(lambda: registry.slots.loads() == {"a": '{"name": "a b"}'})
    registry.slots.remove("a")
    assert registry.slots.loads() == {}
    assert command(registry, "HLEN", "loads") == 0


def write_as_before(registry: Registry, stream: str, **fields: Any) -> None:
    """Add a stream as a version did that knew no index."""
    generation = command(registry, "INCR", "revision")
    text = stream_record(stream, generation, **fields).model_dump_json(by_alias=True)
    record = json.loads(text)
    record["spec"].pop("placement")
    command(registry, "HSET", "streams", stream, json.dumps(record))


def test_a_registry_of_an_older_version_is_taken_over_as_it_is(registry: Registry) -> None:
    for stream in ("a", "b", "c"):
        write_as_before(registry, stream)
    write_as_before(registry, "off", enabled=False)
    command(registry, "HSET", "streams", "broken", "{}")
    command(registry, "HSET", "lease:b", "slot", "old", "token", 7)
    command(registry, "PEXPIRE", "lease:b", 300)
    assert free(registry) == ["a", "c"]
    assert eventually(lambda: free(registry) == ["a", "b", "c"])


def test_an_older_version_may_write_beside_this_one(registry: Registry) -> None:
    add(registry, "a", "b")
    held = registry.leases.claim("s", ["a"], TTL_MS)
    write_as_before(registry, "c")
    write_as_before(registry, "b", enabled=False)
    assert free(registry) == ["c"]
    write_as_before(registry, "a", enabled=False)
    assert registry.leases.renew("s", held, TTL_MS).generations == {"a": 0}
    command(registry, "INCR", "revision")
    command(registry, "HDEL", "streams", "c")
    assert free(registry) == []


def test_many_who_find_no_index_build_it_and_go_on(redis_url: str) -> None:
    prefix = fresh_prefix()
    registries = [Registry.open(redis_url, prefix) for _ in range(8)]
    for number in range(50):
        write_as_before(registries[0], f"cam{number}")
    with ThreadPoolExecutor(8) as pool:
        claims = [
            pool.submit(each.leases.claim, f"s{number}", [f"cam{n}" for n in range(50)], TTL_MS)
            for number, each in enumerate(registries)
        ]
    assert sorted(len(claim.result()) for claim in claims) == [0] * 7 + [50]
    for each in registries:
        each.close()


def test_the_index_gives_up_where_it_is_always_out_of_date(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_as_before(registry, "a")
    monkeypatch.setattr(Index, "_build", lambda _: None)
    with pytest.raises(UnavailableError, match="another version of Sightline keeps writing"):
        registry.leases.free(1)


def test_a_server_that_was_started_again_gets_the_scripts_again(registry: Registry) -> None:
    add(registry, "a")
    registry._store.command("SCRIPT", "FLUSH")
    assert free(registry) == ["a"]
    registry._store.command("SCRIPT", "FLUSH")
    command(registry, "DEL", "index")
    assert free(registry) == ["a"]
