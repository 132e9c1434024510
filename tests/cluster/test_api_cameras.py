"""Which cameras may be submitted: refused with the field and the remedy before anything is kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.config import SightlineConfig, load_config
from cluster.errors import ConfigError
from cluster.slot.plan import crew_config
from tests.cluster.builders import open_config, served_api

NAMES = (f"cam{number}" for number in itertools.count())
METADATA = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "rtsp://viewer:hunter2@169.254.169.254:80/latest",
    "rtsp://[fd00:ec2::254]/a",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://2852039166/",
    "rtsp://169.254.7.7/main",
    "rtsp://[fe80::1]/main",
]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with served_api() as api, api.client() as client:
        yield client


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def strict(films: Path) -> Iterator[httpx.Client]:
    """An API that knows where its cameras are."""
    allow = {
        "schemes": ["rtsp", "file"],
        "hosts": ["*.cams.example"],
        "networks": ["10.20.0.0/16"],
        "folders": [str(films)],
    }
    settings = {"cameras": {"allow": allow}}
    with (
        served_api(settings=settings, probe=lambda _: None) as api,
        api.client() as client,
    ):
        yield client


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["field"] == "url"
    assert fault["message"]
    assert fault["remedy"]
    assert "hunter2" not in answer.text
    return dict(fault)


@pytest.mark.parametrize("url", METADATA)
def test_a_metadata_service_is_never_taken_for_a_camera(http: httpx.Client, url: str) -> None:
    name = next(NAMES)
    fault = refused(http.post("/v1/streams", json={"id": name, "url": url}))
    assert "never opened" in fault["message"]
    refused(http.put(f"/v1/streams/{name}", json={"url": url}))
    assert http.get(f"/v1/streams/{name}").status_code == 404


def test_a_camera_is_not_moved_there_either(http: httpx.Client) -> None:
    path = f"/v1/streams/{next(NAMES)}"
    assert http.put(path, json={"url": "rtsp://192.0.2.1/a"}).status_code == 201
    for url in METADATA:
        refused(http.patch(path, json={"url": url}))
    assert http.get(path).json()["spec"]["url"] == "rtsp://192.0.2.1/a"


@pytest.mark.parametrize(
    "url", ["rtsp://127.0.0.1:8554/a", "rtsp://10.0.0.1/a", "rtsp://camera.example/a", "http://h/a"]
)
def test_without_a_list_any_other_host_is_allowed(http: httpx.Client, url: str) -> None:
    assert http.post("/v1/streams", json={"id": next(NAMES), "url": url}).status_code == 201


@pytest.mark.parametrize("url", ["rtsp://10.20.1.2/a", "rtsp://u:p@gate.cams.example:8554/a"])
def test_what_is_on_the_list_is_allowed(strict: httpx.Client, url: str) -> None:
    assert strict.post("/v1/streams", json={"id": next(NAMES), "url": url}).status_code == 201


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp://u:hunter2@10.21.0.1/a", "10.21.0.1"),
        ("rtsp://127.0.0.1/a", "cameras.allow.networks"),
        ("http://10.20.1.2/a", "rtsp://, file://"),
        ("file:///etc/hosts", "cameras.allow.folders"),
    ],
)
def test_what_is_not_on_the_list_is_refused(strict: httpx.Client, url: str, words: str) -> None:
    fault = refused(strict.post("/v1/streams", json={"id": next(NAMES), "url": url}))
    assert words in fault["message"] + fault["remedy"]


def test_files_are_taken_from_the_folders_of_the_list(strict: httpx.Client, films: Path) -> None:
    (films / "a.mp4").touch()
    (films / "out.mp4").symlink_to("/etc/hosts")
    body = {"id": next(NAMES), "url": (films / "a.mp4").as_uri()}
    assert strict.post("/v1/streams", json=body).status_code == 201
    body = {"id": next(NAMES), "url": (films / "out.mp4").as_uri()}
    assert "cameras.allow.folders" in refused(strict.post("/v1/streams", json=body))["remedy"]


def test_ingest_goes_by_the_same_list() -> None:
    config = open_config("redis://127.0.0.1:1/0", cameras={"allow": {"networks": ["10.0.0.0/8"]}})
    assert crew_config("slot", config).ingest.allowed == config.cameras.allow.policy
    plain = open_config("redis://127.0.0.1:1/0")
    assert plain.cameras.allow.policy.networks == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("schemes: [rtsp, gopher]", "cameras.allow.schemes"),
        ("schemes: []", "cameras.allow.schemes"),
        ("networks: [10.0.0.1/8]", "cameras.allow.networks"),
        ("networks: [cams.example]", "cameras.allow.networks"),
        ("folders: [films]", "cameras.allow.folders"),
        ("deny: []", "cameras.allow.deny"),
    ],
)
def test_a_wrong_list_is_refused_with_its_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"cameras:\n  allow:\n    {text}\n")
    with pytest.raises(ConfigError, match=field.replace(".", r"\.")):
        load_config(path)


def test_a_list_survives_the_way_to_the_slots() -> None:
    allow = {"hosts": ["*.cams.example"], "networks": ["10.0.0.0/8", "fd12::/32"]}
    config = SightlineConfig.model_validate({"cameras": {"allow": allow}})
    again = SightlineConfig.model_validate(config.model_dump(mode="json", by_alias=True))
    assert again.cameras.allow.policy == config.cameras.allow.policy
