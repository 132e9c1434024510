"""What no slot could keep is refused over HTTP, with the figures; what may stay is let alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cluster.config import PipelineSpec
from cluster.placement import slot_load
from cluster.registry import SlotState
from cluster.registry.scaling import ScalingInfo
from tests.cluster.builders import ServedApi, slot_info, stream_status
from tests.cluster.placement_model import need

TTL_MS = 60_000
NAMES = (f"cam{number}" for number in itertools.count())
MEASURED = {"model": "traffic-yolox-int8", "admission_fps": 80.2, "frame_ms": 8.3}


@pytest.fixture
def http(api: ServedApi) -> Iterator[httpx.Client]:
    """No stream is left from another test, and one slot has measured what it can do."""
    for stream in api.registry.streams.all():
        api.registry.streams.delete(stream)
    for name in api.registry.slots.all():
        api.registry.slots.remove(name)
    store = api.registry.scaling._store
    store.command("DEL", store.key("scaling"))
    publish(api)
    with api.client() as client:
        yield client


def publish(api: ServedApi, name: str = "s1", **fields: Any) -> None:
    api.registry.slots.publish(slot_info(name, **{**MEASURED, **fields}), TTL_MS)


def post(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/streams", json={"id": next(NAMES), "url": "rtsp://h/x", **fields})


def added(http: httpx.Client, **fields: Any) -> str:
    answer = post(http, **fields)
    assert answer.status_code == 201, answer.text
    return f"/v1/streams/{answer.json()['id']}"


def fault(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    (only,) = answer.json()["errors"]
    return dict(only)


def test_a_deadline_shorter_than_one_batch_is_refused_with_both_times(http: httpx.Client) -> None:
    refused = fault(post(http, qos={"deadline_ms": 5}), 422)
    assert refused == {
        "field": "qos.deadline_ms",
        "message": "5 ms is shorter than one batch of traffic-yolox-int8, 8.3 ms",
        "remedy": "give at least 9",
    }
    added(http, qos={"deadline_ms": 9})


def test_the_deadline_of_a_class_counts_too(api: ServedApi, http: httpx.Client) -> None:
    publish(api, frame_ms=150.0)
    refused = fault(post(http, qos={"class": "critical"}), 422)
    assert refused["message"].startswith("100 ms, the default of class critical, is shorter")
    assert refused["remedy"] == "give at least 150"
    path = added(http, qos={"class": "low"})
    assert fault(http.patch(path, json={"qos": {"class": "critical"}}), 422)["field"] == (
        "qos.deadline_ms"
    )
    added(http, qos={"class": "critical", "deadline_ms": 150, "min_fps": 1})


def test_the_fastest_slot_of_the_pipeline_decides_about_a_deadline(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, "slow", frame_ms=50.0)
    publish(api, "other", frame_ms=1.0, pipelines=("night",))
    publish(api, "broken", frame_ms=1.0, state=SlotState.FAILED)
    assert "8.3 ms" in fault(post(http, qos={"deadline_ms": 5}), 422)["message"]
    added(http, qos={"deadline_ms": 20})


def test_floors_beyond_all_slots_are_refused_with_sum_capacity_and_what_would_fit(
    http: httpx.Client,
) -> None:
    for _ in range(7):
        added(http, qos={"min_fps": 10})
    answer = post(http, qos={"min_fps": 12})
    refused = fault(answer, 409)
    assert refused == {
        "field": "qos.min_fps",
        "message": "the floors of 8 streams ask for 82.0 frames/s, the ready slots infer 80.2",
        "remedy": "give min_fps or max_fps of at most 10.2, or lower min_fps of other streams, "
        "disable one, or add a slot",
        "value": "12",
    }
    assert answer.json()["type"] == "urn:sightline:problem:conflict"
    added(http, qos={"min_fps": 10.2})
    assert fault(post(http), 409)["remedy"].startswith("lower min_fps of other streams")
    added(http, qos={"min_fps": 0})


def test_another_slot_makes_room_for_floors(api: ServedApi, http: httpx.Client) -> None:
    added(http, qos={"min_fps": 60})
    assert post(http, qos={"min_fps": 60}).status_code == 409
    publish(api, "s2")
    added(http, qos={"min_fps": 60})


def test_a_floor_is_refused_that_no_single_slot_has(api: ServedApi, http: httpx.Client) -> None:
    publish(api, "s2", admission_fps=100.0)
    assert fault(post(http, qos={"min_fps": 120}), 409) == {
        "field": "qos.min_fps",
        "message": "120.0 frames/s are asked of one slot, the largest of the ready slots infers "
        "100.0",
        "remedy": "give min_fps or max_fps of at most 100, or lower min_fps of other streams, "
        "disable one, or add a slot",
        "value": "120",
    }
    added(http, qos={"min_fps": 100})


def test_lower_classes_take_no_room_from_a_higher_one(api: ServedApi, http: httpx.Client) -> None:
    """They give way to it where it runs."""
    added(http, qos={"class": "low", "min_fps": 70})
    added(http, qos={"class": "critical", "min_fps": 60})
    message = fault(post(http, qos={"class": "high", "min_fps": 30}), 409)["message"]
    assert message.startswith("the floors of 2 streams ask for 90.0 frames/s")
    publish(api, **DECODES, decode_load_mpx_s=490.0)
    held = [need("a", 3, decode_mpx_s=300.0), need("b", 1, decode_mpx_s=190.0)]
    api.registry.slots.publish_load("s1", slot_load("s1", held, max_streams=9).to_json(), TTL_MS)
    added(http, qos={"class": "normal", "min_fps": 0})
    assert fault(post(http, qos={"class": "low", "min_fps": 0}), 409)["field"] == "url"


def test_slots_that_may_still_be_started_count_where_slots_follow_the_streams(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, **DECODES, decode_load_mpx_s=490.0)
    assert fault(post(http), 409)["field"] == "url"
    scaling = ScalingInfo(wanted=1, current=1, min_slots=1, max_slots=3)
    api.registry.scaling.publish(scaling)
    for _ in range(4):
        added(http, qos={"min_fps": 60})
    assert fault(post(http, qos={"min_fps": 1}), 409)["message"] == (
        "the floors of 5 streams ask for 241.0 frames/s, the ready slots and 2 more infer 240.6"
    )
    publish(api, **DECODES, decode_load_mpx_s=1460.0)
    assert (
        "the ready slots and 2 more do 1200.0"
        in fault(post(http, qos={"min_fps": 0}), 409)["message"]
    )


def test_labels_choose_the_slots_that_count(api: ServedApi, http: httpx.Client) -> None:
    publish(api, "n1", labels={"site": "north"}, admission_fps=10.0)
    north = {"labels": {"site": "north"}}
    added(http, qos={"min_fps": 70})
    added(http, placement=north, qos={"min_fps": 8})
    refused = fault(post(http, placement=north, qos={"min_fps": 3}), 409)
    assert refused["message"] == (
        "the floors of 2 streams ask for 11.0 frames/s, the ready slots infer 10.0"
    )
    path = added(http, qos={"min_fps": 9})
    assert http.patch(path, json={"placement": north}).status_code == 409


def test_a_stream_whose_labels_no_slot_has_waits_and_says_which_there_are(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, "n1", labels={"site": "north", "pool": "gpu"})
    path = added(http, placement={"labels": {"site": "south"}})
    status = http.get(path).json()["status"]
    assert (status["state"], status["reason"]) == ("pending", "labels")
    assert status["message"] == (
        "no ready slot has the labels site=south; those of the ready slots are: none; pool=gpu, "
        "site=north: change placement.labels, or add a slot with slots.labels or on a machine "
        "with these labels"
    )
    publish(api, "s2", labels={"site": "south"}, max_streams=3, num_streams=3)
    assert (
        http.get(path)
        .json()["status"]["message"]
        .startswith("all slots with its labels, site=south, are full (3 streams): ")
    )


def test_a_stream_that_waits_is_told_which_classes_come_before_it(
    api: ServedApi, http: httpx.Client
) -> None:
    path = added(http, qos={"class": "normal", "min_fps": 8})
    classes = {
        "critical": {"num_streams": 2},
        "high": {"num_streams": 1},
        "normal": {"num_streams": 5},
    }
    publish(api, num_streams=8, floors_fps=70.0, classes=classes)
    message = http.get(path).json()["status"]["message"]
    assert "promises 90% of them; 2 critical and 1 high come before it: lower min_fps" in message


def test_a_stream_that_needs_two_things_of_one_slot_is_told_where_they_are(
    api: ServedApi, http: httpx.Client
) -> None:
    path = added(http, qos={"min_fps": 8})
    publish(api, **DECODES, decode_load_mpx_s=490.0)
    publish(api, "s2", **DECODES, floors_fps=70.0)
    status = http.get(path).json()["status"]
    assert status["reason"] == "capacity"
    assert status["message"].startswith(
        "it needs 8.0 frames/s, and decoding it counts as 57.6 Mpx/s until its source is known, "
        "what 1080p at 25 frames/s takes, on one slot: s1 has 72.2 and 10.0 left, s2 has 2.2 and "
        "500.0: "
    )


def test_a_floor_counts_up_to_max_fps_and_while_its_stream_is_enabled(http: httpx.Client) -> None:
    path = added(http, max_fps=70, qos={"min_fps": 500})
    assert post(http, qos={"min_fps": 20}).status_code == 409
    off = added(http, enabled=False, qos={"min_fps": 500})
    assert http.patch(off, json={"enabled": True}).status_code == 409
    assert http.patch(path, json={"enabled": False}).status_code == 200
    added(http, qos={"min_fps": 20})


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_change_is_held_to_the_same(http: httpx.Client, method: str) -> None:
    path = added(http, qos={"min_fps": 1})
    for qos, status in (({"min_fps": 100}, 409), ({"deadline_ms": 1}, 422), ({"weight": 0}, 422)):
        body = {"url": "rtsp://h/x", "qos": qos}
        (field,) = qos
        assert fault(http.request(method, path, json=body), status)["field"] == f"qos.{field}"
    assert http.get(path).json()["spec"]["qos"]["min_fps"] == 1


def test_what_a_change_leaves_as_it_was_is_not_held_against_it(
    api: ServedApi, http: httpx.Client
) -> None:
    path = added(http, qos={"min_fps": 60, "deadline_ms": 20})
    publish(api, admission_fps=30.0, frame_ms=40.0)
    assert http.patch(path, json={"name": "North gate"}).status_code == 200
    assert http.patch(path, json={"qos": {"min_fps": 50, "deadline_ms": 30}}).status_code == 200
    assert http.patch(path, json={"qos": {"min_fps": 51}}).status_code == 409
    assert http.patch(path, json={"qos": {"deadline_ms": 29}}).status_code == 422


@pytest.mark.parametrize(
    "slots",
    [
        [],
        [{"state": SlotState.STARTING}],
        [{"admission_fps": 0.0, "frame_ms": 0.0}],
        [{"pipelines": ("night",)}],
    ],
)
def test_as_long_as_nothing_is_measured_nothing_is_refused(
    api: ServedApi, http: httpx.Client, slots: list[dict[str, Any]]
) -> None:
    api.registry.slots.remove("s1")
    for fields in slots:
        publish(api, **fields)
    added(http, qos={"deadline_ms": 1, "min_fps": 500})


def test_another_pipeline_has_its_own_slots(api: ServedApi, http: httpx.Client) -> None:
    api.registry.pipelines.put("night", PipelineSpec())
    publish(api, "n1", pipelines=("night",), admission_fps=10.0, model="night-vision")
    path = added(http, qos={"min_fps": 60})
    added(http, pipeline="night", qos={"min_fps": 8})
    refused = fault(http.patch(path, json={"pipeline": "night"}), 409)
    assert "ask for 68.0 frames/s, the ready slots infer 10.0" in refused["message"]


def test_a_stream_whose_floor_fits_on_no_slot_waits_with_the_figures(
    api: ServedApi, http: httpx.Client
) -> None:
    path = added(http, qos={"min_fps": 8})
    publish(api, num_streams=11, floors_fps=88.0)
    status = http.get(path).json()["status"]
    assert (status["state"], status["reason"]) == ("pending", "capacity")
    assert status["message"].startswith(
        "the floors of 12 streams ask for 96.0 frames/s, slot s1 infers 80.2 and promises 90% "
    )
    assert "add a slot" in status["message"]
    publish(api, num_streams=8, floors_fps=64.0)
    assert http.get(path).json()["status"]["reason"] == "unclaimed"


DECODES: dict[str, Any] = {"decoder": "cpu", "decode_mpx_s": 400.0, "decode_admission_mpx_s": 500.0}


def test_a_stream_that_cannot_be_decoded_is_refused_with_the_figures_and_the_remedy(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, **DECODES, decode_load_mpx_s=442.3)
    added(http)
    publish(api, **DECODES, decode_load_mpx_s=442.5)
    answer = post(http, qos={"min_fps": 0})
    assert fault(answer, 409) == {
        "field": "url",
        "message": "decoding it counts as 57.6 Mpx/s until its source is known, what 1080p at 25 "
        "frames/s takes; the ready slots do 400.0, take streams up to 500.0 and have 442.5",
        "remedy": "disable a stream, give cameras' sub-streams (a smaller picture, fewer frames a "
        "second), or add cores or a slot",
    }
    assert "rtsp://" not in answer.text
    added(http, enabled=False)
    publish(api, "s2", **DECODES)
    added(http)


def test_decoding_refuses_nothing_before_every_slot_has_measured_it(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, **DECODES, decode_load_mpx_s=900.0)
    publish(api, "s2")
    added(http)


def test_many_streams_may_be_added_before_the_first_is_known(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, **DECODES)
    for _ in range(20):
        added(http)


def test_a_change_is_held_to_its_decoding_only_where_the_source_is_another(
    api: ServedApi, http: httpx.Client
) -> None:
    publish(api, **DECODES, decode_load_mpx_s=300.0)
    path = added(http)
    stream = path.rpartition("/")[2]
    token = api.registry.leases.claim("s1", [stream], TTL_MS)[stream]
    status = stream_status("s1", token, decode_mpx_s=11.5)
    api.registry.leases.publish_status(stream, token, status, TTL_MS)
    publish(api, **DECODES, decode_load_mpx_s=470.0)
    assert http.patch(path, json={"name": "North gate"}).status_code == 200
    refused = fault(http.patch(path, json={"url": "rtsp://h/main"}), 409)
    assert "counts as 57.6 Mpx/s" in refused["message"]
    assert refused["message"].endswith("and have 458.5")
    assert http.patch(path, json={"enabled": False}).status_code == 200
    publish(api, **DECODES, decode_load_mpx_s=485.0)
    assert http.patch(path, json={"enabled": True}).status_code == 200
    publish(api, **DECODES, decode_load_mpx_s=440.0)
    assert http.patch(path, json={"url": "rtsp://h/main"}).status_code == 200


def test_a_stream_that_no_slot_can_decode_waits_with_the_figures(
    api: ServedApi, http: httpx.Client
) -> None:
    path = added(http)
    publish(api, **DECODES, decode_load_mpx_s=480.0)
    status = http.get(path).json()["status"]
    assert (status["state"], status["reason"]) == ("pending", "decoding")
    assert status["message"].startswith(
        "decoding it counts as 57.6 Mpx/s until its source is known, what 1080p at 25 frames/s "
        "takes; slot s1 takes streams up to 500.0 and has 480.0: "
    )
    assert "sub-stream" in status["message"]
    ten = [need(f"s{number}", 2, decode_mpx_s=23.0) for number in range(10)]
    load = slot_load("s1", ten, max_streams=64)
    api.registry.slots.publish_load("s1", load.to_json(), TTL_MS)
    assert http.get(path).json()["status"]["reason"] == "decoding"
    message = http.get(path).json()["status"]["message"]
    assert message.startswith(
        "decoding it counts as 23.0 Mpx/s until its source is known, what others take on average; "
    )
    publish(api, **DECODES, decode_load_mpx_s=400.0)
    assert http.get(path).json()["status"]["reason"] == "unclaimed"
