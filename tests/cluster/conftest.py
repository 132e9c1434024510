"""A real Valkey, a registry of its own for each test, an API for each file that asks for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cluster.embedded import EmbeddedRedis
from cluster.gpu_host import MPS_PIPES
from cluster.mps import MPS_LOGS
from cluster.registry import Registry
from tests.cluster.builders import ServedApi, fresh_prefix, served_api


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    """One that a file of tests has for itself, and may empty."""
    with EmbeddedRedis() as running:
        yield running


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


@pytest.fixture
def mps_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control program that writes down what it is told; returns where."""
    said = tmp_path / "said"
    program = tmp_path / "nvidia-cuda-mps-control"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = -d ]; then echo "start $CUDA_MPS_PIPE_DIRECTORY" >> {said}\n'
        f'touch "$CUDA_MPS_PIPE_DIRECTORY/control"; else cat >> {said}; fi\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv(MPS_PIPES, "/before")
    monkeypatch.delenv(MPS_LOGS, raising=False)
    return said
