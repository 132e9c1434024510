"""Everything that can be sent wrongly: a problem document that names field and remedy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.embedded import EmbeddedRedis, free_port
from tests.cluster.builders import served_api

GOOD = {"url": "rtsp://10.0.0.1/main"}
NAMES = (f"bad{number}" for number in itertools.count())


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The answer's problem document, whose common parts must be right."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:sightline:problem:")
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == answer.request.url.path
    assert "pydantic" not in answer.text
    assert "Input" not in answer.text
    return document


def fault(answer: httpx.Response, status: int = 422) -> dict[str, Any]:
    """The one fault of a problem document."""
    (only,) = problem(answer, status)["errors"]
    assert only["message"]
    assert only["remedy"]
    return dict(only)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"urll": "x"}, "urll", "did you mean 'url'?"),
        ({"maxfps": 5}, "maxfps", "did you mean 'max_fps'?"),
        ({"qos": {"class": "urgent"}}, "qos.class", "'critical', 'high'"),
        ({"qos": {"weight": 0}}, "qos.weight", "more than 0"),
        ({"qos": {"weight": "heavy"}}, "qos.weight", "a number"),
        ({"qos": {"wait": 1}}, "qos.wait", "weight"),
        ({"qos": 5}, "qos", "names with values"),
        ({"max_fps": -1}, "max_fps", "more than 0"),
        ({"max_fps": []}, "max_fps", "a number"),
        ({"enabled": "perhaps"}, "enabled", "true or false"),
        ({"transport": "carrier pigeon"}, "transport", "'tcp'"),
        ({"name": 5}, "name", "text"),
        ({"name": "x" * 201}, "name", "200"),
        ({"labels": {"a": 1}}, "labels.a", "text"),
        ({"labels": []}, "labels", "names with values"),
        ({"url": "10.0.0.1/main"}, "url", "rtsp://"),
        ({"url": "ftp://10.0.0.1/main"}, "url", "rtsp://"),
        ({"url": "rtsp:///main"}, "url", "rtsp://host"),
        ({"url": "rtsp://host:port/main"}, "url", "rtsp://host"),
        ({"url": "file://clip.mp4"}, "url", "file:///"),
        ({"url": ""}, "url", "rtsp://"),
        ({"url": None}, "url", "text"),
        ({"url": "rtsp://h/" + "x" * 3000}, "url", "2048"),
        ({"pipeline": "night"}, "pipeline", "default"),
        ({"rules": {}}, "rules", "list"),
        ({"rules": [{"kind": "lane"}]}, "rules.0.kind", "line, loitering"),
        ({"rules": [{"name": "a"}]}, "rules.0.kind", "line, loitering"),
        ({"rules": [{"kind": "line", "name": "a"}]}, "rules.0.points", "add it"),
        (
            {"rules": [{"kind": "line", "name": "a", "points": [[0, 0], [1.5, 0]]}]},
            "rules.0.points",
            "at most 1",
        ),
        (
            {"rules": [{"kind": "zone", "name": "a", "points": [[0, 0], [1, 0]]}]},
            "rules.0.points",
            "at least 3",
        ),
        (
            {"rules": [{"kind": "line", "name": "a", "points": [[0, 0], [0, 0]]}]},
            "rules.0.points",
            "two different points",
        ),
        (
            {"rules": [{"kind": "line", "name": "a", "points": [[0, 0], [0, 1]]}] * 2},
            "rules",
            "its own",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(
    http: httpx.Client, change: dict[str, Any], field: str, words: str
) -> None:
    name = next(NAMES)
    only = fault(http.post("/v1/streams", json={"id": name, **GOOD, **change}))
    assert only["field"] == field
    assert words in only["remedy"]
    assert http.get(f"/v1/streams/{name}").status_code == 404


@pytest.mark.parametrize("name", ["", "a b", "../etc", "-x", "x" * 65, "é", "a\n", 5, None])
def test_an_id_must_be_a_plain_name(http: httpx.Client, name: object) -> None:
    assert fault(http.post("/v1/streams", json={"id": name, **GOOD}))["field"] == "id"


def test_all_faults_are_reported_at_once(http: httpx.Client) -> None:
    body = {"url": "nowhere", "max_fps": "fast", "qos": {"weight": -1}}
    document = problem(http.post("/v1/streams", json=body), 422)
    assert [f["field"] for f in document["errors"]] == ["id", "url", "max_fps", "qos.weight"]
    assert "qos.weight" in document["detail"]


@pytest.mark.parametrize("body", [5, "text", [1], None, True])
def test_a_body_that_is_no_object_is_refused(http: httpx.Client, body: object) -> None:
    for method, path in (("POST", "/v1/streams"), ("PUT", "/v1/pipelines/x")):
        answer = http.request(method, path, content=json.dumps(body), headers=JSON)
        assert "names with values" in fault(answer)["remedy"]


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"id": "a",}', "line 1, column"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"id": "a", "max_fps": NaN}', "NaN is not"),
        (b'{"id": "a", "qos": {"weight": Infinity}}', "Infinity is not"),
        (b'{"id": "a", "labels": {"\\ud800": "x"}}', "UTF-8"),
        (b"[" * 100_000, "body"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested"),
    ],
)
def test_a_body_that_is_not_json_is_malformed(http: httpx.Client, text: bytes, words: str) -> None:
    answer = http.post("/v1/streams", content=text, headers=JSON)
    assert words in problem(answer, 400)["detail"]


def test_a_body_above_a_megabyte_is_too_large(http: httpx.Client) -> None:
    body = json.dumps({"id": "big", "name": "x" * 1_000_001})
    assert (
        "1000000 bytes"
        in problem(http.post("/v1/streams", content=body, headers=JSON), 413)["detail"]
    )
    chunks = (b" " * 100_000 for _ in range(11))
    problem(http.post("/v1/streams", content=chunks, headers=JSON), 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_not_called_json_is_refused(http: httpx.Client, kind: str) -> None:
    answer = http.post("/v1/streams", content=b"{}", headers={"Content-Type": kind})
    assert "application/json" in problem(answer, 415)["detail"]


def test_a_merge_patch_may_be_called_one(http: httpx.Client) -> None:
    name = next(NAMES)
    http.post("/v1/streams", json={"id": name, **GOOD})
    kind = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    assert http.patch(f"/v1/streams/{name}", content=b"{}", headers=kind).status_code == 200


def test_a_second_stream_of_one_id_is_a_conflict(http: httpx.Client) -> None:
    body = {"id": next(NAMES), **GOOD}
    http.post("/v1/streams", json=body)
    assert body["id"] in problem(http.post("/v1/streams", json=body), 409)["detail"]


def test_an_id_cannot_be_changed(http: httpx.Client) -> None:
    name = next(NAMES)
    http.post("/v1/streams", json={"id": name, **GOOD})
    for method in ("PUT", "PATCH"):
        answer = http.request(method, f"/v1/streams/{name}", json={**GOOD, "id": "other"})
        assert fault(answer)["field"] == "id"


def test_a_patch_is_validated_as_a_whole_and_changes_nothing_when_it_is_wrong(
    http: httpx.Client,
) -> None:
    name = next(NAMES)
    http.post("/v1/streams", json={"id": name, **GOOD})
    answer = http.patch(f"/v1/streams/{name}", json={"name": "new", "url": None})
    assert fault(answer)["field"] == "url"
    assert http.get(f"/v1/streams/{name}").json()["spec"]["name"] == ""


def test_wrong_rules_are_named_by_their_number(http: httpx.Client) -> None:
    name = next(NAMES)
    http.post("/v1/streams", json={"id": name, **GOOD})
    good = {"kind": "line", "name": "a", "points": [[0, 0], [1, 1]]}
    answer = http.put(f"/v1/streams/{name}/rules", json=[good, {**good, "name": "b c"}])
    assert fault(answer)["field"] == "rules.1.name"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp//admin:hunter2@h/x",
        "rtsp://admin:hunter2/x",
        "rtsp://admin:hunter2@",
        "rtsp://admin:hunt/er2@h:no/hunter2@x",
        "http://[hunter2/x",
        "file:///nowhere/clip.mp4?password=hunter2",
    ],
)
def test_no_answer_shows_a_password(http: httpx.Client, url: str) -> None:
    answer = http.post("/v1/streams", json={"id": next(NAMES), "url": url})
    assert fault(answer)["field"] == "url"
    assert "hunter2" not in answer.text
    assert "er2" not in answer.text


def test_a_secret_under_a_wrong_key_is_not_shown(http: httpx.Client) -> None:
    body = {"id": next(NAMES), **GOOD, "password": "hunter2", "qos": {"token": "hunter2"}}
    answer = http.post("/v1/streams", json=body)
    assert len(problem(answer, 422)["errors"]) == 2
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\x00\x00\x00\x18ftypmp42" * 9])
def test_a_file_without_video_is_refused(
    http: httpx.Client, tmp_path: Path, content: bytes
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(content)
    assert (
        fault(http.post("/v1/streams", json={"id": next(NAMES), "url": clip.as_uri()}))["field"]
        == "url"
    )


def test_a_file_that_is_not_there_is_refused(http: httpx.Client) -> None:
    body = {"id": next(NAMES), "url": "file:///nowhere/clip.mp4"}
    only = fault(http.post("/v1/streams", json=body))
    assert only["field"] == "url"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("page=2", "page"),
        ("after=" + "x" * 65, "after"),
    ],
)
def test_a_wrong_query_is_named(http: httpx.Client, query: str, field: str) -> None:
    assert fault(http.get(f"/v1/streams?{query}"))["field"] == field


@pytest.mark.parametrize("path", ["/nowhere", "/v1/streams/", "/v1/streams/a/b", "/v1/pipelines/x"])
def test_what_is_not_there_is_not_found(http: httpx.Client, path: str) -> None:
    problem(http.get(path), 404)


def test_a_method_that_is_not_possible_says_which_are(http: httpx.Client) -> None:
    answer = http.delete("/v1/slots")
    assert "DELETE" in problem(answer, 405)["detail"]
    assert answer.headers["allow"] == "GET"


def test_without_redis_everything_is_unavailable_and_comes_back() -> None:
    port = free_port()
    with served_api(redis_port=port) as api, api.client() as http:
        api.redis.close()
        for method, path in (
            ("GET", "/v1/streams"),
            ("POST", "/v1/streams"),
            ("GET", "/v1/slots"),
            ("GET", "/v1/pipelines"),
            ("GET", "/v1/events"),
            ("GET", "/readyz"),
        ):
            answer = http.request(method, path, json={"id": "a", **GOOD})
            assert f"127.0.0.1:{port}" in problem(answer, 503)["detail"]
        assert http.get("/healthz").status_code == 200
        with EmbeddedRedis(port=port):
            assert http.get("/v1/streams").json()["streams"] == []
