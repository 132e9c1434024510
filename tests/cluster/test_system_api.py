"""Stream jobs over HTTP on a running system: added, changed, swapped under, refused, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

import engines
from cluster.client import ApiError
from tests.cluster.system import CAMERAS, System, stream_job

pytestmark = pytest.mark.ray

FP32 = Path(engines.__file__).parent / "models" / "traffic-yolox-fp32.yaml"


OTHER_QOS = {"class": "critical", "weight": 3, "deadline_ms": 5000, "min_fps": 2}


def slot_of(system: System) -> dict[str, Any]:
    (slot,) = system.api.get("/v1/slots")["slots"]
    return dict(slot)


def running_model(system: System) -> str:
    return str(slot_of(system)["model"])


def measured_slot(system: System) -> dict[str, Any]:
    """What the slot says as soon as it knows what it can do."""
    system.await_stats(CAMERAS[0], lambda _: slot_of(system)["admission_fps"] > 0)
    return slot_of(system)


def test_a_job_is_claimed_changed_without_a_gap_and_removed(system: System) -> None:
    system.api.post("/v1/streams", {**stream_job(system, "cam1"), "id": "extra"})
    before = system.await_more_frames("extra")
    system.api.patch("/v1/streams/extra", {"qos": {"class": "critical"}, "max_fps": 8})
    after = system.await_stats("extra", lambda s: s["running_generation"] == s["generation"])
    assert system.await_more_frames("extra")["session"] == before["session"] == after["session"]
    system.api.delete("/v1/streams/extra")
    with pytest.raises(ApiError, match="extra"):
        system.stats("extra")


def test_the_whole_quality_of_service_changes_at_once_and_no_frame_is_lost(system: System) -> None:
    job = {**stream_job(system, "cam2"), "id": "graded"}
    system.api.post("/v1/streams", job)
    before = system.await_more_frames("graded")
    for qos in (OTHER_QOS, {**job["qos"], "weight": None, "min_fps": None}, OTHER_QOS):
        system.api.patch("/v1/streams/graded", {"qos": qos})
        system.await_stats("graded", lambda s: s["running_generation"] == s["generation"])
    after = system.await_more_frames("graded")
    assert after["qos"] == OTHER_QOS
    assert (after["session"], after["reconnects"]) == (before["session"], before["reconnects"])
    for reason in ("lost", "closed", "corrupt", "overload"):
        assert after["dropped"][reason] == before["dropped"][reason]
    system.api.patch("/v1/streams/graded", {"enabled": False})
    last = system.await_stats("graded", lambda s: s["state"] == "disabled" and s["slot"] is None)
    assert last["decoded"] == last["inferred"] + sum(last["dropped"].values())
    assert last["inferred"] == last["on_time"] + last["late"] == last["analysed"]
    system.api.delete("/v1/streams/graded")


def test_a_stream_tells_what_it_does_as_events_and_each_change_once(system: System) -> None:
    system.await_more_frames("cam1")
    events = system.api.events(type="stream_state", stream="cam1", since="0")
    told = next(event for event in events if event["data"]["state"] == "running")
    assert (told["phase"], told["rule"], told["data"]["degrade_step"]) == ("instant", "", "none")
    assert told["data"]["previous"] in (None, "connecting")
    client = redis.Redis.from_url(system.cluster.redis_url, decode_responses=True)
    entries = [fields for _, fields in client.xrange("sightline:events")]
    client.close()
    ids = [fields["id"] for fields in entries if fields["type"] == "stream_state"]
    assert len(ids) == len(set(ids))


def test_a_slot_shows_what_it_measured_and_refuses_what_it_cannot_keep(system: System) -> None:
    slot = measured_slot(system)
    assert slot["capacity_fps"] > 0 < slot["frame_ms"]
    assert sum(slot["batch_counts"].values()) > 0 < slot["classes"]["low"]["num_inferred"]
    assert slot["floors_fps"] > 0 <= slot["ladder"]["rung"]
    job = {**stream_job(system, "cam1"), "id": "greedy", "max_fps": None}
    for qos, status, figure in [
        ({"deadline_ms": 0.01}, 422, "0.01 ms is shorter than one batch"),
        ({"min_fps": 100_000}, 409, "the ready slots infer"),
        ({"weight": -1}, 422, ""),
    ]:
        answer = system.request("POST", "/v1/streams", json={**job, "qos": qos})
        assert answer.status_code == status, answer.text
        (fault,) = answer.json()["errors"]
        assert fault["field"] == f"qos.{next(iter(qos))}"
        assert figure in fault["message"]
        assert fault["remedy"]


def test_a_stream_that_is_switched_off_has_accounted_for_every_frame(system: System) -> None:
    system.await_more_frames("cam3")
    system.api.patch("/v1/streams/cam3", {"enabled": False})
    stats = system.await_stats("cam3", lambda s: s["state"] == "disabled" and s["slot"] is None)
    assert stats["decoded"] == stats["inferred"] + sum(stats["dropped"].values()) > 0
    # Of a frame that was lost with its ingest actor nobody knows whether it was analysed.
    assert 0 <= stats["analysed"] - stats["inferred"] <= stats["dropped"]["lost"]
    system.api.patch("/v1/streams/cam3", {"enabled": True})
    system.await_more_frames("cam3")


def test_a_camera_that_another_machine_decodes_is_watched_like_the_others(system: System) -> None:
    job = {**stream_job(system, "cam1"), "id": "far-away", "placement": {"decode": "far"}}
    system.await_actor("far-0")
    system.api.post("/v1/streams", job)
    first = system.await_more_frames("far-away")
    system.kill("far-0")
    again = system.await_stats("far-away", lambda s: s["session"] > first["session"], 40.0)
    assert again["decoded"] >= first["decoded"]
    stats = system.await_more_frames("far-away")
    assert stats["source"]["width"] == 640
    assert stats["latency_ms"]["p50"] < 4000
    event = next(system.api.events(type="line_cross", stream="far-away", since="0"))
    assert event["box"][2] <= 640
    system.api.patch("/v1/streams/far-away", {"enabled": False})
    last = system.await_stats("far-away", lambda s: s["state"] == "disabled" and s["slot"] is None)
    assert last["decoded"] == last["inferred"] + sum(last["dropped"].values())
    system.api.delete("/v1/streams/far-away")


def test_events_of_rules_reach_http_and_redis(system: System) -> None:
    event = next(system.api.events(type="line_cross", stream="cam1", since="0"))
    assert event["stream"] == "cam1"
    assert event["rule"] == "middle"
    assert event["class"] in ("car", "lorry", "motorcycle", "pedestrian")
    client = redis.Redis.from_url(system.cluster.redis_url, decode_responses=True)
    assert client.xlen("sightline:events") > 0
    client.close()


def test_a_model_is_swapped_while_the_cameras_stay_open(system: System) -> None:
    sessions = {camera: system.await_more_frames(camera)["session"] for camera in CAMERAS}
    system.api.put("/v1/pipelines/default", {"model": str(FP32)})
    for camera in CAMERAS:
        system.await_stats(camera, lambda _: running_model(system) == "traffic-yolox-fp32")
        assert system.await_more_frames(camera)["session"] == sessions[camera]
    system.api.put("/v1/pipelines/default", {"model": "builtin"})
    system.await_stats(CAMERAS[0], lambda _: running_model(system) == "traffic-yolox-int8")


def test_bad_requests_are_refused_with_field_and_remedy_and_nothing_stops(
    system: System, tmp_path: Path
) -> None:
    sessions = {camera: system.await_more_frames(camera)["session"] for camera in CAMERAS}
    truncated = tmp_path / "half.onnx"
    truncated.write_bytes((FP32.parent / "traffic-yolox-fp32.onnx").read_bytes()[:100_000])
    text = tmp_path / "film.mp4"
    text.write_text("no film")
    requests = [
        ("PUT", "/v1/pipelines/default", {"model": str(truncated)}, "model"),
        ("POST", "/v1/streams", {"id": "a", "url": f"file://{text}"}, "url"),
        ("POST", "/v1/streams", {"id": "a", "url": "camera.example/main"}, "url"),
        ("POST", "/v1/streams", {"id": "a", "url": "rtsp://h/x", "colour": 1}, "colour"),
        ("PATCH", "/v1/streams/cam0", {"qos": {"weight": "heavy"}}, "qos.weight"),
    ]
    for method, path, body, field in requests:
        answer = system.request(method, path, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        (fault,) = answer.json()["errors"]
        assert fault["field"] == field
        assert fault["message"]
        assert fault["remedy"]
    for camera in CAMERAS:
        assert system.await_more_frames(camera)["session"] == sessions[camera]


def test_metrics_tell_of_every_camera(system: System) -> None:
    text = system.request("GET", "/metrics").text
    for camera in CAMERAS:
        assert f'sightline_frames_decoded_total{{stream="{camera}"}}' in text
        assert f'sightline_deadlines_total{{outcome="hit",stream="{camera}"}}' in text
    assert "sightline_batch_size_bucket" in text
