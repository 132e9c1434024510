"""A real Valkey, a registry of its own for each test, an API for each file that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from cluster.embedded import EmbeddedRedis
from cluster.registry import Registry
from tests.cluster.builders import ServedApi, fresh_prefix, served_api


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.fixture
def registry(redis_url: str) -> Iterator[Registry]:
    registry = Registry.open(redis_url, fresh_prefix())
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def http(api: ServedApi) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client
