"""Enemies of a running system: strangers, forbidden cameras, and who looks for passwords in it."""

from __future__ import annotations

import contextlib
import json
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from ray import serve
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.client import ApiClient, ApiError
from cluster.demo.rtsp import Camera
from cluster.security.finding import find_token, token_of_file
from cluster.security.roles import Role
from tests.cluster.system import System, stream_job

pytestmark = pytest.mark.ray

USER, PASSWORD, WRONG = "s3cretuser", "s3cretword", "s3cretguess"
SECRETS = (USER, PASSWORD, WRONG)
KEPT = "sightline:streams"
"""The one place where credentials belong: the cameras are opened with them."""


@pytest.fixture(scope="module")
def locked(system: System) -> Iterator[dict[str, str]]:
    """Streams whose URLs hold credentials, by what becomes of them."""
    system.server.add(Camera("locked", system.clip, USER, PASSWORD))
    url = system.server.url("locked")
    urls = {
        "locked-open": url,
        "locked-out": url.replace(PASSWORD, WRONG),
        "locked-away": f"rtsp://{USER}:{PASSWORD}@127.0.0.1:1/user={USER}_password={PASSWORD}",
        "locked-query": f"http://127.0.0.1:1/v.cgi?loginuse={USER}&loginpas={PASSWORD}",
    }
    for name, each in urls.items():
        system.api.post("/v1/streams", {**stream_job(system, "cam1"), "id": name, "url": each})
    yield urls
    for name in urls:
        system.api.delete(f"/v1/streams/{name}")
    system.server.remove("locked")


def asked(system: System, method: str, path: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = system.cluster.api_url + path
    return httpx.request(method, url, headers=headers, json={}, timeout=20, trust_env=False)


def test_the_running_api_lets_nobody_in_without_a_token(system: System) -> None:
    for method, path in (
        ("GET", "/v1/streams"),
        ("POST", "/v1/streams"),
        ("DELETE", "/v1/streams/cam0"),
        ("GET", "/v1/events"),
        ("GET", "/v1/slots"),
        ("GET", "/metrics"),
    ):
        for token in (None, "guess"):
            answer = asked(system, method, path, token)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["errors"][0]["remedy"]
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert asked(system, "GET", path, None).status_code == 200


def test_each_role_goes_as_far_as_it_may(system: System, state_home: Path) -> None:
    file = state_home / "sightline" / "tokens"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    viewer, operator = (token_of_file(file, role) for role in (Role.VIEWER, Role.OPERATOR))
    assert asked(system, "GET", "/v1/streams", viewer).status_code == 200
    assert asked(system, "PATCH", "/v1/streams/cam0", viewer).status_code == 403
    assert asked(system, "PATCH", "/v1/streams/cam0", operator).status_code == 200
    assert find_token(system.cluster.api_url) == token_of_file(file, Role.ADMIN) == system.token
    with ApiClient(system.cluster.api_url, viewer) as client:
        assert next(client.events(since="0"))["stream"]
    with ApiClient(system.cluster.api_url, "") as client, pytest.raises(ApiError):
        next(client.events(since="0"))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "rtsp://[fd00:ec2::254]/a",
        "http://metadata.google.internal/",
        "http://2852039166/",
    ],
)
def test_a_metadata_service_is_refused_and_nothing_is_kept(system: System, url: str) -> None:
    job = {**stream_job(system, "cam1"), "id": "greedy", "url": url}
    answer = system.request("POST", "/v1/streams", json=job)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["field"], bool(fault["remedy"])) == ("url", True)
    assert system.request("GET", "/v1/streams/greedy").status_code == 404


def test_credentials_of_cameras_are_nowhere_but_in_the_registry(
    system: System, locked: dict[str, str]
) -> None:
    await_all(system)
    system.kill("ingest-0")  # what is said when it dies and comes back counts too
    system.await_more_frames("locked-open")
    await_all(system)
    places = {
        **answers(system, locked),
        **commands(system),
        **keys(system),
        **logs(),
        **processes(),
        "Serve": repr(serve.status()),
    }
    assert {"/metrics", "sightline:events", "stream list", "Serve"} <= set(places)
    assert any("locked-out" in text for name, text in places.items() if name.startswith("/v1"))
    found = [(place, s) for place, text in places.items() for s in SECRETS if s in text]
    assert found == []
    told = {**logs(), **processes(), **keys(system)}
    assert [place for place, text in told.items() if system.token in text] == []


def test_the_registry_still_has_them_for_the_camera(system: System, locked: dict[str, str]) -> None:
    with redis.Redis.from_url(system.cluster.redis_url, decode_responses=True) as client:
        kept = json.loads(str(client.hget(KEPT, "locked-open")))
    assert kept["spec"]["url"] == locked["locked-open"]


def await_all(system: System) -> None:
    """Wait until each stream does what its URL lets it do."""
    system.await_more_frames("locked-open")
    system.await_stats("locked-out", lambda s: s["reason"] == "unauthorized")
    system.await_stats("locked-away", lambda s: s["reason"] == "refused")
    system.await_stats("locked-query", lambda s: s["reason"] == "refused")


def answers(system: System, locked: dict[str, str]) -> dict[str, str]:
    paths = ["/", "/openapi.json", "/readyz", "/metrics", "/v1/slots", "/v1/pipelines"]
    paths += ["/v1/streams", *(f"/v1/streams/{name}" for name in locked)]
    paths += [f"/v1/streams/{name}/stats" for name in locked]
    said = {path: system.request("GET", path).text for path in paths}
    for name, url in locked.items():
        for body in ({"id": name, "url": url}, {"id": "other", "url": url, "max_fps": url}):
            answer = system.request("POST", "/v1/streams", json=body)
            assert answer.status_code in (409, 422)
            said[f"POST {name} {body['id']}"] = answer.text
        event = next(system.api.events(stream=name, type="stream_state", since="0"))
        said[f"event of {name}"] = json.dumps(event)
    return said


def commands(system: System) -> dict[str, str]:
    said = {}
    for words in (["stream", "list"], ["stream", "show", "locked-out"], ["slots", "--json"]):
        result = CliRunner().invoke(app, [*words, "--api", system.cluster.api_url])
        assert result.exit_code == 0, result.output
        said[" ".join(words)] = result.output
    return said


def keys(system: System) -> dict[str, str]:
    """All that Redis holds, the records of streams aside."""
    with redis.Redis.from_url(system.cluster.redis_url, decode_responses=True) as client:
        names = [name for name in client.scan_iter("*") if name != KEPT]
        return {name: _value(client, name) for name in names}


def _value(client: Any, name: str) -> str:
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "stream": client.xrange,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1),
        "none": lambda key: "",  # it has expired meanwhile
    }
    return str(read[client.type(name)](name))


def logs() -> dict[str, str]:
    """All files that Ray and its workers have written."""
    folder = Path(tempfile.gettempdir())
    files = [f for f in folder.glob("sightline-ray-*/session_*/logs/**/*") if f.is_file()]
    assert files
    return dict(_texts(files))


def processes() -> dict[str, str]:
    """What every process and thread of this machine is called, as ``ps`` would show it."""
    threads = list(Path("/proc").glob("[0-9]*/task/[0-9]*"))
    return dict(_texts([thread / name for thread in threads for name in ("comm", "cmdline")]))


def _texts(files: list[Path]) -> Iterator[tuple[str, str]]:
    for file in files:
        with contextlib.suppress(OSError):  # it has gone meanwhile
            yield str(file), file.read_text(errors="replace")
