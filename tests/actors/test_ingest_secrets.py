"""Whatever goes wrong with a camera, its password stays out of states, logs and the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.rtsp.address import parse_address
from actors.ingest.session import SessionSpec
from actors.messages import Assignment, StreamState
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import Down, Fault, Loss, Mute, NotFound, Stall, Unauthorized
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually, stream_spec

USER, PASSWORD = "s3cretuser", "s3cretword"
CONFIG = IngestConfig(open_timeout_s=0.5, read_timeout_s=0.3, tick_s=0.01, close_timeout_s=2.0)
URL = f"rtsp://{USER}:{PASSWORD}@192.0.2.1/main?pwd={PASSWORD}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCameraServer]:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_pattern(path, width=128, height=96, fps=50, seconds=0.5, gop_size=5)
    with RunningCameraServer([Camera("cam", Clip.open(path), USER, PASSWORD)]) as running:
        yield running


@pytest.fixture
def bench() -> Iterator[IngestBench]:
    bench = IngestBench(CONFIG)
    yield bench
    bench.close()


@pytest.mark.parametrize(
    "fault",
    [Stall(), Down(), NotFound(), Unauthorized(), Mute(), Loss(0.5)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_camera_that_fails_is_told_of_without_its_password(
    bench: IngestBench,
    server: RunningCameraServer,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.open("cam", server.url("cam"))
    bench.await_frames("cam", 3)
    server.inject("cam", fault)
    if not isinstance(fault, Loss):
        eventually(lambda: bench.is_in("cam", StreamState.RECONNECTING))
    server.clear("cam")
    bench.await_frames("cam", 3)
    said = caplog.text + "".join(capfd.readouterr()) + repr(bench.statuses)
    assert "cam" in said
    assert USER not in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://{USER}:{PASSWORD}@127.0.0.1:1/main",
        f"rtsp://{USER}:{PASSWORD}@nowhere.invalid/main",
        f"rtsp://{USER}:{PASSWORD}@169.254.169.254/main",
        f"http://127.0.0.1:1/video.cgi?user={USER}&pwd={PASSWORD}",
        f"http://{USER}:{PASSWORD}@127.0.0.1:1/live.m3u8",
        f"rtsp://127.0.0.1:1/user={USER}_password={PASSWORD}_channel=1.sdp",
    ],
)
def test_a_camera_that_cannot_be_opened_is_told_of_without_its_password(
    bench: IngestBench,
    url: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.open("cam", url)
    failing = (StreamState.RECONNECTING, StreamState.FAILED)
    eventually(lambda: bench.status("cam").state in failing)
    said = caplog.text + "".join(capfd.readouterr()) + repr(bench.statuses)
    assert bench.status("cam").message
    assert USER not in said
    assert PASSWORD not in said


def test_what_carries_a_url_does_not_show_it() -> None:
    spec = stream_spec(stream="cam", url=URL)
    carriers = [
        spec,
        Assignment(spec, 1, 0, 1),
        SessionSpec(1, URL, "auto", False, 1.0, 0.0),
        parse_address(URL),
    ]
    for carrier in carriers:
        for said in (repr(carrier), str(carrier), f"{carrier}"):
            assert PASSWORD not in said
            assert USER not in said
