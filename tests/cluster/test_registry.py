"""The registry on a real Valkey: desired state, leases, status and slots."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from actors.specs import StreamSpec
from cluster.config.pipelines import PipelineSpec
from cluster.embedded import EmbeddedRedis, free_port
from cluster.errors import (
    ConfigError,
    ConflictError,
    NotFoundError,
    StaleError,
    UnavailableError,
)
from cluster.registry import Lease, Registry, SlotState, WakeUp
from tests.cluster.builders import (
    eventually,
    fresh_prefix,
    slot_info,
    stream_spec,
    stream_status,
)

TTL_MS = 60_000


@pytest.fixture
def registry(redis_url: str) -> Iterator[Registry]:
    registry = Registry.open(redis_url, fresh_prefix(), max_streams=3)
    yield registry
    registry.close()


def wish(registry: Registry, *streams: str) -> None:
    for stream in streams:
        registry.streams.create(stream_spec(stream))


def test_a_created_stream_is_read_back_as_it_was(registry: Registry) -> None:
    spec = stream_spec(
        "gate",
        url="rtsp://user:secret@10.0.0.1/main",
        qos={"class": "high", "weight": 3},
        rules=[{"kind": "line", "name": "in", "points": [[0, 0.5], [1, 0.5]]}],
        labels={"site": "north 'Tor' \"1\" \\ é"},
    )
    created = registry.streams.create(spec)
    assert created.spec == spec
    assert registry.streams.get("gate") == created
    assert registry.streams.all() == {"gate": created}
    assert created.created_at == created.updated_at > 1.7e9


def test_creating_an_id_twice_is_a_conflict_and_keeps_the_first(registry: Registry) -> None:
    first = registry.streams.create(stream_spec("gate"))
    with pytest.raises(ConflictError, match="'gate' already"):
        registry.streams.create(stream_spec("gate", name="other"))
    assert registry.streams.get("gate") == first


def test_more_streams_than_allowed_are_refused(registry: Registry) -> None:
    for number in range(3):
        registry.streams.create(stream_spec(f"cam{number}"))
    with pytest.raises(ConflictError, match="3 streams"):
        registry.streams.create(stream_spec("cam3"))
    assert registry.streams.count() == 3


def test_replacing_counts_the_generation_up_and_keeps_the_creation_time(registry: Registry) -> None:
    before = registry.streams.create(stream_spec("gate"))
    after = registry.streams.replace(stream_spec("gate", name="Gate"), before.generation)
    assert after.generation > before.generation
    assert after.created_at == pytest.approx(before.created_at, abs=1e-5)
    assert after.updated_at >= before.updated_at


def test_a_write_with_an_old_generation_is_stale(registry: Registry) -> None:
    old = registry.streams.create(stream_spec("gate"))
    new = registry.streams.replace(stream_spec("gate", name="Gate"))
    with pytest.raises(StaleError):
        registry.streams.replace(stream_spec("gate", name="late"), old.generation)
    with pytest.raises(StaleError):
        registry.streams.delete("gate", old.generation)
    assert registry.streams.get("gate") == new


def test_a_stream_made_again_has_a_higher_generation(registry: Registry) -> None:
    first = registry.streams.create(stream_spec("gate"))
    registry.streams.delete("gate", first.generation)
    assert registry.streams.create(stream_spec("gate")).generation > first.generation


def test_what_is_not_there_is_not_found(registry: Registry) -> None:
    for act in (
        lambda: registry.streams.get("ghost"),
        lambda: registry.streams.delete("ghost"),
        lambda: registry.streams.replace(stream_spec("ghost")),
        lambda: registry.pipelines.get("ghost"),
        lambda: registry.pipelines.put("ghost", PipelineSpec(), expected=1),
    ):
        with pytest.raises(NotFoundError, match="'ghost'"):
            act()


def test_putting_the_same_spec_again_changes_nothing(registry: Registry) -> None:
    first = registry.streams.put(stream_spec("gate"))
    revision = registry.revision()
    assert registry.streams.put(stream_spec("gate")) == first
    assert registry.revision() == revision
    assert registry.streams.put(stream_spec("gate", name="new")).generation > first.generation


def test_only_one_of_many_writers_with_the_same_generation_wins(redis_url: str) -> None:
    registry = Registry.open(redis_url, fresh_prefix())
    start = registry.streams.create(stream_spec("gate"))

    def write(number: int) -> bool:
        try:
            registry.streams.replace(stream_spec("gate", name=str(number)), start.generation)
        except StaleError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(24))) == 1
    registry.close()


def test_every_change_counts_the_revision_up(registry: Registry) -> None:
    revisions = [registry.revision()]
    for act in (
        lambda: registry.streams.create(stream_spec("gate")),
        lambda: registry.streams.replace(stream_spec("gate", name="x")),
        lambda: registry.pipelines.put("default", PipelineSpec()),
        lambda: registry.pipelines.put("default", PipelineSpec(max_batch_size=4)),
        lambda: registry.streams.delete("gate"),
    ):
        act()
        revisions.append(registry.revision())
    assert revisions == list(range(6))


def test_a_change_wakes_those_who_wait(registry: Registry) -> None:
    wake_up = registry.subscribe()
    assert not wake_up.wait(0.05)
    threading.Timer(0.05, lambda: registry.streams.create(stream_spec("gate"))).start()
    assert eventually(lambda: wake_up.wait(0.5)) == {"gate"}
    token = registry.leases.claim("a", ["gate"], TTL_MS)
    assert not wake_up.wait(0.05)
    registry.leases.release("a", token)
    assert eventually(lambda: wake_up.wait(0.5)) == {"gate"}
    wake_up.close()


def test_who_waits_hears_again_after_a_restart_of_the_server() -> None:
    port = free_port()
    with EmbeddedRedis(port=port) as server:
        registry = Registry.open(server.url)
        wake_up = registry.subscribe()
        assert not wake_up.wait(0.05)
    with pytest.raises(UnavailableError):
        wake_up.wait(0.05)
    with EmbeddedRedis(port=port):
        eventually(lambda: _is_subscribed(wake_up))
        registry.streams.create(stream_spec("gate"))
        assert eventually(lambda: wake_up.wait(0.5))
    wake_up.close()
    registry.close()


def _is_subscribed(wake_up: WakeUp) -> bool:
    try:
        wake_up.wait(0.05)
    except UnavailableError:
        return False
    return True


def test_a_record_that_cannot_be_read_hides_no_other(registry: Registry, redis_url: str) -> None:
    good = registry.streams.create(stream_spec("good"))
    registry._store.command("HSET", registry._store.key("streams"), "bad", '{"spec": {}}')
    assert registry.streams.all() == {"good": good}
    with pytest.raises(UnavailableError, match="'bad' was stored by another version"):
        registry.streams.get("bad")


def test_a_stream_is_claimed_by_one_slot_only(redis_url: str) -> None:
    registry = Registry.open(redis_url, fresh_prefix())
    streams = [f"cam{number}" for number in range(40)]
    wish(registry, *streams)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda slot: registry.leases.claim(slot, streams, TTL_MS), "abcdefgh"))
    assert sorted(stream for tokens in won for stream in tokens) == sorted(streams)
    leases = registry.leases.lookup(streams)
    assert leases == {
        stream: Lease(slot, token)
        for slot, tokens in zip("abcdefgh", won, strict=True)
        for stream, token in tokens.items()
    }
    assert len({lease.token for lease in leases.values()}) == 40
    registry.close()


def test_a_lease_that_is_not_renewed_goes_to_another_with_a_higher_token(
    registry: Registry,
) -> None:
    wish(registry, "gate")
    first = registry.leases.claim("a", ["gate"], ttl_ms=30)
    second = eventually(lambda: registry.leases.claim("b", ["gate"], TTL_MS))
    assert second["gate"] > first["gate"]
    assert registry.leases.renew("a", first, TTL_MS).lost == {"gate"}
    assert registry.leases.release("a", first) == 0
    assert registry.leases.lookup(["gate"]) == {"gate": Lease("b", second["gate"])}


def test_renewing_keeps_leases_and_says_of_which_generation_their_specs_are(
    registry: Registry,
) -> None:
    x, y, z = (registry.streams.create(stream_spec(name)) for name in "xyz")
    held = registry.leases.claim("a", ["x", "y", "z"], ttl_ms=200)
    registry.streams.replace(stream_spec("y", enabled=False))
    registry.streams.delete("z")
    renewal = registry.leases.renew("a", held, TTL_MS)
    assert renewal.generations == {"x": x.generation, "y": 0, "z": 0}
    assert not renewal.lost | renewal.regained
    assert renewal.next_end_s == TTL_MS / 1e3
    lease_ttl_ms = registry._store.command("PTTL", registry._store.key("lease", "x"))
    assert lease_ttl_ms > 1000
    assert y.generation < z.generation


def test_the_same_slot_name_with_another_token_owns_nothing(registry: Registry) -> None:
    wish(registry, "x")
    held = registry.leases.claim("a", ["x"], TTL_MS)
    forged = {"x": held["x"] + 1}
    assert registry.leases.renew("a", forged, TTL_MS).lost == {"x"}
    assert registry.leases.release("a", forged) == 0
    assert registry.leases.release("a", held) == 1
    assert registry.leases.lookup(["x"]) == {}


def test_only_the_token_of_the_lease_may_write_a_status(registry: Registry) -> None:
    wish(registry, "gate")
    old = registry.leases.claim("a", ["gate"], ttl_ms=30)["gate"]
    new = eventually(lambda: registry.leases.claim("b", ["gate"], TTL_MS))["gate"]
    current = stream_status("b", new, fps=25.0)
    assert registry.leases.publish_status("gate", new, current, TTL_MS)
    assert not registry.leases.publish_status("gate", old, stream_status("a", old), TTL_MS)
    assert registry.leases.statuses(["gate", "ghost"]) == {"gate": current}


def test_statuses_are_written_in_one_batch_and_the_refused_are_named(registry: Registry) -> None:
    wish(registry, "x", "y")
    held = registry.leases.claim("a", ["x", "y"], TTL_MS)
    batch = {stream: (token, stream_status("a", token)) for stream, token in held.items()}
    batch["z"] = (99, stream_status("a", 99))
    assert registry.leases.publish_statuses(batch, TTL_MS) == {"z"}
    assert set(registry.leases.statuses("xyz")) == {"x", "y"}


def test_a_snapshot_of_some_streams_shows_slots_where_one_of_them_waits(registry: Registry) -> None:
    held, waiting = (registry.streams.create(stream_spec(name)) for name in ("gate", "yard"))
    registry.leases.claim("slot-a", ["gate"], TTL_MS)
    registry.slots.publish(slot_info(), TTL_MS)
    both = registry.snapshot_of({"gate": held, "yard": waiting})
    assert both.slots == {"slot-a": slot_info()}
    one = registry.snapshot_of({"gate": held})
    assert one.slots == {}
    assert one.state("gate") == both.state("gate")


def test_deleting_a_stream_forgets_its_status(registry: Registry) -> None:
    registry.streams.create(stream_spec("gate"))
    token = registry.leases.claim("a", ["gate"], TTL_MS)["gate"]
    registry.leases.publish_status("gate", token, stream_status("a", token), TTL_MS)
    registry.streams.delete("gate")
    assert registry.leases.statuses(["gate"]) == {}


def test_a_slot_that_stops_publishing_is_forgotten(registry: Registry) -> None:
    registry.slots.publish(slot_info("dying"), ttl_ms=30)
    living = slot_info("living", state=SlotState.STARTING, details={"infer_ms": 3.5})
    registry.slots.publish(living, TTL_MS)
    assert eventually(lambda: registry.slots.all() == {"living": living})
    assert registry._store.command("SMEMBERS", registry._store.key("slots")) in (
        ["living"],
        {"living"},
    )
    registry.slots.remove("living")
    assert registry.slots.all() == {}


def test_a_snapshot_puts_all_together(registry: Registry) -> None:
    record = registry.streams.create(stream_spec("gate"))
    token = registry.leases.claim("slot-a", ["gate"], TTL_MS)["gate"]
    status = stream_status("slot-a", token)
    registry.leases.publish_status("gate", token, status, TTL_MS)
    registry.slots.publish(slot_info(), TTL_MS)
    snapshot = registry.snapshot()
    assert snapshot.streams == {"gate": record}
    assert snapshot.leases == {"gate": Lease("slot-a", token)}
    assert snapshot.statuses == {"gate": status}
    assert snapshot.slots == {"slot-a": slot_info()}


def test_registries_with_other_prefixes_do_not_meet(redis_url: str) -> None:
    one, two = (Registry.open(redis_url, fresh_prefix()) for _ in range(2))
    one.streams.create(stream_spec("gate"))
    assert two.streams.all() == {}
    assert two.leases.claim("a", ["gate"], TTL_MS) == {}
    two.streams.create(stream_spec("gate"))
    assert two.leases.claim("a", ["gate"], TTL_MS)
    assert one.leases.lookup(["gate"]) == {}
    one.close()
    two.close()


def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    port = free_port()
    registry = Registry.open(f"redis://user:hunter2@127.0.0.1:{port}/0")
    for act in (registry.ping, registry.snapshot, registry.subscribe):
        with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}") as caught:
            act()
        assert "hunter2" not in str(caught.value)


def test_a_url_that_is_not_for_redis_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url") as caught:
        Registry.open("http://user:hunter2@127.0.0.1")
    assert "hunter2" not in str(caught.value)


def test_streams_survive_a_restart_of_the_server(tmp_path: Path) -> None:
    with EmbeddedRedis(data_dir=tmp_path) as server:
        registry = Registry.open(server.url)
        kept: StreamSpec = registry.streams.create(stream_spec("gate")).spec
        registry.close()
    with EmbeddedRedis(data_dir=tmp_path) as server:
        registry = Registry.open(server.url)
        assert registry.streams.get("gate").spec == kept
        registry.close()
