"""Pipelines, slots, health, metrics and the API's own description."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cluster.config import PipelineSpec
from cluster.registry import SlotState
from cluster.registry.scaling import ScalingInfo
from engines.errors import ModelError
from tests.cluster.builders import ServedApi, served_api, slot_info

TTL_MS = 60_000
NAMES = (f"p{number}" for number in itertools.count())


def refuse_bad(pipeline: PipelineSpec) -> None:
    if "bad" in pipeline.model:
        raise ModelError("the output has 3 columns, not 85", field="labels", remedy="Give 80")


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api(check_model=refuse_bad) as served:
        yield served


def test_a_pipeline_is_added_read_and_changed(http: httpx.Client) -> None:
    path = f"/v1/pipelines/{next(NAMES)}"
    added = http.put(path, json={"model": "/models/a.onnx", "max_batch_size": 4})
    assert (added.status_code, added.headers["location"]) == (201, path)
    assert http.get(path).json() == added.json()
    changed = http.put(path, json={"model": "/models/b.onnx"})
    assert changed.status_code == 200
    assert changed.json()["generation"] > added.json()["generation"]
    assert changed.json()["spec"]["max_batch_size"] == PipelineSpec().max_batch_size
    same = http.put(path, json={"model": "/models/b.onnx"})
    assert same.headers["etag"] == changed.headers["etag"]
    names = [pipeline["name"] for pipeline in http.get("/v1/pipelines").json()["pipelines"]]
    assert names == sorted(names)
    assert "default" in names


def test_a_pipeline_with_an_old_etag_is_not_changed(http: httpx.Client) -> None:
    path = f"/v1/pipelines/{next(NAMES)}"
    old = http.put(path, json={}).headers["etag"]
    http.put(path, json={"max_batch_size": 2}, headers={"If-Match": old})
    assert http.put(path, json={}, headers={"If-Match": old}).status_code == 412
    absent = f"/v1/pipelines/{next(NAMES)}"
    assert http.put(absent, json={}, headers={"If-Match": "*"}).status_code == 412


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "relative.onnx"}, "model"),
        ({"model": ""}, "model"),
        ({"model": "/m/bad.onnx"}, "model"),
        ({"modell": "x"}, "modell"),
        ({"device": "tpu"}, "device"),
        ({"device": "gpu"}, "device"),
        ({"max_batch_size": 2.5}, "max_batch_size"),
        ({"max_queue_delay_ms": -1}, "max_queue_delay_ms"),
        ({"confidence": 1}, "confidence"),
    ],
)
def test_a_wrong_pipeline_is_refused(http: httpx.Client, body: Any, field: str) -> None:
    name = next(NAMES)
    answer = http.put(f"/v1/pipelines/{name}", json=body)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert fault["message"]
    assert fault["remedy"]
    assert http.get(f"/v1/pipelines/{name}").status_code == 404


def test_a_pipeline_needs_a_plain_name(http: httpx.Client) -> None:
    answer = http.put("/v1/pipelines/a b", json={})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")


def test_a_stream_may_use_a_pipeline_as_soon_as_it_is_there(http: httpx.Client) -> None:
    name = next(NAMES)
    stream = {"id": name, "url": "rtsp://h/x", "pipeline": name}
    assert http.post("/v1/streams", json=stream).status_code == 422
    http.put(f"/v1/pipelines/{name}", json={})
    assert http.post("/v1/streams", json=stream).status_code == 201


def test_live_slots_are_listed(api: ServedApi, http: httpx.Client) -> None:
    info = slot_info("slot-b", details={"infer_ms": 3.5})
    api.registry.slots.publish(info, TTL_MS)
    shown = {"slots": [info.model_dump(mode="json")], "autoscaling": None}
    assert http.get("/v1/slots").json() == shown
    api.registry.slots.remove("slot-b")
    assert http.get("/v1/slots").json() == {"slots": [], "autoscaling": None}


def test_the_list_of_slots_says_how_many_are_wanted_and_why(
    api: ServedApi, http: httpx.Client
) -> None:
    wants = ScalingInfo(wanted=3, current=1, min_slots=1, max_slots=8, reason="need 61 streams")
    api.registry.scaling.publish(wants)
    assert http.get("/v1/slots").json()["autoscaling"] == wants.model_dump(mode="json")
    store = api.registry.scaling._store
    store.command("SET", store.key("scaling"), "{")
    assert http.get("/v1/slots").json()["autoscaling"] is None
    store.command("DEL", store.key("scaling"))


def test_it_is_ready_once_a_slot_is(api: ServedApi, http: httpx.Client) -> None:
    none = http.get("/readyz")
    api.registry.slots.publish(slot_info("s", state=SlotState.STARTING, message="loads"), TTL_MS)
    starting = http.get("/readyz")
    api.registry.slots.publish(slot_info("s"), TTL_MS)
    ready = http.get("/readyz")
    assert [answer.status_code for answer in (none, starting, ready)] == [503, 503, 200]
    assert none.json()["errors"][0]["field"] == "slots"
    assert "s is starting: loads" in starting.json()["detail"]
    assert http.get("/healthz").json() == {"status": "ok"}
    api.registry.slots.remove("s")


def test_metrics_are_served_in_the_format_that_is_asked_for(http: httpx.Client) -> None:
    plain = http.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "sightline_redis_up 1.0" in plain.text
    asked = http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_without_redis_metrics_still_answer() -> None:
    with served_api() as api, api.client() as http:
        api.redis.close()
        answer = http.get("/metrics")
        assert answer.status_code == 200
        assert "sightline_redis_up 0.0" in answer.text


def test_the_front_page_leads_on(http: httpx.Client) -> None:
    links = http.get("/").json()["links"]
    page = http.get("/", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert all(f'href="{path}"' in page.text for path in links)
    for path in set(links) - {"/v1/events", "/readyz"}:
        assert http.get(path).status_code == 200


def test_the_description_of_the_api_is_whole(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert {
        "/v1/streams": {"get", "post"},
        "/v1/streams/{stream}": {"get", "put", "patch", "delete"},
        "/v1/streams/{stream}/rules": {"put"},
        "/v1/streams/{stream}/stats": {"get"},
        "/v1/slots": {"get"},
        "/v1/pipelines": {"get"},
        "/v1/pipelines/{name}": {"get", "put"},
        "/v1/events": {"get"},
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/metrics": {"get"},
    } == {path: set(methods) for path, methods in document["paths"].items()}
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert "HTTPValidationError" not in schemas


def test_every_operation_is_described_with_its_faults_and_an_example(http: httpx.Client) -> None:
    for methods in http.get("/openapi.json").json()["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert content["example"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)
