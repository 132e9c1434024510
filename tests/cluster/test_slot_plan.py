"""From the configuration to what one slot is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.sinks.specs import FileSinkSpec, RedisSinkSpec
from cluster.config import SightlineConfig
from cluster.machine import num_cores
from cluster.slot.plan import crew_config, decode_cores, redis_sink
from engines.frames import Picture

URL = "redis://127.0.0.1:6379/0"


def config(**sections: object) -> SightlineConfig:
    return SightlineConfig.model_validate({"redis": {"url": URL}, **sections})


def test_half_the_cores_hold_cameras_where_the_configuration_does_not_say() -> None:
    plan = crew_config("slot-a", config())
    assert plan.num_ingests == max(1, num_cores() // 2)
    assert crew_config("slot-a", config(slots={"num_ingest": 3})).num_ingests == 3


def test_the_pool_holds_the_largest_picture_and_is_shared_by_all_ingests() -> None:
    sections = {"slots": {"num_ingest": 2}, "pool": {"num_slots": 10, "max_width": 641}}
    pool = crew_config("slot-a", config(**sections)).pool
    assert (pool.num_slots, pool.max_ingests) == (10, 2)
    assert pool.slot_bytes == Picture(641, 1080).size_bytes
    assert pool.name == "slot-a-pool"


def test_cameras_get_the_patience_that_was_asked_for() -> None:
    ingest = crew_config(
        "slot-a", config(cameras={"open_timeout_s": 1.25, "read_timeout_s": 2.5})
    ).ingest
    assert (ingest.open_timeout_s, ingest.read_timeout_s) == (1.25, 2.5)


def test_events_go_to_the_own_redis_first_and_to_all_other_sinks(tmp_path: Path) -> None:
    other = {"kind": "file", "path": str(tmp_path / "events.jsonl")}
    own, file = crew_config("slot-a", config(sinks=[other])).sinks
    assert isinstance(own, RedisSinkSpec)
    assert file == FileSinkSpec(path=tmp_path / "events.jsonl")


def test_events_wait_where_the_configuration_says_whatever_the_port_is(tmp_path: Path) -> None:
    redis = {"prefix": "north{1}", "spool_dir": tmp_path}
    sinks = [redis_sink(config(redis={"url": f"{URL}{n}", **redis})) for n in range(2)]
    assert {(sink.spool_dir, sink.spool_name) for sink in sinks} == {(tmp_path, "redis-north{1}")}
    assert redis_sink(config()).spool_name is None


@pytest.mark.parametrize("prefix", ["sightline", "north{1}"])
def test_events_lie_under_the_prefix_and_are_bounded(prefix: str) -> None:
    sink = redis_sink(config(redis={"url": URL, "prefix": prefix, "max_events": 123}))
    assert (sink.url, sink.stream, sink.max_len) == (URL, f"{prefix}:events", 123)


def test_frames_go_to_redis_only_where_it_is_asked_for() -> None:
    assert not redis_sink(config()).frames
    sink = redis_sink(config(redis={"url": URL, "prefix": "n", "frames": True, "max_frames": 50}))
    assert (sink.frames, sink.frames_stream, sink.max_frames) == (True, "n:frames", 50)


def test_only_the_redis_that_knows_the_owners_refuses_events_of_former_ones() -> None:
    other = {"kind": "redis", "url": "redis://elsewhere:6379/0"}
    own, mirror = crew_config(
        "slot-a", config(redis={"url": URL, "prefix": "n"}, sinks=[other])
    ).sinks
    assert isinstance(own, RedisSinkSpec)
    assert isinstance(mirror, RedisSinkSpec)
    assert (own.fence, mirror.fence) == ("n", "")


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ({"device": "cpu"}, num_cores()),
        ({"device": "cpu", "num_cpus": 1.5}, 1),
        ({"device": "cpu", "num_cpus": 0.25}, 1),
        ({"device": "cpu", "num_cpus": 4096}, num_cores()),
        ({"device": "cuda", "num_cpus": 1}, num_cores()),
    ],
)
def test_a_slot_decodes_on_the_cores_that_it_reserves_else_on_all(
    slots: dict[str, object], expected: int
) -> None:
    assert decode_cores(config(slots=slots)) == expected
