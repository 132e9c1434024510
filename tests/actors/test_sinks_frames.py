"""The stream of frames: every frame with its tracked objects, bounded, and never waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actors.analytics.shard import AnalyticsShard
from actors.ledger import Ledger
from actors.messages import Assignment
from actors.sinks import FrameSink, RedisSinkSpec, open_frame_sinks
from engines.detections import Detections
from tests.actors.builders import (
    LABELS,
    Valkey,
    detections,
    eventually,
    frame_result,
    stream_spec,
)

FRAMES = "sightline:frames"


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


def opened(valkey: Valkey, tmp_path: Path, **fields: object) -> FrameSink:
    own = {"url": valkey.url, "spool_dir": tmp_path, "timeout_s": 0.5, "frames": True}
    (sink,) = open_frame_sinks([RedisSinkSpec.model_validate({**own, **fields})])
    return sink


def two_objects() -> Detections:
    found = detections([(100, 50), (200.26, 60)], confidence=0.875)
    return Detections.of(found.xyxy, found.confidence, np.array([1, 7]), np.array([4, 9]))


def write(sink: FrameSink, *indices: int) -> None:
    for index in indices:
        sink.write(frame_result(index, two_objects()), two_objects(), LABELS, "slot-1")


def indices(valkey: Valkey) -> list[int]:
    return [int(fields["index"]) for _, fields in valkey.client.xrange(FRAMES)]


def test_an_entry_is_flat_with_the_objects_as_lists(valkey, tmp_path):
    sink = opened(valkey, tmp_path)
    write(sink, 5)
    assert sink.flush(20)
    sink.close()
    ((_, fields),) = valkey.client.xrange(FRAMES)
    assert json.loads(fields.pop("objects")) == [
        [4, "car", 0.875, 80.0, 26.0, 120.0, 50.0],
        [9, "7", 0.875, 180.3, 36.0, 220.3, 60.0],
    ]
    assert fields == {
        "stream": "gate",
        "session": "1",
        "index": "5",
        "ts": "1700000000500",
        "pts": "0.5",
        "size": "640x360",
        "model": "toy",
        "slot": "slot-1",
    }


def test_the_message_of_deepstream_has_the_frame_and_all_its_objects(valkey, tmp_path):
    sink = opened(valkey, tmp_path, format="deepstream_minimal")
    write(sink, 5)
    assert sink.flush(20)
    sink.close()
    ((_, fields),) = valkey.client.xrange(FRAMES)
    assert json.loads(fields["metadata"]) == {
        "version": "4.0",
        "id": "5",
        "@timestamp": "2023-11-14T22:13:20.500Z",
        "sensorId": "gate",
        "objects": ["4|80|26|120|50|car", "9|180.3|36|220.3|60|7"],
    }


def test_the_stream_is_trimmed_to_about_its_length(valkey, tmp_path):
    sink = opened(valkey, tmp_path, max_frames=100)
    write(sink, *range(1000))
    assert sink.flush(20)
    sink.close()
    assert 100 <= valkey.client.xlen(FRAMES) < 400
    assert indices(valkey)[-1] == 999


def test_while_the_server_is_away_frames_are_dropped_and_counted_and_then_it_goes_on(
    valkey, tmp_path
):
    valkey.kill()
    sink = opened(valkey, tmp_path)
    write(sink, *range(10))
    eventually(lambda: sink.status().num_dropped > 0)
    assert "frames" in sink.status().error
    write(sink, *range(10, 5000))
    assert sink.status().num_waiting <= 2100
    valkey.start()
    eventually(lambda: sink.status().is_connected, 20)
    assert sink.flush(20)
    write(sink, 5000)
    assert sink.flush(20)
    status = sink.status()
    assert status.num_written + status.num_dropped == 5001
    found = indices(valkey)
    assert found == list(range(found[0], 5001))
    sink.close()


def test_one_that_closes_while_the_server_is_away_ends(valkey, tmp_path):
    sink = opened(valkey, tmp_path)
    valkey.kill()
    write(sink, *range(100))
    sink.close()
    assert sink.status().num_waiting == 0


def test_a_shard_writes_every_frame_that_it_analyses_with_what_it_tracks(valkey, tmp_path):
    ledger = Ledger.create(1)
    sink = opened(valkey, tmp_path)
    shard = AnalyticsShard(ledger, [], "slot-1", LABELS, frame_sinks=[sink])
    shard.open_stream(Assignment(stream_spec(), 1, 0))
    for n in range(20):
        shard.process([frame_result(n, detections([(100 + n, 200)]))])
        shard.process([frame_result(n, detections([(100 + n, 200)]))])  # it comes twice
    assert sink.flush(20)
    assert [status.kind for status in shard.status().sinks] == ["frames"]
    shard.close()
    ledger.unlink()
    assert indices(valkey) == list(range(20))
    last = json.loads(valkey.client.xrevrange(FRAMES, count=1)[0][1]["objects"])
    assert [(row[1], len(row)) for row in last] == [("car", 7)]


def test_frames_are_written_only_where_it_is_asked_for(tmp_path):
    spec = RedisSinkSpec(url="redis://h", spool_dir=tmp_path)
    assert open_frame_sinks([spec]) == []
