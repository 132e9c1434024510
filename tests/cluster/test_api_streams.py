"""Stream jobs over real HTTP, on a real Valkey."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from actors.messages import DegradeStep, DropReason, StreamState
from cluster.registry import CropStatus, LedgerStatus, SlotState, SourceStatus
from tests.cluster.builders import ServedApi, slot_info, stream_status

NAMES = (f"cam{number}" for number in itertools.count())
LINE = {"kind": "line", "name": "in", "points": [[0, 0.5], [1, 0.5]]}
TTL_MS = 60_000


@pytest.fixture
def stream(http: httpx.Client) -> str:
    """A stream that exists."""
    name = next(NAMES)
    body = {"id": name, "url": f"rtsp://admin:hunter2@10.0.0.1/{name}", "max_fps": 5}
    assert http.post("/v1/streams", json=body).status_code == 201
    return name


def test_a_created_stream_is_located_and_can_be_read(http: httpx.Client) -> None:
    name = next(NAMES)
    answer = http.post(
        "/v1/streams", json={"id": name, "url": "rtsp://10.0.0.1/a", "rules": [LINE]}
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/streams/{name}"
    read = http.get(answer.headers["location"])
    assert read.json() == answer.json()
    assert read.headers["etag"] == answer.headers["etag"] == f'"{read.json()["generation"]}"'
    assert read.json()["spec"]["rules"][0]["name"] == "in"


def test_credentials_are_kept_but_never_shown(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    answers = [
        http.get(f"/v1/streams/{stream}"),
        http.get("/v1/streams"),
        http.get(f"/v1/streams/{stream}/stats"),
        http.patch(f"/v1/streams/{stream}", json={"name": "n"}),
        http.get("/metrics"),
    ]
    assert not any("hunter2" in answer.text for answer in answers)
    assert answers[0].json()["spec"]["url"] == f"rtsp://***@10.0.0.1/{stream}"
    assert "hunter2" in api.registry.streams.get(stream).spec.url


def test_sending_back_what_was_shown_keeps_the_credentials(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    spec = http.get(f"/v1/streams/{stream}").json()["spec"]
    assert http.put(f"/v1/streams/{stream}", json={**spec, "name": "new"}).status_code == 200
    assert http.patch(f"/v1/streams/{stream}", json={"url": spec["url"]}).status_code == 200
    kept = api.registry.streams.get(stream).spec
    assert (kept.name, "hunter2" in kept.url) == ("new", True)
    changed = {"url": spec["url"].replace("10.0.0.1", "10.0.0.2")}
    refused = http.patch(f"/v1/streams/{stream}", json=changed)
    assert refused.status_code == 422
    assert "placeholder" in refused.json()["errors"][0]["message"]


def test_a_patch_changes_what_it_names_and_null_takes_out(http: httpx.Client, stream: str) -> None:
    path = f"/v1/streams/{stream}"
    first = http.patch(path, json={"qos": {"class": "high", "weight": 3}, "labels": {"a": "1"}})
    second = http.patch(path, json={"qos": {"weight": None}, "max_fps": None, "labels": {"b": "2"}})
    spec = second.json()["spec"]
    assert first.json()["spec"]["qos"]["weight"] == 3
    assert (spec["qos"]["class"], spec["qos"]["weight"]) == ("high", None)
    assert spec["max_fps"] is None
    assert spec["labels"] == {"a": "1", "b": "2"}
    assert second.json()["generation"] > first.json()["generation"]


def test_a_patch_that_changes_nothing_makes_no_new_version(http: httpx.Client, stream: str) -> None:
    before = http.get(f"/v1/streams/{stream}").headers["etag"]
    assert http.patch(f"/v1/streams/{stream}", json={"max_fps": 5}).headers["etag"] == before


def test_patches_at_the_same_time_are_all_kept(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    def patch(number: int) -> int:
        with api.client() as client:
            body = {"labels": {f"k{number}": "v"}}
            return client.patch(f"/v1/streams/{stream}", json=body).status_code

    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(patch, range(6)))
    labels = http.get(f"/v1/streams/{stream}").json()["spec"]["labels"]
    assert statuses == [200] * 6
    assert set(labels) == {f"k{number}" for number in range(6)}


def test_a_change_with_an_old_etag_is_refused(http: httpx.Client, stream: str) -> None:
    path = f"/v1/streams/{stream}"
    old = http.get(path).headers["etag"]
    new = http.patch(path, json={"name": "x"}, headers={"If-Match": old}).headers["etag"]
    for method, body in (
        ("PATCH", {"name": "y"}),
        ("PUT", {"url": "rtsp://h/x"}),
        ("DELETE", None),
    ):
        refused = http.request(method, path, json=body, headers={"If-Match": old})
        assert (refused.status_code, refused.json()["type"]) == (412, "urn:sightline:problem:stale")
    assert http.delete(path, headers={"If-Match": f'"0", {new}'}).status_code == 204


def test_if_match_with_a_star_needs_the_stream_to_exist(http: httpx.Client) -> None:
    path = f"/v1/streams/{next(NAMES)}"
    body = {"url": "rtsp://h/x"}
    assert http.put(path, json=body, headers={"If-Match": "*"}).status_code == 412
    assert http.put(path, json=body).status_code == 201
    assert http.put(path, json=body, headers={"If-Match": "*"}).status_code == 200


def test_put_replaces_the_whole_job(http: httpx.Client, stream: str) -> None:
    answer = http.put(f"/v1/streams/{stream}", json={"url": "rtsp://h/x", "name": "n"})
    assert answer.status_code == 200
    assert (answer.json()["spec"]["max_fps"], answer.json()["spec"]["name"]) == (None, "n")


def test_rules_are_replaced_as_a_whole(http: httpx.Client, stream: str) -> None:
    path = f"/v1/streams/{stream}"
    zone = {"kind": "zone", "name": "z", "points": [[0, 0], [1, 0], [1, 1]]}
    http.put(f"{path}/rules", json=[LINE])
    answer = http.put(f"{path}/rules", json=[zone])
    assert answer.status_code == 200
    assert [rule["name"] for rule in answer.json()["spec"]["rules"]] == ["z"]
    assert http.put(f"{path}/rules", json=[]).json()["spec"]["rules"] == []


def test_a_deleted_stream_is_gone(http: httpx.Client, stream: str) -> None:
    answer = http.delete(f"/v1/streams/{stream}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method, path in (("GET", ""), ("GET", "/stats"), ("DELETE", ""), ("PATCH", "")):
        gone = http.request(method, f"/v1/streams/{stream}{path}", json={})
        assert gone.status_code == 404
        assert stream in gone.json()["detail"]


def test_lists_are_in_order_and_come_in_pages(http: httpx.Client) -> None:
    for name in ("zz3", "zz1", "zz2"):
        http.post("/v1/streams", json={"id": name, "url": "rtsp://h/x"})
    whole = http.get("/v1/streams").json()
    ids = [stream["id"] for stream in whole["streams"]]
    assert ids == sorted(ids)
    assert (whole["total"], whole["next"]) == (len(ids), None)
    page = http.get("/v1/streams", params={"after": "zz", "limit": 2}).json()
    assert ([s["id"] for s in page["streams"]], page["next"]) == (["zz1", "zz2"], "zz2")
    last = http.get("/v1/streams", params={"after": "zz2", "limit": 2}).json()
    assert ([s["id"] for s in last["streams"]], last["next"]) == (["zz3"], None)


def test_the_api_says_why_a_stream_waits(api: ServedApi, http: httpx.Client, stream: str) -> None:
    def status() -> dict[str, Any]:
        return http.get(f"/v1/streams/{stream}").json()["status"]

    assert (status()["state"], status()["reason"]) == ("pending", "no_slot")
    for info, reason in [
        (slot_info("s", pipelines=("other",)), "no_pipeline"),
        (slot_info("s", state=SlotState.STARTING, message="loads the model"), "no_slot_ready"),
        (slot_info("s", max_streams=2, num_streams=2), "full"),
        (slot_info("s"), "unclaimed"),
    ]:
        api.registry.slots.publish(info, TTL_MS)
        assert (status()["state"], status()["reason"]) == ("pending", reason)
        assert status()["message"]
    token = api.registry.leases.claim("s", [stream], TTL_MS)[stream]
    assert (status()["state"], status()["slot"]) == ("connecting", "s")
    api.registry.leases.publish_status(stream, token, stream_status("s", token), TTL_MS)
    assert status()["state"] == "running"
    http.patch(f"/v1/streams/{stream}", json={"enabled": False})
    assert status()["state"] == "disabled"
    api.registry.slots.remove("s")


def test_stats_put_job_lease_and_counts_together(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    token = api.registry.leases.claim("s", [stream], TTL_MS)[stream]
    ledger = LedgerStatus(
        decoded=10,
        inferred=6,
        on_time=5,
        dropped={DropReason.SAMPLED: 1, DropReason.DEADLINE: 2},
        in_flight=1,
        reconnects=2,
        latency_ms={"p50": 9.5, "p95": 20.0, "p99": 31.0},
    )
    status = stream_status(
        "s",
        token,
        state=StreamState.RECONNECTING,
        reason="timeout",
        message="rtsp://admin:hunter2@10.0.0.1/x: no answer for 3 s",
        generation=1,
        fps=24.9,
        offered_fps=12.5,
        inferred_fps=5.0,
        queue_age_ms=31.5,
        degrade_step=DegradeStep.CAPPED,
        source=SourceStatus(codec="h264", width=640, height=360, fps=25, decoder="nvdec"),
        ledger=ledger,
        crops={"vehicle": CropStatus(num_asked=4, num_answered=3, missed={"late": 1})},
        last_event={"type": "line_cross"},
    )
    api.registry.leases.publish_status(stream, token, status, TTL_MS)
    stats = http.get(f"/v1/streams/{stream}/stats").json()
    expected = {
        "id": stream,
        "state": "reconnecting",
        "reason": "timeout",
        "message": "rtsp://***@10.0.0.1/x: no answer for 3 s",
        "slot": "s",
        "running_generation": 1,
        "fps": 24.9,
        "offered_fps": 12.5,
        "inferred_fps": 5.0,
        "queue_age_ms": 31.5,
        "degrade_step": "capped",
        "qos": {"class": "normal", "weight": 2, "deadline_ms": 400, "min_fps": 1},
        "source": {
            **{"codec": "h264", "width": 640, "height": 360, "fps": 25},
            **{"decoder": "nvdec", "fallback": ""},
        },
        "decoded": 10,
        "inferred": 6,
        "on_time": 5,
        "late": 1,
        "deadline_hits": 0.625,
        "dropped": {"sampled": 1, "deadline": 2},
        "in_flight": 1,
        "reconnects": 2,
        "latency_ms": {"p50": 9.5, "p95": 20.0, "p99": 31.0},
        "crops": {"vehicle": {"num_asked": 4, "num_answered": 3, "missed": {"late": 1}}},
        "last_event": {"type": "line_cross"},
    }
    assert {key: stats[key] for key in expected} == expected
    assert stats["generation"] > 1


def test_stats_show_the_quality_of_service_that_a_job_gets(http: httpx.Client, stream: str) -> None:
    http.patch(f"/v1/streams/{stream}", json={"qos": {"class": "critical", "min_fps": 8}})
    stats = http.get(f"/v1/streams/{stream}/stats").json()
    assert stats["qos"] == {"class": "critical", "weight": 8, "deadline_ms": 100, "min_fps": 5}


def test_a_stream_that_had_no_deadlines_yet_has_no_share_on_time(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    token = api.registry.leases.claim("s", [stream], TTL_MS)[stream]
    api.registry.leases.publish_status(stream, token, stream_status("s", token), TTL_MS)
    assert http.get(f"/v1/streams/{stream}/stats").json()["deadline_hits"] is None
    status = http.get(f"/v1/streams/{stream}").json()["status"]
    assert (status["deadline_hits"], status["degrade_step"]) == (None, "none")


def test_counts_of_an_earlier_lease_are_shown_only_while_the_stream_is_disabled(
    api: ServedApi, http: httpx.Client, stream: str
) -> None:
    def stats() -> tuple[str, int]:
        shown = http.get(f"/v1/streams/{stream}/stats").json()
        return shown["state"], shown["decoded"]

    held = api.registry.leases.claim("s", [stream], TTL_MS)
    status = stream_status("s", held[stream], ledger=LedgerStatus(decoded=7))
    api.registry.leases.publish_status(stream, held[stream], status, TTL_MS)
    assert stats() == ("running", 7)
    api.registry.leases.release("s", held)
    assert stats() == ("pending", 0)
    http.patch(f"/v1/streams/{stream}", json={"enabled": False})
    assert stats() == ("disabled", 7)
    http.patch(f"/v1/streams/{stream}", json={"enabled": True})
    api.registry.leases.claim("s", [stream], TTL_MS)
    assert stats() == ("connecting", 0)
