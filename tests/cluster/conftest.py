"""An API of its own for each file that asks for one, on a real Valkey and without slots."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.builders import ServedApi, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def http(api: ServedApi) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client
