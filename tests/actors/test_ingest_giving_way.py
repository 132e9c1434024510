"""Cameras whose shared decoder is too slow for all: they go on with key frames, lowest class first.

The decoder of the CPU is used as that of a GPU is, and made slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.lag import DecodeLag
from actors.messages import DegradeStep, StreamStep
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually, open_deferred

FPS = 50
CONFIG = IngestConfig(tick_s=0.01, attach_retry_s=0.02, beat_s=0.008)
NAMES = ("a", "b", "c")
ENOUGH_S, TOO_LITTLE_S = 0.1 / (FPS * len(NAMES)), 1.6 / (FPS * len(NAMES))
"""For a picture."""


class Pace:
    """How long the decoder takes for each picture."""

    def __init__(self) -> None:
        self.picture_s = ENOUGH_S
        self.num = 0

    def slowed(self, decode: Callable[..., list[Decoded]]) -> Callable[..., object]:
        def slowly(*arguments: object) -> list[Decoded]:
            pictures = decode(*arguments)
            self.num += len(pictures)
            time.sleep(self.picture_s * len(pictures))
            return pictures

        return slowly


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCameraServer]:
    path = tmp_path_factory.mktemp("slow") / "clip.mp4"
    write_pattern(path, width=128, height=96, fps=FPS, seconds=4.0, gop_size=FPS // 2)
    with RunningCameraServer([Camera(name, Clip.open(path)) for name in NAMES]) as server:
        yield server


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    pace = Pace()
    monkeypatch.setattr("actors.ingest.session.open_decoder", open_deferred)
    monkeypatch.setattr(CpuDecoder, "_decode", pace.slowed(CpuDecoder._decode))
    return pace


@pytest.fixture
def bench(pace: Pace) -> Iterator[IngestBench]:
    bench = IngestBench(CONFIG)
    yield bench
    bench.close()


def lateness_s(bench: IngestBench, stream: str) -> tuple[float, float]:
    """Of the last picture, beside the most punctual one, and of the one that came latest."""
    delays = [ticket.ready - ticket.pts_s for ticket in bench.engine.frames_of(stream)]
    return delays[-1] - min(delays), max(delays) - min(delays)


def test_pictures_stay_current_and_most_of_what_can_be_decoded_is_of_use(bench, server, pace):
    for name in NAMES:
        bench.open(name, server.url(name))
    for name in NAMES:
        bench.await_frames(name, 20)
    pace.picture_s, begun = TOO_LITTLE_S, pace.num
    eventually(lambda: pace.num - begun > 500, timeout_s=30)
    for name in NAMES:
        assert lateness_s(bench, name)[1] < 2.0  # without giving way it would be 3 at the end
        assert bench.entry(name).skipped > 0
        assert bench.entry(name).decode_errors == 0
    pace.picture_s = ENOUGH_S
    for name in NAMES:
        eventually(lambda name=name: lateness_s(bench, name)[0] < 0.1)


def test_lower_classes_make_room_for_higher_ones(bench, server, pace):
    for name, qos_class in zip(NAMES, ("critical", "low", "low"), strict=True):
        bench.open(name, server.url(name), qos={"class": qos_class})
    for name in NAMES:
        bench.await_frames(name, 20)
    pace.picture_s = TOO_LITTLE_S
    eventually(lambda: all(bench.entry(name).skipped for name in NAMES[1:]), timeout_s=20)
    bench.await_frames("a", 3 * FPS)
    assert bench.entry("a").skipped == 0
    assert lateness_s(bench, "a")[1] < 1.0


def test_a_camera_that_is_held_back_drops_what_waits_and_is_current(bench, server, pace):
    for name in NAMES:
        bench.open(name, server.url(name), qos={"class": "critical"})
    for name in NAMES:
        bench.await_frames(name, 20)
    pace.picture_s = TOO_LITTLE_S
    eventually(lambda: lateness_s(bench, "a")[0] > 0.6, timeout_s=20)
    bench.engine.orders = [StreamStep("a", DegradeStep.KEY_FRAMES)]
    eventually(lambda: bench.status("a").degrade_step is DegradeStep.KEY_FRAMES)
    bench.await_frames("a", 2)
    eventually(lambda: lateness_s(bench, "a")[0] < 0.2)
    assert bench.status("a").decode_lag_s < 0.2


def test_who_waits_for_packets_is_not_late_however_old_they_are():
    lag = DecodeLag()
    for number in range(100):
        lag.note(number / FPS, 100.0 + number / 20, 1 / 20, 0.0)
    assert lag.late_s(2.0, 200.0) == 0.0


def test_who_waits_for_the_decoder_is_late_by_what_has_not_been_played():
    lag = DecodeLag()
    for number in range(100):
        lag.note(number / FPS, 100.0 + number / 20, 0.0, 0.0)
    assert lag.late_s(99 / FPS, 100.0 + 99 / 20) == pytest.approx(99 / 20 - 99 / FPS)
    assert lag.late_s(None, 200.0) == 0.0
