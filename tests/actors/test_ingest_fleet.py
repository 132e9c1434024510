from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from actors.ingest.config import IngestConfig
from actors.messages import Assignment, DropReason, StreamState
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually, stream_spec

TINY = {"width": 128, "height": 96, "fps": 50, "seconds": 0.5, "gop_size": 5}
CONFIG = IngestConfig(tick_s=0.01, attach_retry_s=0.02, close_timeout_s=2.0)


@pytest.fixture
def bench(reading):
    bench = IngestBench(CONFIG)
    yield bench
    bench.close()
    for stream in bench.rows:
        assert bench.entry(stream).in_flight == 0, stream


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fleet") / "clip.mp4"
    write_pattern(path, **TINY)
    return path


@pytest.fixture(scope="module")
def server(clip):
    with RunningCameraServer([Camera(f"cam{n}", Clip.open(clip)) for n in range(3)]) as server:
        yield server


def test_a_camera_s_pictures_become_tickets_in_order(bench, server):
    bench.open("a", server.url("cam0"), qos={"class": "critical"})
    bench.await_frames("a", 30)
    tickets = bench.engine.frames_of("a")
    assert [t.index for t in tickets] == sorted({t.index for t in tickets})
    assert [t.ts for t in tickets] == sorted(t.ts for t in tickets)
    assert len({t.session for t in tickets}) == 1
    assert {t.source_size for t in tickets} == {(128, 96)}
    assert all(t.deadline == pytest.approx(t.arrival + 0.1) for t in tickets)
    assert all(t.arrival < t.ready < time.monotonic() for t in tickets)
    assert abs(tickets[-1].ts - time.time()) < 5
    steps = [b.pts_s - a.pts_s for a, b in pairwise(tickets)]
    assert min(steps) > 0.015


def test_the_status_shows_the_source_and_its_rate(bench, server):
    bench.open("a", server.url("cam0"))
    eventually(lambda: bench.status("a").fps > 40)
    found = bench.status("a")
    assert found.state is StreamState.RUNNING
    assert (found.properties.codec, found.properties.width) == ("h264", 128)
    assert found.session > 0
    assert bench.ingest.status().incarnation != ""


def test_a_limit_of_rate_drops_the_others_as_sampled(bench, server):
    bench.open("a", server.url("cam0"), max_fps=10)
    bench.await_frames("a", 8)
    entry = bench.entry("a")
    assert entry.decoded == pytest.approx(5 * entry.inferred, abs=10)
    steady = [t.ts for t in bench.engine.frames_of("a")][2:]  # the first came in a burst
    assert {round(10 * (b - a)) for a, b in pairwise(steady)} == {1}


def test_changed_rate_class_and_rules_do_not_open_the_camera_again(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    session = bench.status("a").session
    rule = {"name": "gate", "kind": "line", "points": [[0, 0], [1, 1]]}
    bench.open("a", server.url("cam0"), max_fps=10, qos={"class": "low"}, rules=[rule])
    eventually(lambda: bench.entry("a").dropped[DropReason.SAMPLED] > 4)
    eventually(lambda: bench.engine.requests[-1].ingest == "ingest")
    last = bench.engine.frames_of("a")[-1]
    assert last.deadline == pytest.approx(last.arrival + 1.0)
    assert (bench.status("a").session, bench.status("a").generation) == (session, 2)
    opened = [qos.qos.class_name for r in bench.engine.requests for qos in r.opened]
    assert opened == ["normal", "low"]


def test_another_url_opens_another_camera_under_the_same_row(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    session = bench.status("a").session
    bench.open("a", server.url("cam1"))
    eventually(lambda: server.counters("cam1").num_clients == 1)
    eventually(lambda: server.counters("cam0").num_clients == 0)
    bench.await_frames("a", 5)
    assert bench.status("a").session > session
    sessions = [t.session for t in bench.engine.frames_of("a")]
    assert sessions == sorted(sessions)


def test_an_older_generation_changes_nothing(bench, server):
    bench.open("a", server.url("cam0"))
    old = Assignment(stream_spec(stream="a", url="rtsp://127.0.0.1:1/x"), 1, 0, 0)
    bench.ingest.update_stream(old)
    bench.await_frames("a", 5)


def test_a_disabled_stream_is_closed_and_kept(bench, server):
    bench.open("a", server.url("cam2"))
    bench.await_frames("a", 5)
    bench.open("a", server.url("cam2"), enabled=False)
    assert bench.is_in("a", StreamState.PENDING, "disabled")
    eventually(lambda: server.counters("cam2").num_clients == 0)
    eventually(lambda: bench.entry("a").in_flight == 0)
    bench.open("a", server.url("cam2"))
    bench.await_frames("a", 5)


def test_closing_waits_until_the_engine_has_given_all_frames_back(bench, server):
    bench.engine.outcome = bench.engine.KEEP
    bench.open("a", server.url("cam0"))
    eventually(lambda: len(bench.engine.at_engine) > 3)
    bench.ingest.close_stream("a")
    entry = bench.entry("a")
    assert entry.in_flight == 0
    assert entry.dropped[DropReason.CLOSED] >= 4
    assert bench.ingest.status().streams == ()
    eventually(lambda: bench.ingest.status().num_free_slots == bench.engine.num_slots)


def test_closing_an_unknown_stream_does_nothing(bench):
    bench.ingest.close_stream("none")


def test_without_free_slots_a_stream_s_frames_are_overload(bench, server):
    bench.engine.outcome = bench.engine.KEEP
    bench.open("a", server.url("cam0"))
    eventually(lambda: bench.entry("a").dropped[DropReason.OVERLOAD] > 5)
    assert len(bench.engine.at_engine) == bench.engine.num_slots


def test_cameras_stay_open_while_the_engine_is_replaced(bench, server):
    for n in range(3):
        bench.open(f"s{n}", server.url(f"cam{n}"))
        bench.await_frames(f"s{n}", 5)
    sessions = [each.session for each in bench.ingest.status().streams]
    bench.engine.die()
    for n in range(3):
        eventually(lambda n=n: bench.entry(f"s{n}").dropped[DropReason.OVERLOAD] > 2)
    bench.engine.is_away = False
    for n in range(3):
        bench.await_frames(f"s{n}", 5)
    assert [each.session for each in bench.ingest.status().streams] == sessions


def test_a_file_is_played_once_at_its_speed_and_ends(bench, clip):
    began = time.monotonic()
    bench.open("a", clip.as_uri())
    eventually(lambda: bench.is_in("a", StreamState.ENDED))
    assert time.monotonic() - began > 0.45
    assert bench.entry("a").decoded == 25
    eventually(lambda: bench.entry("a").in_flight == 0)


def test_a_looped_file_goes_on_with_rising_times(bench, clip):
    bench.open("a", clip.as_uri(), loop=True)
    bench.await_frames("a", 60)
    pts = [t.pts_s for t in bench.engine.frames_of("a")]
    assert pts == sorted(pts)
    assert pts[-1] > 1
    assert len({t.session for t in bench.engine.frames_of("a")}) == 1


def test_a_file_without_video_fails_for_good_and_says_why(bench, tmp_path):
    (tmp_path / "text.mp4").write_text("no video here")
    bench.open("a", (tmp_path / "text.mp4").as_uri())
    eventually(lambda: bench.is_in("a", StreamState.FAILED, "invalid"))
    assert "text.mp4" in bench.status("a").message


def test_large_pictures_are_scaled_down_and_their_size_is_kept(bench, tmp_path):
    write_pattern(tmp_path / "large.mp4", width=640, height=480, seconds=0.4)
    bench.open("a", (tmp_path / "large.mp4").as_uri())
    bench.await_frames("a", 5)
    ticket = bench.engine.frames_of("a")[0]
    assert ticket.source_size == (640, 480)
    assert (ticket.picture.width, ticket.picture.height) == (128, 96)


def test_stop_ends_all_threads_and_books_all_frames(server, clip):
    before = set(threading.enumerate())
    bench = IngestBench(CONFIG)
    for n in range(3):
        bench.open(f"s{n}", server.url(f"cam{n}"))
    bench.open("file", clip.as_uri(), loop=True)
    for stream in bench.rows:
        bench.await_frames(stream, 3)
    bench.close()
    eventually(lambda: set(threading.enumerate()) <= before)
    assert all(bench.entry(stream).in_flight == 0 for stream in bench.rows)
    bench.ingest.stop()
