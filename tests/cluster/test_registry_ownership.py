"""Ownership under any order of events: whoever holds a stream's valid token is its only owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from actors.specs import QosClass
from cluster.embedded import EmbeddedRedis
from cluster.errors import ConflictError, NotFoundError
from cluster.placement import SlotLoad
from cluster.registry import Lease, Registry
from cluster.registry.leases import Leases
from tests.cluster.builders import fresh_prefix, stream_record, stream_spec, stream_status

TTL_MS = 600_000  # time passes only where the machine says so
RANK = {qos: rank for rank, qos in enumerate(QosClass)}
STREAMS = "ab"  # few, so that they often meet
SLOTS = "st"
streams = st.sampled_from(STREAMS)
groups = st.sets(streams, min_size=1)
slots = st.sampled_from(SLOTS)
classes = st.sampled_from(list(QosClass))


class Ownership(RuleBasedStateMachine):
    """Streams and slots, as they should be, beside a real registry.

    ``believed`` is what each slot thinks that it holds, right or wrong: a slot that was cut off
    does not hear that its leases have ended.
    """

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry.open(self.url, fresh_prefix())
        self.wanted: dict[str, QosClass] = {}
        self.disabled: set[str] = set()
        self.owner: dict[str, tuple[str, int]] = {}
        self.newest: dict[str, int] = {}
        self.last_token = 0
        self.believed: dict[str, dict[str, int]] = {slot: {} for slot in SLOTS}
        self.kept_for: dict[str, str] = {}
        self.takers: set[str] = set()
        self.states: dict[str, bytes] = {}
        self.left: set[str] = set()
        for stream in STREAMS:
            self.user_creates(stream)

    def teardown(self) -> None:
        self.registry.close()

    def command(self, *words: str | int) -> Any:
        store = self.registry._store
        return store.command(words[0], store.key(str(words[1])), *words[2:])

    @rule(stream=streams, qos=classes, enabled=st.booleans(), is_old=st.booleans())
    def user_puts(self, stream: str, qos: QosClass, enabled: bool, is_old: bool) -> None:
        """With ``is_old`` by a version that keeps no index."""
        fields = {"qos": {"class": qos}, "enabled": enabled}
        if is_old:
            generation = self.command("INCR", "revision")
            record = stream_record(stream, generation, **fields)
            self.command("HSET", "streams", stream, record.model_dump_json(by_alias=True))
        else:
            self.registry.streams.put(stream_spec(stream, **fields))
            if not enabled and stream in self.there & set(self.states):
                self.left.add(stream)
        self.forget(stream)
        if enabled:
            self.wanted[stream] = qos
        else:
            self.disabled.add(stream)
            self.kept_for.pop(stream, None)

    @rule(stream=streams)
    def user_adds(self, stream: str) -> None:
        self.user_creates(stream)

    def user_creates(self, stream: str) -> None:
        try:
            self.registry.streams.create(stream_spec(stream))
        except ConflictError:
            assert stream in self.there
        else:
            assert stream not in self.there
            self.wanted[stream] = QosClass.NORMAL

    @rule(stream=streams)
    def user_deletes(self, stream: str) -> None:
        try:
            self.registry.streams.delete(stream)
        except NotFoundError:
            assert stream not in self.there
        else:
            self.left |= {stream} & set(self.states)
        self.forget(stream)
        self.kept_for.pop(stream, None)

    def forget(self, stream: str) -> None:
        self.wanted.pop(stream, None)
        self.disabled.discard(stream)

    @rule(slot=slots, wishes=groups)
    def slot_claims(self, slot: str, wishes: set[str]) -> None:
        order = sorted(wishes)
        won = self.leases.claim(slot, order, TTL_MS)
        assert set(won) == {
            stream
            for stream in order
            if stream in self.free - self.left and not self.is_kept_for_another(stream, slot)
        }
        tokens = [won[stream] for stream in order if stream in won]
        assert all(a < b for a, b in zip([self.last_token, *tokens], tokens, strict=False))
        for stream, token in won.items():
            self.own(stream, slot, token)
        self.last_token = max([self.last_token, *tokens])

    def is_kept_for_another(self, stream: str, slot: str) -> bool:
        to = self.kept_for.get(stream, slot)
        return to != slot and to in self.takers

    def own(self, stream: str, slot: str, token: int) -> None:
        self.owner[stream] = slot, token
        self.newest[stream] = token
        self.believed[slot][stream] = token
        self.kept_for.pop(stream, None)

    @rule(slot=slots)
    def slot_renews(self, slot: str) -> None:
        held = self.believed[slot]
        renewal = self.leases.renew(slot, held, TTL_MS)
        regained = {
            stream
            for stream, token in held.items()
            if stream not in self.owner and self.newest[stream] == token
        }
        kept = {stream for stream, token in held.items() if self.is_owner(slot, stream, token)}
        assert renewal.regained == regained
        assert set(renewal.generations) == kept | regained
        assert renewal.lost == set(held) - kept - regained
        records = self.registry.streams.some(renewal.generations)
        for stream, generation in renewal.generations.items():
            assert generation == (records[stream].generation if stream in self.wanted else 0)
        for stream in regained:
            self.own(stream, slot, held[stream])
        for stream in renewal.lost:
            del held[stream]

    def is_owner(self, slot: str, stream: str, token: int) -> bool:
        return self.owner.get(stream) == (slot, token)

    @rule(slot=slots, hears=st.booleans())
    def slot_releases_all(self, slot: str, hears: bool) -> None:
        """One that does not hear the answer still thinks that it holds them."""
        held = dict(self.believed[slot])
        owned = [stream for stream, token in held.items() if self.is_owner(slot, stream, token)]
        assert self.leases.release(slot, held) == len(owned)
        for stream in owned:
            del self.owner[stream]
        if hears:
            self.believed[slot].clear()

    @rule(slot=slots, stream=streams, to=st.sampled_from(["", *SLOTS]))
    def slot_hands_over(self, slot: str, stream: str, to: str) -> None:
        token = self.believed[slot].get(stream)
        if token is None:
            return
        state = f"{stream} of {slot} {token}".encode()
        is_right = self.is_owner(slot, stream, token) and stream in self.wanted
        assert self.leases.hand_over(slot, stream, token, state, to) == is_right
        if not is_right:
            return
        del self.owner[stream], self.believed[slot][stream]
        self.states[stream] = state
        self.left.discard(stream)
        if to in self.takers:
            self.kept_for[stream] = to

    @rule(slot=slots, is_draining=st.booleans())
    def slot_tells_how_it_is(self, slot: str, is_draining: bool) -> None:
        load = SlotLoad(slot, is_draining=is_draining)
        self.registry.slots.publish_load(slot, load.to_json(), TTL_MS)
        if is_draining:
            self.nothing_is_kept_for(slot)
        else:
            self.takers.add(slot)

    @rule(slot=slots)
    def slot_ends(self, slot: str) -> None:
        self.registry.slots.remove(slot)
        self.nothing_is_kept_for(slot)

    def nothing_is_kept_for(self, slot: str) -> None:
        self.takers.discard(slot)
        self.kept_for = {s: to for s, to in self.kept_for.items() if to != slot}

    @rule(slot=slots)
    def slot_takes_states(self, slot: str) -> None:
        held = self.believed[slot]
        found = self.leases.take_states(held)
        own = {stream for stream, token in held.items() if self.is_owner(slot, stream, token)}
        assert found == {s: state for s, state in self.states.items() if s in own}
        for stream in found:
            del self.states[stream]
        self.left -= own

    @rule(slot=slots, stream=streams, is_deleted=st.booleans())
    def a_stream_goes_on_its_way_to_another_slot(
        self, slot: str, stream: str, is_deleted: bool
    ) -> None:
        """What chance would seldom come to."""
        self.slot_claims(slot, {stream})
        self.slot_hands_over(slot, stream, "")
        if is_deleted:
            self.user_deletes(stream)
        else:
            self.user_puts(stream, QosClass.LOW, enabled=False, is_old=False)

    @rule(slot=slots, limit=st.integers(1, 2))
    def slot_takes_what_was_left(self, slot: str, limit: int) -> None:
        found = self.leases.take_left(slot, limit, TTL_MS)
        waiting = self.left - set(self.owner)
        streams = {each.record.spec.id for each in found}
        assert streams <= waiting
        assert len(found) == min(limit, len(waiting))
        for each in found:
            stream = each.record.spec.id
            assert each.state == self.states[stream]
            assert each.token > self.last_token
            self.last_token = each.token
            self.own(stream, slot, each.token)

    @rule(slot=slots, stream=streams)
    def slot_ends_what_was_left(self, slot: str, stream: str) -> None:
        token = self.believed[slot].get(stream, 0)
        is_owner = self.is_owner(slot, stream, token)
        assert self.leases.end_left(slot, stream, token) == is_owner
        if is_owner:
            del self.owner[stream], self.believed[slot][stream]
            self.states.pop(stream, None)
            self.left.discard(stream)

    @rule(slot=slots)
    def leases_of_a_slot_end(self, slot: str) -> None:
        for stream in [s for s, (owner, _) in self.owner.items() if owner == slot]:
            self.command("DEL", f"lease:{stream}")
            self.command("ZADD", "expiry", 1, stream)
            del self.owner[stream]
            self.takers.discard(slot)

    @rule()
    def what_was_kept_for_a_slot_is_anybodys(self) -> None:
        for stream, to in self.kept_for.items():
            self.command("HSET", "moves", stream, f"{to} 1000")
            self.takers.discard(to)
        self.kept_for.clear()

    @property
    def leases(self) -> Leases:
        """However slow this machine is, there was never a silence."""
        self.command("DEL", "heard")
        return self.registry.leases

    @property
    def there(self) -> set[str]:
        return set(self.wanted) | self.disabled

    @property
    def free(self) -> set[str]:
        return set(self.wanted) - set(self.owner)

    @invariant()
    def only_the_owner_may_write(self) -> None:
        for slot, held in self.believed.items():
            statuses = {s: (token, stream_status(slot, token)) for s, token in held.items()}
            refused = self.leases.publish_statuses(statuses, TTL_MS)
            assert set(held) - refused == {
                s for s, token in held.items() if self.is_owner(slot, s, token) and s in self.there
            }

    @invariant()
    def every_wanted_stream_without_a_lease_is_free_and_no_other(self) -> None:
        found = self.leases.free(100)
        order = sorted(self.free, key=lambda stream: (RANK[self.wanted[stream]], stream))
        assert [each.stream for each in found] == order
        assert {s.stream: s.reserved_for for s in found if s.reserved_for} == self.kept_for
        assert set(self.command("HKEYS", "free_since")) == self.free

    @invariant()
    def what_nobody_goes_on_with_is_kept_until_it_is_ended(self) -> None:
        assert set(self.command("HKEYS", "left")) == self.left <= set(self.states)
        for stream in STREAMS:
            assert self.command("EXISTS", f"state:{stream}") == (stream in self.states)

    @invariant()
    def the_leases_are_those_of_the_owners(self) -> None:
        leases = self.leases.lookup(STREAMS)
        assert leases == {s: Lease(slot, token) for s, (slot, token) in self.owner.items()}
        assert set(self.command("ZRANGE", "expiry", 0, -1)) == set(self.owner)

    @invariant()
    def the_owners_are_remembered_in_the_order_of_their_tokens(self) -> None:
        for stream, token in self.newest.items():
            entries = [entry.split() for entry in self.command("LRANGE", f"owners:{stream}", 0, -1)]
            tokens = [int(each) for each, _, _ in entries]
            times = [int(claimed_at) for _, claimed_at, _ in entries]
            assert tokens[0] == token
            assert tokens == sorted(set(tokens), reverse=True)
            assert times == sorted(times, reverse=True)


@contextmanager
def machine_on_a_server() -> Iterator[type[Ownership]]:
    with EmbeddedRedis() as server:
        yield type("Ownership", (Ownership,), {"url": server.url})


@pytest.mark.parametrize("num_steps", [12, 50])
def test_nobody_but_the_owner_writes_and_nothing_wanted_is_forgotten(num_steps: int) -> None:
    with machine_on_a_server() as machine:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=900 // num_steps,
                stateful_step_count=num_steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
