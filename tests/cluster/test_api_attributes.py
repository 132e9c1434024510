"""Attributes of rules and a tracker by appearance: refused where no model of the pipeline tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.actors.secondary_street import embedding_model, plate_model, shade_model
from tests.cluster.builders import served_api

ANY = {"kind": "object", "name": "any"}
JOB = {"id": "gate", "url": "rtsp://10.0.0.1/a"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Pipelines ``default`` without secondaries, ``cascade`` and ``unreadable``."""
    folder = tmp_path_factory.mktemp("models")
    secondaries = []
    for made in (shade_model(folder), plate_model(folder), embedding_model(folder)):
        fields = made.model.model_dump(mode="json") | {"path": made.model.path.name}
        path = folder / f"{made.spec.name}.yaml"
        path.write_text(yaml.safe_dump(fields))
        secondaries.append({"name": made.spec.name, "model": str(path)})
    lost = {"name": "lost", "model": "/nowhere/model.yaml"}
    with served_api(check_model=lambda _: None) as served, served.client() as client:
        for name, models in (("cascade", secondaries), ("unreadable", [lost])):
            put = client.put(f"/v1/pipelines/{name}", json={"secondaries": models})
            assert put.status_code == 201, put.text
        yield client


def submit(http: httpx.Client, **fields: Any) -> httpx.Response:
    http.delete("/v1/streams/gate")
    return http.post("/v1/streams", json={"pipeline": "cascade", **JOB, **fields})


@pytest.fixture
def day(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """A pipeline that has all that ``cascade`` has, as it was put; no stream runs on it."""
    secondaries = http.get("/v1/pipelines/cascade").json()["spec"]["secondaries"]
    put = http.put("/v1/pipelines/day", json={"secondaries": secondaries})
    assert put.status_code in (200, 201), put.text
    yield {"secondaries": secondaries}
    for stream in ("gate", "yard"):
        http.delete(f"/v1/streams/{stream}")


def fault(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    (only,) = answer.json()["errors"]
    return dict(only)


@pytest.mark.parametrize(
    "attributes", [{"label": ["light"]}, {"label": ["dark", "light"]}, {"text": ["AB 123"]}]
)
def test_attributes_that_a_secondary_gives_are_taken_and_any_text(
    http: httpx.Client, attributes: dict[str, list[str]]
) -> None:
    answer = submit(http, rules=[{**ANY, "attributes": attributes}])
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["rules"][0]["attributes"] == attributes


@pytest.mark.parametrize(
    ("attributes", "field", "value", "words"),
    [
        ({"labl": ["light"]}, "rules.0.attributes", "labl", "did you mean 'label'?"),
        ({"label": ["lite"]}, "rules.0.attributes.label", "lite", "choose from dark, light"),
        ({"label": ["light", "drk"]}, "rules.0.attributes.label", "drk", "did you mean 'dark'?"),
        ({"label": []}, "rules.0.attributes.label", None, ""),
    ],
)
def test_an_attribute_or_a_value_that_no_secondary_gives_is_refused_with_those_there_are(
    http: httpx.Client, attributes: Any, field: str, value: str | None, words: str
) -> None:
    found = fault(submit(http, rules=[{**ANY, "attributes": attributes}]))
    assert found["field"] == field
    if value is not None:
        assert found["value"] == value
    assert words in found["remedy"]


def test_without_secondaries_no_attribute_is_told(http: httpx.Client) -> None:
    rule = {**ANY, "attributes": {"color": ["red"]}}
    found = fault(submit(http, pipeline="default", rules=[rule]))
    assert found["field"] == "rules.0.attributes"
    assert "add such a model to the pipeline's secondaries" in found["remedy"]


def test_a_stream_that_goes_to_a_pipeline_without_its_attributes_is_refused(
    http: httpx.Client,
) -> None:
    submit(http, rules=[{**ANY, "attributes": {"label": ["light"]}}])
    found = fault(http.patch("/v1/streams/gate", json={"pipeline": "default"}))
    assert found["field"] == "rules.0.attributes"
    assert http.get("/v1/streams/gate").json()["spec"]["pipeline"] == "cascade"


def test_deepsort_is_refused_where_no_secondary_gives_embeddings(http: httpx.Client) -> None:
    assert submit(http, tracker="deepsort").status_code == 201
    found = fault(submit(http, pipeline="default", tracker="deepsort"))
    assert (found["field"], found["value"]) == ("tracker", "deepsort")
    assert "choose bytetrack" in found["remedy"]
    submit(http, pipeline="default")
    assert fault(http.patch("/v1/streams/gate", json={"tracker": "deepsort"}))["field"] == "tracker"


def test_secondaries_that_cannot_be_read_from_here_refuse_nothing(http: httpx.Client) -> None:
    rule = {**ANY, "attributes": {"color": ["red"]}}
    answer = submit(http, pipeline="unreadable", rules=[rule], tracker="deepsort")
    assert answer.status_code == 201, answer.text


ASKS_LIGHT = {"rules": [{**ANY, "attributes": {"label": ["light"]}}]}


def without(day: dict[str, Any], name: str) -> dict[str, Any]:
    return {"secondaries": [one for one in day["secondaries"] if one["name"] != name]}


def names_of(day: dict[str, Any]) -> list[str]:
    return [one["name"] for one in day["secondaries"]]


def test_a_pipeline_keeps_the_models_that_running_streams_ask_for(
    http: httpx.Client, day: dict[str, Any]
) -> None:
    shade, _, embedding = names_of(day)
    http.post("/v1/streams", json={**JOB, "id": "yard", "pipeline": "day", "tracker": "deepsort"})
    assert submit(http, pipeline="day", **ASKS_LIGHT).status_code == 201
    for gone, stream, asked in (
        (shade, "gate", "rules.0.attributes 'label'"),
        (embedding, "yard", "tracker 'deepsort'"),
    ):
        answer = http.put("/v1/pipelines/day", json=without(day, gone))
        assert answer.status_code == 409, answer.text
        problem = answer.json()
        assert problem["type"] == "urn:sightline:problem:conflict"
        assert f"ask for: {stream};" in problem["detail"]
        (named,) = problem["errors"]
        assert (named["field"], named["value"]) == ("secondaries", stream)
        assert asked in named["message"]
        assert "first change that stream" in named["remedy"]
        kept = http.get("/v1/pipelines/day").json()["spec"]["secondaries"]
        assert kept == day["secondaries"]


def test_a_model_that_no_running_stream_asks_for_may_go(
    http: httpx.Client, day: dict[str, Any]
) -> None:
    shade, plate, _ = names_of(day)
    submit(http, pipeline="day", **ASKS_LIGHT)
    assert http.put("/v1/pipelines/day", json=without(day, plate)).status_code == 200
    http.patch("/v1/streams/gate", json={"enabled": False})
    assert http.put("/v1/pipelines/day", json=without(day, shade)).status_code == 200


def test_a_stream_that_is_enabled_again_is_held_against_the_models_that_there_are(
    http: httpx.Client, day: dict[str, Any]
) -> None:
    shade, _, _ = names_of(day)
    submit(http, pipeline="day", enabled=False, **ASKS_LIGHT)
    assert http.put("/v1/pipelines/day", json=without(day, shade)).status_code == 200
    found = fault(http.patch("/v1/streams/gate", json={"enabled": True}))
    assert found["field"] == "rules.0.attributes"


def test_a_stream_that_asks_in_vain_already_does_not_hold_its_pipeline(
    http: httpx.Client, day: dict[str, Any]
) -> None:
    lost = {"secondaries": [{"name": "lost", "model": "/nowhere/model.yaml"}]}
    assert http.put("/v1/pipelines/day", json=lost).status_code == 200
    asks_red = {"rules": [{**ANY, "attributes": {"color": ["red"]}}]}
    assert submit(http, pipeline="day", **asks_red).status_code == 201
    assert http.put("/v1/pipelines/day", json=day).status_code == 200
    plate = names_of(day)[1]
    assert http.put("/v1/pipelines/day", json=without(day, plate)).status_code == 200


def test_many_streams_that_ask_are_counted(http: httpx.Client, day: dict[str, Any]) -> None:
    streams = [f"many-{n}" for n in range(12)]
    for stream in streams:
        http.post("/v1/streams", json={**JOB, "id": stream, "pipeline": "day", **ASKS_LIGHT})
    answer = http.put("/v1/pipelines/day", json={})
    for stream in streams:
        http.delete(f"/v1/streams/{stream}")
    assert answer.status_code == 409
    assert " and 2 more; " in answer.json()["detail"]
    assert len(answer.json()["errors"]) == 10
