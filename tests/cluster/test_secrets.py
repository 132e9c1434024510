"""Credentials of cameras leave the registry nowhere: each place that could show them is read."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from ray.serve._private.build_app import build_app
from typer.testing import CliRunner

from actors.messages import Assignment, StreamState
from actors.specs import StreamSpec
from cluster.api.problems import install_problem_handlers
from cluster.app import application
from cluster.cli.main import app
from cluster.config import SightlineConfig
from cluster.metrics import collector_registry
from cluster.registry import StreamRecord
from cluster.security.finding import token_of_file
from cluster.security.token_file import default_file
from cluster.security.tokens import digest
from cluster.slot.changes import StateWatch
from cluster.slot.holdings import Holding
from tests.cluster.builders import (
    ServedApi,
    serving,
    slot_info,
    stream_record,
    stream_status,
)

NAMES = (f"cam{number}" for number in itertools.count())
USER, PASSWORD = "s3cretuser", "s3cretword"
URLS = [
    f"rtsp://{USER}:{PASSWORD}@192.0.2.1/main",
    f"rtsp://{USER}:{PASSWORD}%40x@192.0.2.1/main",
    f"rtsp://{USER}:x {PASSWORD}@192.0.2.1/main",
    f"rtsp://{USER}:x@{PASSWORD}@192.0.2.1/main",
    f"rtsp://192.0.2.1/main?username={USER}&password={PASSWORD}",
    f"http://192.0.2.1/v.cgi?loginuse={USER}&loginpas={PASSWORD}/{PASSWORD} {PASSWORD}",
    f"rtsp://192.0.2.1/user={USER}_password={PASSWORD}_channel=1.sdp",
    f"https://192.0.2.1/a.m3u8?X-Amz-Credential={USER}&X-Amz-Signature={PASSWORD}",
]


def leaks(said: str) -> list[str]:
    return [secret for secret in (USER, PASSWORD) if secret in said]


@pytest.mark.parametrize("url", URLS)
def test_no_answer_of_the_api_shows_them(api: ServedApi, http: httpx.Client, url: str) -> None:
    name = next(NAMES)
    path = f"/v1/streams/{name}"
    answers = [http.post("/v1/streams", json={"id": name, "url": url})]
    assert answers[0].status_code == 201
    _publish_status(api, name, f"opening {URLS[0]} failed")
    answers += [http.get(path), http.get(f"{path}/stats"), http.get("/v1/streams")]
    shown = http.get(path).json()["spec"]
    answers += [
        http.patch(path, json={"max_fps": 5}),
        http.patch(path, json={"url": shown["url"], "name": "again"}),
        http.put(path, json={**shown, "name": "new"}),
        http.put(f"{path}/rules", json=[]),
        http.post("/v1/streams", json={"id": name, "url": url}),
        http.patch(path, json={"url": shown["url"] + "x"}),
        http.patch(path, json={"url": url, "max_fps": -1}),
        http.patch(path, json={"url": [url]}),
        http.patch(path, json={"name": url * 20}),
        http.post("/v1/streams", json={"id": url, "url": url, url: url}),
        http.post("/v1/streams", json={"id": "a", "url": url, "pipeline": url}),
        http.get(f"/v1/streams/{quote(url, safe='')}"),
        http.get("/v1/streams", params={"after": url, url: "1"}),
        http.get("/v1/events", params={"since": url}),
        http.put(f"/v1/pipelines/{quote(url, safe='')}", json={"model": url}),
        http.put("/v1/pipelines/default", json={"model": url}),
        http.get("/v1/slots"),
        http.get("/metrics"),
    ]
    for answer in answers:
        assert leaks(answer.text + str(answer.headers)) == [], answer.text
    assert api.registry.streams.get(name).spec.url == url


def test_the_camera_keeps_them_and_the_state_does_not(api: ServedApi, http: httpx.Client) -> None:
    name = next(NAMES)
    http.post("/v1/streams", json={"id": name, "url": URLS[0]})
    _publish_status(api, name, f"{URLS[0]} broke off")
    status = http.get(f"/v1/streams/{name}").json()["status"]
    assert status["message"] == "rtsp://***@192.0.2.1/main broke off"


@pytest.mark.parametrize("url", URLS[:2])
def test_a_stream_state_event_does_not_show_them(url: str) -> None:
    watch = StateWatch()
    watch.begin(["a"], {})
    failed = stream_status(state=StreamState.FAILED, message=f"opening {url} failed")
    (change,) = watch.changes({"a": failed}, now=1.0)
    assert leaks(repr(change)) == []


def test_metrics_do_not_show_them(api: ServedApi) -> None:
    name = next(NAMES)
    api.registry.streams.create(stream_record(name, url=URLS[0]).spec)
    _publish_status(api, name, URLS[0])
    families = list(collector_registry(api.registry).collect())
    assert name in str(families)
    assert leaks(str(families)) == []


def test_what_carries_a_url_does_not_show_it_when_it_is_printed_or_logged() -> None:
    record = stream_record(url=URLS[0])
    assignment = Assignment(record.spec, 1, 0)
    settings = {"redis": {"url": f"redis://{USER}:{PASSWORD}@h/0"}, "streams": [record.spec]}
    config = SightlineConfig.model_validate(settings)
    for carrier in (record, record.spec, assignment, Holding(assignment, 0), config, config.redis):
        assert leaks(f"{carrier} {carrier!r}") == []


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (StreamSpec, {"id": "a", "url": URLS[0], "max_fps": URLS[0], URLS[0]: 1}),
        (StreamSpec, {"id": "a", "url": [URLS[0]]}),
        (SightlineConfig, {"streams": [{"id": "a", "url": 5, "name": [URLS[0]]}]}),
        (SightlineConfig, {"redis": {"url": f"mysql://{USER}:{PASSWORD}@h"}}),
        (StreamRecord, {"spec": {"id": URLS[0], "url": [URLS[0]]}}),
    ],
)
def test_an_error_about_values_does_not_quote_them(model: Any, values: dict[str, Any]) -> None:
    values.pop(URLS[0], None)
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert leaks(str(caught.value)) == []


def test_a_fault_of_ours_is_logged_without_them(caplog: pytest.LogCaptureFixture) -> None:
    application = FastAPI()
    install_problem_handlers(application)

    @application.get("/{rest:path}")
    def fail(rest: str) -> None:
        StreamSpec.model_validate({"id": "a", "url": [rest]})

    caplog.set_level(logging.DEBUG)
    with serving(application) as url:
        answer = httpx.get(f"{url}/{quote(URLS[0], safe='')}", trust_env=False)
    assert answer.status_code == 500
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("cluster")]
    assert "failed: ValidationError" in "".join(ours)
    assert leaks(answer.text + "".join(ours)) == []


def test_the_commands_do_not_show_them(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_API", api.url)
    name = next(NAMES)
    for words in (
        ["stream", "add", name, URLS[0], "--json"],
        ["stream", "list"],
        ["stream", "list", "--json"],
        ["stream", "show", name],
        ["stream", "update", name, "--max-fps", "2", "--json"],
        ["stream", "add", name, URLS[0]],
        ["stream", "add", "b", URLS[0], "--max-fps", "-1"],
        ["demo", "--source", f"RTSP://{USER}:{PASSWORD}@h/a"],
    ):
        result = CliRunner().invoke(app, words)
        assert leaks(result.output + str(result.exception)) == [], words


def test_a_url_can_be_given_where_no_list_of_processes_shows_it(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_API", api.url)
    name = next(NAMES)
    added = CliRunner().invoke(app, ["stream", "add", name, "-"], input=f"{URLS[0]}\n")
    assert added.exit_code == 0
    assert api.registry.streams.get(name).spec.url == URLS[0]
    words = ["stream", "update", name, "--url", "-"]
    assert CliRunner().invoke(app, words, input=f" {URLS[1]}\n").exit_code == 0
    assert api.registry.streams.get(name).spec.url == URLS[1]
    demo = CliRunner().invoke(app, ["demo", "--source", "-"], input="rtsp://h:port/a\n")
    assert demo.exit_code == 2
    assert "rtsp://host:554/path" in demo.output


def test_serve_is_given_neither_them_nor_the_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = {
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "slots": {"device": "cpu"},
        "streams": [{"id": "a", "url": URLS[0]}],
    }
    bound = application(SightlineConfig.model_validate(settings))
    built = build_app(bound, name="sightline", default_runtime_env={})
    given = "".join(str(each._replica_config.init_args) for each in built.deployments)
    assert "redis://127.0.0.1:1/0" in given
    assert leaks(given) == []
    token = token_of_file(default_file())
    assert token not in given
    packed = b"".join(each._replica_config.serialized_init_args for each in built.deployments)
    packed += b"".join(each._replica_config.serialized_deployment_def for each in built.deployments)
    assert digest(token).encode() in packed
    assert token.encode() not in packed
    assert PASSWORD.encode() not in packed


def _publish_status(api: ServedApi, stream: str, message: str) -> None:
    """What a slot that holds the stream says of it."""
    api.registry.slots.publish(slot_info(), 60_000)
    held = api.registry.leases.claim("slot-a", [stream], 60_000)
    token = held.get(stream) or api.registry.leases.lookup([stream])[stream].token
    status = stream_status(token=token, state=StreamState.RECONNECTING, message=message)
    api.registry.leases.publish_status(stream, token, status, 60_000)
