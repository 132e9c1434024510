"""Ingest looks again where a URL leads each time that it opens it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors.ingest.config import IngestConfig
from actors.messages import StreamState
from actors.source_policy import SourcePolicy
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import Reset
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually

HERE = SourcePolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))
CONFIG = IngestConfig(open_timeout_s=1.0, tick_s=0.01, close_timeout_s=2.0, allowed=HERE)


@pytest.fixture
def bench() -> Iterator[IngestBench]:
    bench = IngestBench(CONFIG)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCameraServer]:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_pattern(path, width=128, height=96, fps=50, seconds=0.5, gop_size=5)
    with RunningCameraServer([Camera("cam", Clip.open(path))]) as running:
        yield running


@pytest.mark.parametrize("url", ["rtsp://u:hunter2@169.254.169.254/a", "rtsp://192.0.2.1/a"])
def test_an_address_that_is_forbidden_fails_for_good(bench: IngestBench, url: str) -> None:
    bench.open("a", url)
    eventually(lambda: bench.is_in("a", StreamState.FAILED, "forbidden"))
    assert "hunter2" not in bench.status("a").message
    assert "give the address of a camera" in bench.status("a").message


def test_a_name_that_leads_elsewhere_later_is_not_opened_again_until_it_leads_back(
    bench: IngestBench, server: RunningCameraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, leads_to = socket.getaddrinfo, ["127.0.0.1"]

    def look_up(host: str, port: Any, *rest: Any, **more: Any) -> Any:
        return real(leads_to[0] if host == "localhost" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = server.url("cam").replace("127.0.0.1", "localhost")
    bench.open("a", url)
    bench.await_frames("a", 3)
    leads_to[0] = "169.254.169.254"
    server.inject("cam", Reset())
    eventually(lambda: bench.is_in("a", StreamState.RECONNECTING, "forbidden"))
    leads_to[0] = "127.0.0.1"
    bench.await_frames("a", 3)
