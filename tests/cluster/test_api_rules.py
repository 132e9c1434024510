"""Rules over real HTTP: replaced as a whole, refused by name where they cannot be kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cluster.api.rule_checks import labels_of
from cluster.config import PipelineSpec
from tests.cluster.builders import served_api

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
METRES = [[0, 30], [10, 30], [8, 0], [2, 0]]
PLANE = [{"image": p, "ground_m": m} for p, m in zip(SQUARE, METRES, strict=True)]
RULES: list[dict[str, Any]] = [
    {"kind": "line", "name": "in", "points": [[0, 0.5], [1, 0.5]], "classes": ["car", "lorry"]},
    {"kind": "zone", "name": "yard", "points": SQUARE},
    {"kind": "loitering", "name": "stay", "points": SQUARE, "min_s": 20, "update_s": 5},
    {"kind": "illegal_parking", "name": "bay", "points": SQUARE},
    {"kind": "wrong_way", "name": "lane", "points": SQUARE, "direction": [[0.2, 0.5], [0.8, 0.5]]},
    {"kind": "overcrowding", "name": "crowd", "points": SQUARE, "max_objects": 5},
    {"kind": "speed", "name": "fast", "points": SQUARE, "plane": PLANE, "over_kmh": 50},
    {"kind": "object", "name": "any", "schedule": {"hours": [{"start": "22:00", "end": "06:00"}]}},
]
PATH = "/v1/streams/gate"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with served_api() as served, served.client() as client:
        body = {"id": "gate", "url": "rtsp://10.0.0.1/a"}
        assert client.post("/v1/streams", json=body).status_code == 201
        yield client


def refused(http: httpx.Client, *rules: dict[str, Any]) -> dict[str, str]:
    answer = http.put(f"{PATH}/rules", json=list(rules))
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    return dict(fault)


def test_rules_of_every_kind_are_taken_and_shown(http: httpx.Client) -> None:
    answer = http.put(f"{PATH}/rules", json=RULES)
    assert answer.status_code == 200
    shown = http.get(PATH).json()["spec"]["rules"]
    assert [rule["kind"] for rule in shown] == [rule["kind"] for rule in RULES]
    assert http.put(f"{PATH}/rules", json=shown).headers["etag"] == answer.headers["etag"]


def test_a_class_that_the_model_does_not_have_is_refused_with_those_it_has(
    http: httpx.Client,
) -> None:
    fault = refused(http, RULES[1], {**RULES[0], "classes": ["car", "lory"]})
    assert (fault["field"], fault["value"]) == ("rules.1.classes", "lory")
    assert "did you mean 'lorry'?" in fault["remedy"]
    assert "car, lorry, motorcycle, pedestrian" in fault["remedy"]
    body = {"id": "other", "url": "rtsp://10.0.0.1/a", "rules": [{**RULES[0], "classes": ["bus"]}]}
    assert http.post("/v1/streams", json=body).status_code == 422


def test_a_model_that_cannot_be_read_from_here_refuses_no_class() -> None:
    assert labels_of(PipelineSpec(model="/nowhere/model.onnx")) == ()
    assert "car" in labels_of(PipelineSpec())


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        ([{**RULES[1], "points": [SQUARE[i] for i in (0, 2, 1, 3)]}], "rules.0.points", "order"),
        ([{**RULES[1], "coordinates": "pixels"}], "rules.0.picture_size", "width and height"),
        ([RULES[1], {**RULES[2], "name": "yard"}], "rules", "its own"),
        (
            [{**RULES[7], "schedule": {"time_zone": "Mars/Base", "hours": [{}]}}],
            "rules.0.schedule.time_zone",
            "IANA",
        ),
    ],
)
def test_rules_that_cannot_be_are_refused_and_change_nothing(
    http: httpx.Client, rules: list[dict[str, Any]], field: str, words: str
) -> None:
    before = http.get(PATH).headers["etag"]
    fault = refused(http, *rules)
    assert fault["field"] == field
    assert words in fault["remedy"]
    assert http.get(PATH).headers["etag"] == before


def test_the_api_describes_every_kind_of_rule(http: httpx.Client) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    kinds = {s["properties"]["kind"]["const"] for n, s in schemas.items() if n.endswith("Rule")}
    assert kinds == {rule["kind"] for rule in RULES}
