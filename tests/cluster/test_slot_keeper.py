"""What a slot claims, ends and publishes, against a real registry; only its actors are played."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import ray

from actors.ledger import Ledger
from cluster.embedded import EmbeddedRedis
from cluster.registry import Registry
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.keeper import StreamKeeper
from tests.cluster.builders import fresh_prefix, stream_spec

MAX_STREAMS = 2


class Actors(Crew):
    """A crew without processes: remembers what it was told."""

    def __init__(self) -> None:
        self.ingests = []
        self.shards = []
        self.opened: list[str] = []

    def open(self, holding: Holding) -> None:
        self.opened.append(holding.assignment.spec.id)

    def update(self, holding: Holding) -> None:
        pass

    def close_camera(self, stream: str, holding: Holding) -> Any:
        return stream

    def close_rules(self, stream: str, holding: Holding) -> None:
        pass


class Slot:
    """A keeper with all that it works on."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.crew = Actors()
        self.holdings = Holdings(MAX_STREAMS, 1)
        self.ledger = Ledger.create(MAX_STREAMS, name="sightline-test-keeper")
        self.keeper = StreamKeeper(
            "slot-a",
            registry,
            self.crew,
            self.ledger,
            self.holdings,
            max_streams=MAX_STREAMS,
            ttl_ms=60_000,
        )

    @property
    def held(self) -> set[str]:
        return {stream for stream, holding in self.holdings.items() if not holding.closing}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture
def slot(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slot]:
    """A slot whose cameras close as soon as they are asked about."""
    monkeypatch.setattr(ray, "wait", lambda refs, **_: (refs, []))
    registry = Registry.open(server.url, fresh_prefix())
    made = Slot(registry)
    yield made
    made.ledger.unlink()
    registry.close()


def add(slot: Slot, *streams: str, **fields: Any) -> None:
    for stream in streams:
        slot.registry.streams.put(stream_spec(stream, **fields))


def test_a_full_slot_takes_another_stream_only_when_one_has_ended(slot: Slot) -> None:
    add(slot, "a", "b")
    slot.keeper.sync()
    slot.registry.streams.delete("a")
    add(slot, "c")
    slot.keeper.sync()
    slot.keeper.sync()
    assert slot.held == {"b"}
    assert "c" not in slot.registry.leases.lookup(["c"])
    assert slot.keeper.finish_closing()
    slot.keeper.sync()
    assert slot.held == {"b", "c"}
    assert slot.crew.opened == ["a", "b", "c"]


def test_a_disabled_stream_makes_room_only_when_it_has_ended(slot: Slot) -> None:
    add(slot, "a", "b", "c")
    slot.keeper.sync()
    add(slot, "a", enabled=False)
    slot.keeper.sync()
    assert slot.held == {"b"}
    slot.keeper.finish_closing()
    slot.keeper.sync()
    assert slot.held == {"b", "c"}


def test_a_lease_whose_claim_was_never_answered_is_left_to_run_out(slot: Slot) -> None:
    add(slot, "a")
    slot.registry.leases.claim("slot-a", ["a"], 60_000)
    add(slot, "a", enabled=False)
    slot.keeper.sync()
    assert slot.held == set()


def test_a_stream_that_could_not_be_let_go_is_let_go_later(
    slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(slot, "a")
    slot.keeper.sync()
    slot.keeper.close_all()
    with monkeypatch.context() as patched:
        patched.setattr(slot.registry.leases, "release", failing)
        with pytest.raises(ConnectionError):
            slot.keeper.finish_closing()
    assert slot.keeper.finish_closing()
    assert len(slot.holdings) == 0
    assert slot.registry.leases.lookup(["a"]) == {}


def failing(*_: object) -> None:
    raise ConnectionError("Redis is away")


def test_a_deleted_stream_leaves_no_status_for_one_that_is_added_under_its_id(slot: Slot) -> None:
    add(slot, "a", "b")
    slot.keeper.sync()
    slot.keeper.publish()
    assert set(slot.registry.leases.statuses("ab")) == {"a", "b"}
    slot.registry.streams.delete("a")
    slot.keeper.sync()
    add(slot, "a")
    slot.keeper.publish()
    slot.keeper.finish_closing()
    assert set(slot.registry.leases.statuses("ab")) == {"b"}
    slot.keeper.sync()
    slot.keeper.publish()
    assert set(slot.registry.leases.statuses("ab")) == {"a", "b"}


def test_a_disabled_stream_keeps_its_last_status(slot: Slot) -> None:
    add(slot, "a")
    slot.keeper.sync()
    add(slot, "a", enabled=False)
    slot.keeper.sync()
    slot.keeper.finish_closing()
    assert set(slot.registry.leases.statuses("a")) == {"a"}
