"""Stream jobs over HTTP on a running system: added, changed, swapped under, refused, removed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import redis

import engines
from cluster.client import ApiError
from tests.cluster.system import CAMERAS, System, stream_job

pytestmark = pytest.mark.ray

FP32 = Path(engines.__file__).parent / "models" / "traffic-yolox-fp32.yaml"


def running_model(system: System) -> str:
    (slot,) = system.api.get("/v1/slots")["slots"]
    return str(slot["details"]["model"])


def test_a_job_is_claimed_changed_without_a_gap_and_removed(system: System) -> None:
    system.api.post("/v1/streams", {**stream_job(system, "cam1"), "id": "extra"})
    before = system.await_more_frames("extra")
    system.api.patch("/v1/streams/extra", {"qos": {"class": "critical"}, "max_fps": 8})
    after = system.await_stats("extra", lambda s: s["running_generation"] == s["generation"])
    assert system.await_more_frames("extra")["session"] == before["session"] == after["session"]
    system.api.delete("/v1/streams/extra")
    with pytest.raises(ApiError, match="extra"):
        system.stats("extra")


def test_a_stream_that_is_switched_off_has_accounted_for_every_frame(system: System) -> None:
    system.await_more_frames("cam3")
    system.api.patch("/v1/streams/cam3", {"enabled": False})
    stats = system.await_stats("cam3", lambda s: s["state"] == "disabled" and s["slot"] is None)
    assert stats["decoded"] == stats["inferred"] + sum(stats["dropped"].values()) > 0
    assert stats["analysed"] == stats["inferred"]
    system.api.patch("/v1/streams/cam3", {"enabled": True})
    system.await_more_frames("cam3")


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
        answer = httpx.request(method, system.cluster.api_url + path, json=body, timeout=20)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        (fault,) = answer.json()["errors"]
        assert fault["field"] == field
        assert fault["message"]
        assert fault["remedy"]
    for camera in CAMERAS:
        assert system.await_more_frames(camera)["session"] == sessions[camera]


def test_metrics_tell_of_every_camera(system: System) -> None:
    text = httpx.get(f"{system.cluster.api_url}/metrics", timeout=20).text
    for camera in CAMERAS:
        assert f'sightline_frames_decoded_total{{stream="{camera}"}}' in text
