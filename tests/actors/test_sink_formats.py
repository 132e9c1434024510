"""The minimal message of DeepStream: its fields and nothing else, on every sink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.analytics.events import Event
from actors.sinks import FileSinkSpec, MqttSinkSpec, RedisSinkSpec, open_sink
from actors.sinks.formats import to_deepstream, to_entry, to_text
from actors.sinks.mqtt import to_message
from tests.actors.builders import Valkey, event

MINIMAL = {
    "version": "4.0",
    "id": f"{5:032x}",
    "@timestamp": "2023-11-14T22:13:20.005Z",
    "sensorId": "gate",
    "objects": ["5|1.5|2|30|40.25|car"],
}


def test_it_names_the_object_of_the_event_its_box_in_pixels_and_its_class() -> None:
    assert to_deepstream(event(5)) == MINIMAL


def test_an_event_that_is_of_no_object_has_none() -> None:
    assert to_deepstream(event(track=None, box=None))["objects"] == []


def test_a_label_cannot_add_a_field() -> None:
    assert to_deepstream(event(class_name="a|b"))["objects"] == ["0|1.5|2|30|40.25|a_b"]


def test_text_is_one_line_in_either_format() -> None:
    assert json.loads(to_text(event(5), "deepstream_minimal")) == MINIMAL
    assert Event.from_dict(json.loads(to_text(event(5), "sightline"))) == event(5)
    assert "\n" not in to_text(event(data={"text": "a\nb"}), "sightline")


def test_an_entry_of_redis_has_the_message_in_the_field_that_deepstream_uses() -> None:
    assert to_entry(event(5), "sightline") == event(5).to_fields()
    entry = to_entry(event(5), "deepstream_minimal")
    assert list(entry) == ["metadata"]
    assert json.loads(entry["metadata"]) == MINIMAL


def test_an_mqtt_message_says_which_schema_it_has(tmp_path: Path) -> None:
    spec = MqttSinkSpec(host="h", spool_dir=tmp_path, format="deepstream_minimal")
    message = to_message(event(5), spec)
    assert json.loads(message.payload) == MINIMAL
    assert message.topic == "sightline/gate/line_cross"
    assert dict(message.properties) == {"schema": "deepstream-4.0", "id": MINIMAL["id"]}


def test_files_are_written_in_the_format_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = open_sink(FileSinkSpec(path=path, format="deepstream_minimal"))
    file.write([event(5)])
    file.close()
    assert json.loads(path.read_text()) == MINIMAL


def test_redis_gets_it_from_the_spool_as_well(tmp_path: Path) -> None:
    valkey = Valkey()
    try:
        valkey.kill()
        spec = RedisSinkSpec(
            url=valkey.url, stream="ds", spool_dir=tmp_path, format="deepstream_minimal"
        )
        sink = open_sink(spec)
        sink.write([event(5)])
        sink.close()
        valkey.start()
        heir = open_sink(spec)
        assert heir.flush(20)
        heir.close()
        (_, fields), *others = valkey.client.xrange("ds")
        assert others == []
        assert json.loads(fields["metadata"]) == MINIMAL
    finally:
        valkey.kill()


def test_another_format_is_refused() -> None:
    with pytest.raises(ValidationError, match="format"):
        FileSinkSpec.model_validate({"path": "x", "format": "deepstream"})
