"""Values and servers that several tests of cluster build."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from actors.messages import StreamState
from actors.specs import StreamSpec
from cluster.api import create_app
from cluster.config import PipelineSpec, SightlineConfig
from cluster.embedded import EmbeddedRedis, free_port
from cluster.registry import Registry, SlotInfo, StreamRecord, StreamStatus

_PREFIXES = itertools.count()


def fresh_prefix() -> str:
    """A key prefix that no other test of this run uses."""
    return f"test{next(_PREFIXES)}"


def stream_spec(stream: str = "gate", **fields: Any) -> StreamSpec:
    return StreamSpec.model_validate({"id": stream, "url": "rtsp://127.0.0.1:8554/gate", **fields})


def stream_record(stream: str = "gate", generation: int = 1, **fields: Any) -> StreamRecord:
    return StreamRecord(
        spec=stream_spec(stream, **fields), generation=generation, created_at=1.0, updated_at=2.0
    )


def stream_status(slot: str = "slot-a", token: int = 1, **fields: Any) -> StreamStatus:
    return StreamStatus(
        **{"state": StreamState.RUNNING, "slot": slot, "token": token, "updated_at": 5.0, **fields}
    )


def slot_info(name: str = "slot-a", **fields: Any) -> SlotInfo:
    return SlotInfo(**{"name": name, "max_streams": 64, **fields})


def eventually(holds: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """The first true answer; fails where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = holds()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"did not hold within {timeout_s} s")


@dataclass(frozen=True)
class ServedApi:
    """The API over real HTTP, on a Redis of its own."""

    url: str
    registry: Registry
    redis: EmbeddedRedis
    config: SightlineConfig

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=10.0, **options)


def open_config(redis_url: str, **settings: Any) -> SightlineConfig:
    """A configuration whose API lets everybody in."""
    return SightlineConfig.model_validate(
        {"redis": {"url": redis_url}, "api": {"auth": {"mode": "off"}}, **settings}
    )


@contextmanager
def served_api(
    redis_port: int | None = None, settings: Mapping[str, Any] | None = None, **parts: Any
) -> Iterator[ServedApi]:
    """Start Valkey and the API, which asks for no token; the pipeline ``default`` exists."""
    with EmbeddedRedis(redis_port) as server:
        config = open_config(server.url, **(settings or {}))
        registry = Registry.open(server.url)
        registry.pipelines.put("default", PipelineSpec())
        with serving(create_app(config, **parts)) as url:
            yield ServedApi(url, registry, server, config)
        registry.close()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port, in a thread."""
    port = free_port()
    settings = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
