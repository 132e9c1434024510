"""The API lets in who brings a token, and each role as far as it goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from cluster.api import create_app
from cluster.client import ApiClient, ApiError
from cluster.config import PipelineSpec, SightlineConfig
from cluster.embedded import EmbeddedRedis
from cluster.errors import ConfigError
from cluster.registry import Registry
from cluster.security.roles import Role, required_role
from cluster.security.tokens import digest, new_token
from tests.cluster.builders import serving

NAMES = (f"cam{number}" for number in itertools.count())
TOKENS = {role: new_token(role) for role in Role}
URL = "rtsp://127.0.0.1/main"


@contextmanager
def guarded_api(**auth: Any) -> Iterator[str]:
    """The API as it is shipped: it asks for tokens, and knows one of each role."""
    tokens = [{"role": role, "sha256": digest(text)} for role, text in TOKENS.items()]
    with EmbeddedRedis() as server:
        registry = Registry.open(server.url)
        registry.pipelines.put("default", PipelineSpec())
        settings = {"redis": {"url": server.url}, "api": {"auth": {"tokens": tokens, **auth}}}
        app = create_app(SightlineConfig.model_validate(settings))
        later = APIRouter()
        for method in ("GET", "POST"):
            later.add_api_route("/v1/later", lambda: "secret", methods=[method], name=method)
        app.include_router(later)
        with serving(app) as url:
            yield url
        registry.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with guarded_api() as served:
        yield served


def ask(url: str, method: str, path: str, token: str | None = None, **rest: Any) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.request(method, url + path, headers=headers, trust_env=False, timeout=10, **rest)


REQUESTS = [
    ("GET", "/v1/streams"),
    ("POST", "/v1/streams"),
    ("GET", "/v1/streams/a"),
    ("PUT", "/v1/streams/a"),
    ("PATCH", "/v1/streams/a"),
    ("DELETE", "/v1/streams/a"),
    ("PUT", "/v1/streams/a/rules"),
    ("GET", "/v1/streams/a/stats"),
    ("GET", "/v1/slots"),
    ("GET", "/v1/pipelines"),
    ("GET", "/v1/pipelines/default"),
    ("PUT", "/v1/pipelines/default"),
    ("GET", "/v1/events"),
    ("GET", "/metrics"),
    ("GET", "/v1/later"),
    ("POST", "/v1/later"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_without_a_token_a_request_is_refused_with_what_to_send(
    url: str, method: str, path: str
) -> None:
    answer = ask(url, method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    (fault,) = answer.json()["errors"]
    assert fault["field"] == "Authorization"
    assert "sightline token show" in fault["remedy"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_description_need_no_token(url: str, path: str) -> None:
    assert ask(url, "GET", path).status_code in (200, 503)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        f"Bearer {TOKENS[Role.ADMIN][:-1]}",
        f"Bearer {TOKENS[Role.ADMIN]}x",
        f"Bearer {digest(TOKENS[Role.ADMIN])}",
        f"Bearer sha256:{digest(TOKENS[Role.ADMIN])}",
    ],
    ids=["nonsense", "cut short", "too long", "its hash", "its hash as configured"],
)
def test_a_token_that_is_not_known_is_called_invalid_and_not_shown(url: str, header: str) -> None:
    answer = httpx.get(f"{url}/v1/streams", headers={"Authorization": header}, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert header.split()[1] not in answer.text


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", f"Basic {TOKENS[Role.ADMIN]}", TOKENS[Role.ADMIN]],
    ids=["nothing", "no token", "another scheme", "no scheme"],
)
def test_what_is_no_bearer_token_is_none(url: str, header: str) -> None:
    answer = httpx.get(f"{url}/v1/streams", headers={"Authorization": header}, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_query_opens_nothing(url: str) -> None:
    for name in ("token", "access_token"):
        query = f"/v1/slots?{name}={TOKENS[Role.ADMIN]}"
        assert ask(url, "GET", query).status_code == 401


def test_the_scheme_is_known_in_any_case(url: str) -> None:
    header = {"Authorization": f"bEARER   {TOKENS[Role.VIEWER]}"}
    assert httpx.get(f"{url}/v1/slots", headers=header, trust_env=False).status_code == 200


def test_a_viewer_reads_and_changes_nothing(url: str) -> None:
    token, name = TOKENS[Role.VIEWER], next(NAMES)
    assert ask(url, "GET", "/v1/streams", token).status_code == 200
    assert ask(url, "GET", "/metrics", token).status_code == 200
    for method, path in REQUESTS:
        if method != "GET":
            answer = ask(url, method, path, token, json={"id": name, "url": URL})
            assert answer.status_code == 403
            needed = "admin" if "later" in path else "operator"
            assert f'scope="{needed}"' in answer.headers["www-authenticate"]
            (fault,) = answer.json()["errors"]
            assert f"this needs {needed}" in fault["message"]
            assert "send a token of the role" in fault["remedy"]
    assert ask(url, "GET", f"/v1/streams/{name}", token).status_code == 404


def test_an_operator_changes_streams_rules_and_pipelines_and_nothing_else(url: str) -> None:
    token, name = TOKENS[Role.OPERATOR], next(NAMES)
    path = f"/v1/streams/{name}"
    body = {"id": name, "url": URL}
    assert ask(url, "POST", "/v1/streams", token, json=body).status_code == 201
    assert ask(url, "PATCH", path, token, json={"max_fps": 5}).status_code == 200
    assert ask(url, "PUT", f"{path}/rules", token, json=[]).status_code == 200
    assert ask(url, "PUT", "/v1/pipelines/default", token, json={}).status_code == 200
    assert ask(url, "DELETE", path, token).status_code == 204
    assert ask(url, "POST", "/v1/later", token).status_code == 403


def test_an_admin_does_everything(url: str) -> None:
    token, name = TOKENS[Role.ADMIN], next(NAMES)
    body = {"id": name, "url": URL}
    assert ask(url, "POST", "/v1/streams", token, json=body).status_code == 201
    assert ask(url, "POST", "/v1/later", token).status_code == 200


def test_events_are_followed_with_a_token_only(url: str) -> None:
    with ApiClient(url, "") as stranger, pytest.raises(ApiError, match="brings no bearer token"):
        next(stranger.events())
    header = {"Authorization": f"Bearer {TOKENS[Role.VIEWER]}"}
    with httpx.stream("GET", f"{url}/v1/events", headers=header, trust_env=False) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()).startswith("retry:")


def test_the_client_says_what_to_do_where_it_has_no_token(url: str) -> None:
    with ApiClient(url, "") as client, pytest.raises(ApiError) as caught:
        client.get("/v1/slots")
    assert caught.value.status == 401
    assert "SIGHTLINE_TOKEN" in str(caught.value)


def test_the_description_asks_for_a_token_where_one_is_needed(url: str) -> None:
    document = ask(url, "GET", "/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in ("/healthz", "/readyz")
            assert ("security" in operation) is not is_open
            assert ({"401", "403"} <= set(operation["responses"])) is not is_open


def test_metrics_can_be_opened_alone() -> None:
    with guarded_api(open_metrics=True) as url:
        assert ask(url, "GET", "/metrics").status_code == 200
        assert ask(url, "GET", "/v1/slots").status_code == 401


def test_switched_off_it_asks_nobody() -> None:
    with guarded_api(mode="off") as url:
        assert ask(url, "GET", "/v1/slots").status_code == 200
        document = ask(url, "GET", "/openapi.json").json()
        assert "security" not in document["paths"]["/v1/slots"]["get"]


def test_an_api_that_asks_for_tokens_and_has_none_does_not_start() -> None:
    config = SightlineConfig.model_validate({"redis": {"url": "redis://127.0.0.1:1/0"}})
    with pytest.raises(ConfigError, match=r"api\.auth\.tokens: is empty"):
        create_app(config)


def test_what_no_role_is_named_for_is_for_admins() -> None:
    assert required_role("DELETE", "/v1/slots/a") is Role.ADMIN
    assert required_role("POST", "/v1/streamsx") is Role.ADMIN
    assert required_role("POST", "/v1/streams") is Role.OPERATOR
    assert required_role("HEAD", "/v1/slots/a") is Role.VIEWER
