from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.ingest.source_wait import SourceWait
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.pattern import write_pattern

READ_TIMEOUT_S = 0.5
INGEST = f"""
import sys
from actors.ingest.config import IngestConfig
from tests.actors.builders import IngestBench, open_deferred

if sys.argv[1] == "rounds":
    import actors.ingest.session
    actors.ingest.session.open_decoder = open_deferred
bench = IngestBench(IngestConfig(read_timeout_s={READ_TIMEOUT_S}, tick_s=0.01, beat_s=0.008))
for name, url in enumerate(sys.argv[2:]):
    bench.open(str(name), url)
for _ in sys.stdin:
    for name in bench.rows:
        bench.await_frames(name, 20)
    print(sum(bench.entry(name).reconnects for name in bench.rows), flush=True)
bench.close()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCameraServer]:
    path = tmp_path_factory.mktemp("freeze") / "clip.mp4"
    write_pattern(path, width=128, height=96, fps=50, seconds=0.5, gop_size=5)
    names = ("a", "b")
    with RunningCameraServer([Camera(name, Clip.open(path)) for name in names]) as server:
        yield server


def num_reconnects(ingest: subprocess.Popen[str]) -> int:
    """After twenty more pictures of each camera."""
    assert ingest.stdin
    assert ingest.stdout
    ingest.stdin.write("\n")
    ingest.stdin.flush()
    return int(ingest.stdout.readline())


@pytest.mark.parametrize("reading", ["rounds", "threads"])
def test_a_process_that_stood_still_opens_no_camera_again(server, reading):
    urls = [server.url(name) for name in "ab"]
    command = [sys.executable, "-c", INGEST, reading, *urls]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as ingest:
        assert ingest.stdin
        assert num_reconnects(ingest) == 0
        for _ in range(2):
            os.kill(ingest.pid, signal.SIGSTOP)
            time.sleep(2 * READ_TIMEOUT_S)
            os.kill(ingest.pid, signal.SIGCONT)
            assert num_reconnects(ingest) == 0
        ingest.stdin.close()
        assert ingest.wait(20) == 0


def test_a_source_keeps_its_session_waiting_until_something_comes():
    wait = SourceWait()
    assert wait.lasted_s(10.0) == 0.0
    wait.since = 10.0
    assert wait.lasted_s(12.5) == 2.5
    wait.since = None
    assert wait.lasted_s(13.0, 5.0) == 0.0


def test_what_the_process_stood_still_is_excused_once():
    wait = SourceWait()
    wait.since = 10.0
    assert wait.lasted_s(12.0) == 2.0
    assert wait.lasted_s(17.0, 5.0) == 2.0
    assert wait.lasted_s(18.0) == 3.0
    wait.since = 18.0
    assert wait.lasted_s(19.0) == 1.0


def test_a_wait_that_began_after_the_standstill_has_nothing_to_excuse_it_later():
    wait = SourceWait()
    wait.since = 20.0
    assert wait.lasted_s(20.5, 5.0) == 0.0
    assert wait.lasted_s(22.5) == 2.0
