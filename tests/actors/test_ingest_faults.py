"""Every fault of a camera: it comes back, others lose nothing by it, the ledger balances."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from actors.ingest.config import IngestConfig
from actors.messages import DropReason, StreamState
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import (
    Down,
    Fault,
    Jitter,
    Loss,
    Mute,
    NotFound,
    Reset,
    ResolutionChange,
    Stall,
    TimestampJump,
    Unauthorized,
)
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually

TINY = {"width": 128, "height": 96, "fps": 50, "seconds": 0.5, "gop_size": 5}
CONFIG = IngestConfig(open_timeout_s=0.5, read_timeout_s=0.3, tick_s=0.01, close_timeout_s=2.0)
PASSWORD = "open-sesame"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def clip(folder) -> Clip:
    write_pattern(folder / "clip.mp4", **TINY)
    return Clip.open(folder / "clip.mp4")


@pytest.fixture(scope="module")
def server(clip):
    cameras = [Camera(name, clip, "user", PASSWORD) for name in ("good", "bad")]
    with RunningCameraServer(cameras) as server:
        yield server


@pytest.fixture
def bench(server, reading):
    bench = IngestBench(CONFIG)
    for name in ("good", "bad"):
        bench.open(name, server.url(name))
        bench.await_frames(name, 3)
    yield bench
    bench.close()
    server.clear("bad")
    for name in bench.rows:
        assert bench.entry(name).in_flight == 0, name
    assert PASSWORD not in repr(bench.statuses)


BREAKING: list[tuple[Fault, str]] = [
    (Stall(), "stalled"),
    (Down(), "disconnected"),
    (NotFound(), "not_found"),
    (Unauthorized(), "unauthorized"),
    (Mute(), "stalled"),
]


@pytest.mark.parametrize(
    ("fault", "reason"), BREAKING, ids=[type(fault).__name__ for fault, _ in BREAKING]
)
def test_a_broken_camera_says_why_and_comes_back(bench, server, fault, reason):
    session, good = bench.status("bad").session, bench.status("good").session
    server.inject("bad", fault)
    eventually(lambda: bench.is_in("bad", StreamState.RECONNECTING, reason))
    assert bench.status("bad").message
    server.clear("bad")
    eventually(lambda: bench.is_in("bad", StreamState.RUNNING), timeout_s=5.0)
    bench.await_frames("bad", 3)
    assert bench.status("bad").session > session
    assert bench.entry("bad").reconnects == 1
    assert bench.status("good").session == good
    assert bench.entry("good").reconnects == 0
    indices = [ticket.index for ticket in bench.engine.frames_of("good")]
    entry = bench.entry("good")
    assert len(indices) + entry.dropped[DropReason.SUPERSEDED] >= indices[-1]


def test_a_mute_camera_is_tried_again_and_again_and_comes_back(bench, server):
    server.inject("bad", Mute())
    eventually(lambda: bench.is_in("bad", StreamState.RECONNECTING, "timeout"))
    server.clear("bad")
    eventually(lambda: bench.is_in("bad", StreamState.RUNNING), timeout_s=5.0)


def test_a_reset_is_a_disconnect_and_over_at_once(bench, server):
    session = bench.status("bad").session
    server.inject("bad", Reset())
    eventually(lambda: bench.status("bad").session > session)
    bench.await_frames("bad", 3)
    assert bench.entry("bad").reconnects == 1


def test_a_jump_of_the_timestamps_neither_disconnects_nor_shows_in_ts(bench, server):
    session = bench.status("bad").session
    for seconds in (3600.0, -7200.0):
        server.inject("bad", TimestampJump(seconds))
        before = bench.engine.frames_of("bad")[-1].pts_s
        eventually(lambda b=before: abs(bench.engine.frames_of("bad")[-1].pts_s - b) > 3000)
        bench.await_frames("bad", 5)
    assert bench.status("bad").session == session
    stamps = [ticket.ts for ticket in bench.engine.frames_of("bad")]
    steps = [b - a for a, b in pairwise(stamps)]
    assert min(steps) >= 0
    assert max(steps) < 2


def test_a_change_of_resolution_is_followed(bench, server, folder):
    write_pattern(folder / "small.mp4", **{**TINY, "width": 64, "height": 48})
    session = bench.status("bad").session
    server.inject("bad", ResolutionChange(Clip.open(folder / "small.mp4")))
    eventually(lambda: bench.engine.frames_of("bad")[-1].source_size == (64, 48))
    server.clear("bad")
    eventually(lambda: bench.engine.frames_of("bad")[-1].source_size == (128, 96))
    assert bench.status("bad").session == session


def test_jitter_loses_no_picture(bench, server):
    session = bench.status("bad").session
    server.inject("bad", Jitter(max_ms=60))
    bench.await_frames("bad", 25)
    assert bench.status("bad").session == session
    indices = [ticket.index for ticket in bench.engine.frames_of("bad")]
    assert len(indices) + bench.entry("bad").dropped[DropReason.SUPERSEDED] >= indices[-1]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_lost_packets_damage_pictures_and_no_more(bench, server, folder, transport):
    bench.ingest.close_stream("bad")
    server.inject("bad", Loss(0.2))
    bench.open("bad", server.url("bad"), transport=transport)
    eventually(lambda: bench.entry("bad").decoded > 40)
    bench.await_frames("bad", 5)
    assert bench.entry("good").reconnects == 0


def test_sessions_that_hang_are_abandoned_but_not_without_limit(bench, server):
    config = IngestConfig(
        open_timeout_s=0.5, read_timeout_s=0.05, tick_s=0.01, max_stuck_sessions=1
    )
    impatient = IngestBench(config)
    server.inject("bad", Stall())
    impatient.open("bad", server.url("bad"))
    began = time.monotonic()
    eventually(lambda: impatient.is_in("bad", StreamState.RECONNECTING))
    server.clear("bad")
    eventually(lambda: impatient.is_in("bad", StreamState.RUNNING))
    assert time.monotonic() - began < 10
    impatient.close()
