"""Cameras that one thread reads and decodes, as those are whose pictures a GPU decodes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.delivery import Arrival
from actors.ingest.rounds import Rounds
from actors.messages import StreamState
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import Stall
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually, open_deferred

TINY = {"width": 128, "height": 96, "fps": 50, "seconds": 0.5, "gop_size": 5}
CONFIG = IngestConfig(
    tick_s=0.01, attach_retry_s=0.02, read_timeout_s=1.0, beat_s=0.008, max_waiting=8
)
NAMES = ("a", "b", "c")
BEAT_S = 0.2
ROUND_S = BEAT_S / 4  # with so few


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("rounds") / "clip.mp4"
    write_pattern(path, codec=request.param, **TINY)
    return Clip.open(path)


@pytest.fixture
def server(clip: Clip) -> Iterator[RunningCameraServer]:
    with RunningCameraServer([Camera(name, clip) for name in NAMES]) as server:
        yield server


@pytest.fixture
def bench(server: RunningCameraServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[IngestBench]:
    """All cameras in the rounds, each with twenty pictures behind it."""
    monkeypatch.setattr("actors.ingest.session.open_decoder", open_deferred)
    bench = IngestBench(CONFIG)
    for name in NAMES:
        bench.open(name, server.url(name))
    for name in NAMES:
        bench.await_frames(name, 20)
    yield bench
    bench.close()
    for name in NAMES:
        assert bench.entry(name).in_flight == 0, name


def test_every_picture_of_every_camera_becomes_a_ticket_in_order(bench):
    for name in NAMES:
        tickets = bench.engine.frames_of(name)
        assert {b.index - a.index for a, b in pairwise(tickets)} == {1}
        assert min(b.pts_s - a.pts_s for a, b in pairwise(tickets)) > 0.015
        assert all(0 < ticket.ready - ticket.arrival < 1 for ticket in tickets)
        assert bench.status(name).properties.decoder == "nvdec"
        assert bench.entry(name).decode_errors == 0


def test_one_thread_decodes_them_all(bench, monkeypatch):
    seen = set()
    collect = bench.ingest._facilities.outbox.put

    def watch(*arguments: object) -> None:
        seen.add(threading.current_thread().name)
        collect(*arguments)

    monkeypatch.setattr(bench.ingest._facilities.outbox, "put", watch)
    for name in NAMES:
        bench.await_frames(name, 10)
    assert seen == {"rounds"}


def test_a_camera_that_falls_silent_is_opened_again_and_the_others_play_on(bench, server):
    before = {name: bench.status(name).session for name in NAMES}
    server.inject("a", Stall())
    eventually(lambda: bench.is_in("a", StreamState.RECONNECTING, "stalled"))
    server.clear("a")
    for name in NAMES:
        bench.await_frames(name, 10)
    assert bench.status("a").session > before["a"]
    assert [bench.entry(name).reconnects for name in NAMES] == [1, 0, 0]
    assert all(bench.status(name).session == before[name] for name in ("b", "c"))


def test_a_closed_camera_leaves_its_server_at_once(bench, server):
    bench.ingest.close_stream("a")
    eventually(lambda: server.counters("a").num_clients == 0, 0.9)
    bench.await_frames("b", 10)


class Pipe:
    """A seat that counts its turns, and fails or leaves when it is told."""

    def __init__(self) -> None:
        self._here, self._there = os.pipe()
        self.num_read = 0
        self.arrivals: list[float] = []
        self.begun_at: list[float] = []
        self.collected_at: list[float] = []
        self.fault: Exception | None = None
        self.has_left = False

    def fileno(self) -> int:
        return self._here

    def send(self) -> None:
        os.write(self._there, b"x")

    @property
    def num_waiting(self) -> int:
        return self.num_read - self.num_begun

    @property
    def num_begun(self) -> int:
        return len(self.begun_at)

    @property
    def num_collected(self) -> int:
        return len(self.collected_at)

    def collect(self) -> None:
        self.collected_at.append(time.monotonic())

    def begin(self) -> None:
        self.begun_at.append(time.monotonic())

    def read(self, arrival: Arrival, waited_s: float) -> None:
        num = len(os.read(self._here, 100))
        if self.fault is not None:
            raise self.fault
        assert arrival.monotonic <= time.monotonic()
        self.arrivals.append(arrival.monotonic)
        self.num_read += num

    def close(self) -> None:
        os.close(self._here)
        os.close(self._there)


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    pipes = [Pipe(), Pipe()]
    yield pipes
    for pipe in pipes:
        pipe.close()


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    rounds = Rounds(BEAT_S)
    yield rounds
    rounds.stop()


@contextmanager
def staying(rounds: Rounds, *pipes: Pipe) -> Iterator[list[Future[None]]]:
    with ThreadPoolExecutor() as threads:
        try:
            yield [threads.submit(rounds.play, pipe) for pipe in pipes]
        finally:
            rounds.stop()


def test_rounds_that_are_stopped_let_everybody_go(pipes, rounds):
    with staying(rounds, *pipes) as stays:
        rounds.stop()
        assert [stay.result(5) for stay in stays] == [None, None]


def test_a_seat_is_read_when_something_has_come_and_collected_two_rounds_after(pipes, rounds):
    with staying(rounds, *pipes):
        pipes[0].send()
        eventually(lambda: pipes[0].num_collected == 1)
        assert pipes[0].collected_at[0] - pipes[0].begun_at[0] > 1.5 * ROUND_S
        assert (pipes[0].num_read, pipes[1].num_read, pipes[1].num_collected) == (1, 0, 0)


def test_a_seat_with_many_packets_begins_one_a_round_and_only_the_last_is_collected(pipes, rounds):
    for _ in range(5):
        pipes[0].send()
    with staying(rounds, pipes[0]) as (stay,):
        eventually(lambda: pipes[0].num_collected == 1)
        assert pipes[0].num_begun == 5
        assert all(b - a > ROUND_S / 4 for a, b in pairwise(pipes[0].begun_at))
        assert pipes[0].collected_at[0] - pipes[0].begun_at[4] > 1.5 * ROUND_S
        pipes[0].has_left = True
        assert stay.result(5) is None


def test_a_fault_ends_the_stay_of_its_own_seat_alone(pipes, rounds):
    with staying(rounds, *pipes) as (failing, playing):
        pipes[0].fault = OSError("the cable is out")
        pipes[0].send()
        with pytest.raises(OSError, match="the cable is out"):
            failing.result(5)
        pipes[1].send()
        eventually(lambda: pipes[1].num_read == 1)
        pipes[1].has_left = True
        assert playing.result(5) is None


def test_what_comes_after_rounds_without_cameras_has_not_arrived_before_its_camera(pipes, rounds):
    for pipe in pipes:
        joined_at = time.monotonic()
        with ThreadPoolExecutor() as threads:
            stay = threads.submit(rounds.play, pipe)
            pipe.send()
            eventually(lambda pipe=pipe: pipe.num_read == 1)
            pipe.has_left = True
            stay.result(5)
        assert pipe.arrivals[0] >= joined_at


def test_who_comes_when_all_is_over_does_not_stay(pipes, rounds):
    rounds.stop()
    rounds.play(pipes[0])
    assert pipes[0].num_collected == 0


def test_a_round_that_hangs_is_a_gpu_that_is_lost(bench, monkeypatch):
    assert not bench.ingest.has_lost_device()
    going_on = threading.Event()
    take_slot = bench.ingest._facilities.outbox.take_slot

    def hang(*arguments: object) -> object:
        going_on.wait()
        return take_slot(*arguments)

    monkeypatch.setattr(bench.ingest._facilities.outbox, "take_slot", hang)
    rounds = bench.ingest._facilities.rounds
    eventually(lambda: rounds.stuck_s(time.monotonic()) > 0.2)
    later = time.monotonic() + CONFIG.max_round_s
    assert rounds.stuck_s(later) > CONFIG.max_round_s
    going_on.set()
    eventually(lambda: rounds.stuck_s(time.monotonic()) < 0.1)


def test_what_was_read_of_a_camera_that_leaves_the_rounds_is_decoded(server, monkeypatch):
    monkeypatch.setattr("actors.ingest.session.open_decoder", open_deferred)
    monkeypatch.setattr("actors.ingest.session._Seat.begin", lambda seat: None)
    has_left = property(lambda seat: seat.num_waiting >= 3 or seat._session._stop.is_set())
    monkeypatch.setattr("actors.ingest.session._Seat.has_left", has_left)
    bench = IngestBench(CONFIG)
    bench.open("a", server.url("a"))
    bench.await_frames("a", 30)
    tickets = bench.engine.frames_of("a")
    bench.close()
    assert {b.index - a.index for a, b in pairwise(tickets)} == {1}
    assert max(b.pts_s - a.pts_s for a, b in pairwise(tickets)) < 0.03
    assert bench.entry("a").decode_errors == 0
