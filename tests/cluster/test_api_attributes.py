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
