"""The loop of a slot on a real registry, from start to drain; only its actors are played."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.config import PipelineSpec, SightlineConfig
from cluster.embedded import EmbeddedRedis
from cluster.registry import Lease, Registry, SlotState
from cluster.slot import worker as worker_module
from cluster.slot.worker import SlotWorker
from tests.cluster.builders import eventually, fresh_prefix, open_config, stream_spec
from tests.cluster.keeping import Actors

MakeWorker = Callable[[str], SlotWorker]


class ReadyActors(Actors):
    """A crew that is ready at once, and remembers what it was told."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.stopped = False
        self.is_up = True

    @property
    def ready(self) -> bool:
        return self.is_up

    def poll(self, now: float, *, is_asking: bool) -> None:
        pass

    def load(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def config(server: EmbeddedRedis) -> SightlineConfig:
    redis = {"url": server.url, "prefix": fresh_prefix()}
    return open_config(server.url, redis=redis, lease={"ttl_s": 3}, slots={"max_streams": 8})


@pytest.fixture
def registry(config: SightlineConfig) -> Iterator[Registry]:
    registry = Registry.open(str(config.redis.url), config.redis.prefix)
    registry.pipelines.put("default", PipelineSpec())
    yield registry
    registry.close()


@pytest.fixture
def workers(
    config: SightlineConfig, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeWorker]:
    """Starts slots; whose crew has no processes, and whose node has no labels."""
    node: Any = SimpleNamespace(get_node_labels=dict)
    monkeypatch.setattr(worker_module.ray, "get_runtime_context", lambda: node)
    monkeypatch.setattr(worker_module, "Crew", ReadyActors)
    made: list[SlotWorker] = []

    def make(name: str) -> SlotWorker:
        made.append(SlotWorker(name, config))
        return made[-1]

    yield make
    for each in made:
        each.stop()
        assert each.failure is None


def crew_of(worker: SlotWorker) -> ReadyActors:
    crew = worker._crew
    assert isinstance(crew, ReadyActors)
    return crew


def owners(registry: Registry, *streams: str) -> dict[str, str]:
    return {stream: lease.slot for stream, lease in registry.leases.lookup(streams).items()}


def test_a_stream_is_taken_changed_and_ended_as_its_user_says(
    workers: MakeWorker, registry: Registry
) -> None:
    crew = crew_of(workers("a"))
    registry.streams.create(stream_spec("x"))
    eventually(lambda: crew.opened == ["x"])
    changed = registry.streams.replace(stream_spec("x", max_fps=5))
    eventually(lambda: crew.updated == [changed.generation])
    status = eventually(lambda: registry.leases.statuses(["x"]).get("x"))
    assert status.slot == "a"
    registry.streams.replace(stream_spec("x", enabled=False))
    eventually(lambda: owners(registry, "x") == {})
    assert crew.closed == ["x"]
    registry.streams.replace(stream_spec("x"))
    eventually(lambda: crew.opened == ["x", "x"])
    registry.streams.delete("x")
    eventually(lambda: owners(registry, "x") == {})
    assert registry.leases.statuses(["x"]) == {}


def test_a_slot_that_stops_hands_its_streams_to_another_and_is_gone(
    workers: MakeWorker, registry: Registry
) -> None:
    for stream in "vwxyz":
        registry.streams.create(stream_spec(stream))
    a = workers("a")
    eventually(lambda: owners(registry, *"vwxyz") == dict.fromkeys("vwxyz", "a"))
    b = workers("b")
    eventually(lambda: set(registry.slots.loads()) == {"a", "b"})
    a.stop()
    eventually(lambda: owners(registry, *"vwxyz") == dict.fromkeys("vwxyz", "b"))
    eventually(lambda: set(crew_of(b).adopted) == set("vwxyz"))
    assert crew_of(a).closed == []
    assert crew_of(a).stopped
    assert set(registry.slots.all()) == set(registry.slots.loads()) == {"b"}


def test_a_slot_that_stops_alone_ends_its_streams(workers: MakeWorker, registry: Registry) -> None:
    registry.streams.create(stream_spec("x"))
    a = workers("a")
    eventually(lambda: owners(registry, "x") == {"x": "a"})
    a.stop()
    assert owners(registry, "x") == {}
    assert crew_of(a).closed == ["x"]
    assert [each.stream for each in registry.leases.free(9)] == ["x"]


def test_a_slot_takes_streams_as_soon_as_its_actors_are_up(
    workers: MakeWorker, registry: Registry
) -> None:
    a = workers("a")
    crew = crew_of(a)
    eventually(lambda: '"ready":true' in registry.slots.loads().get("a", ""))
    crew.is_up = False
    eventually(lambda: '"ready":false' in registry.slots.loads()["a"])
    eventually(lambda: registry.slots.all()["a"].state is SlotState.STARTING)
    registry.streams.create(stream_spec("x"))
    assert owners(registry, "x") == {}
    crew.is_up = True
    eventually(lambda: owners(registry, "x") == {"x": "a"})


def test_no_stream_moves_or_is_closed_where_redis_was_away_for_longer_than_the_leases(
    workers: MakeWorker, registry: Registry, server: EmbeddedRedis
) -> None:
    streams = "uvwxyz"
    slots = [workers("a"), workers("b")]
    eventually(lambda: len(registry.slots.loads()) == 2)
    for stream in streams:
        registry.streams.create(stream_spec(stream))
    before = eventually(lambda: _all(registry.leases.lookup(streams), len(streams)))
    eventually(lambda: sum(len(crew_of(slot).opened) for slot in slots) == len(streams))
    opened = [list(crew_of(slot).opened) for slot in slots]
    with _stopped(server.pid):
        time.sleep(4.0)
    eventually(lambda: _all(registry.leases.lookup(streams), len(streams)))
    time.sleep(3.0)
    assert registry.leases.lookup(streams) == before
    assert [crew_of(slot).opened for slot in slots] == opened
    assert [crew_of(slot).closed for slot in slots] == [[], []]


def _all(found: dict[str, Lease], num: int) -> dict[str, Lease] | None:
    return found if len(found) == num else None


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process that answers nobody; its clock runs on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_leases_that_ended_while_redis_was_away_are_taken_back(
    workers: MakeWorker, registry: Registry
) -> None:
    registry.streams.create(stream_spec("x"))
    crew = crew_of(workers("a"))
    before = eventually(lambda: registry.leases.lookup(["x"]))
    store = registry._store
    store.command("DEL", store.key("lease", "x"))
    assert eventually(lambda: registry.leases.lookup(["x"])) == before
    assert (crew.opened, crew.closed) == (["x"], [])
