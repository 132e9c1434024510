"""Who decodes first where processor time is short, and what those that come late leave out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.delivery import FramePolicy
from actors.ingest.facilities import Facilities
from actors.ingest.gate import RANK_S, DecodeGate
from actors.ingest.lane import Lane
from actors.ingest.session import Session, SessionSpec
from actors.ledger import Ledger, LedgerRow
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import eventually

TINY = {"width": 128, "height": 96, "fps": 25, "seconds": 4.0, "gop_size": 25}


class Queue:
    """Threads that come to a gate one by one while its only permit is held."""

    def __init__(self) -> None:
        self.gate = DecodeGate(1)
        self.went: list[str] = []
        self._threads: list[threading.Thread] = []

    def come(self, name: str, came_at: float, rank: int) -> None:
        thread = threading.Thread(target=self._go, args=(name, came_at, rank))
        self._threads.append(thread)
        thread.start()
        eventually(lambda: len(self.gate._waiting) == len(self._threads))

    def _go(self, name: str, came_at: float, rank: int) -> None:
        with self.gate.enter(came_at, rank):
            self.went.append(name)

    def join(self) -> list[str]:
        for thread in self._threads:
            thread.join()
        return self.went


def test_the_more_important_goes_first_then_who_came_first():
    queue = Queue()
    with queue.gate.enter(0.0, 0):
        queue.come("low", 0.00, 3)
        queue.come("second", 0.02, 0)
        queue.come("first", 0.01, 0)
        queue.come("normal", 0.01, 2)
    assert queue.join() == ["first", "second", "normal", "low"]


def test_who_has_waited_for_long_enough_goes_before_the_more_important():
    queue = Queue()
    with queue.gate.enter(0.0, 0):
        queue.come("fresh", 10.0, 0)
        queue.come("old", 10.0 - 3.1 * RANK_S, 3)
        queue.come("not so old", 10.0 - 2.9 * RANK_S, 3)
    assert queue.join() == ["old", "fresh", "not so old"]


def test_no_more_are_inside_than_there_are_permits_and_none_is_lost():
    gate, lock = DecodeGate(3), threading.Lock()
    inside, most, num_done = 0, 0, 0

    def work(number: int) -> None:
        nonlocal inside, most, num_done
        for turn in range(50):
            with gate.enter(turn, number % 4):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0)
                with lock:
                    inside -= 1
                    num_done += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert num_done == 600
    assert most <= 3


def test_a_permit_comes_back_from_a_thread_that_fails():
    gate = DecodeGate(1)
    with pytest.raises(RuntimeError), gate.enter(0.0, 0):
        raise RuntimeError
    with gate.enter(0.0, 0):
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("gate") / "clip.mp4"
    write_pattern(path, **TINY)
    with RunningCameraServer([Camera("cam", Clip.open(path))]) as server:
        yield server.url("cam")


@pytest.fixture
def row() -> Iterator[LedgerRow]:
    ledger = Ledger.create(1)
    yield ledger.row(0)
    ledger.unlink()


def test_a_camera_that_had_to_wait_goes_on_with_the_next_key_frame(url, row):
    facilities = Facilities.of(IngestConfig(max_decoding=1))
    lane = Lane("cam", row)
    spec = SessionSpec(1, url, "tcp", False, 3.0, 0.0)
    session = Session(spec, FramePolicy(None, 1.0), lane, facilities)
    session.start()
    eventually(lambda: row.read().decoded >= 3)
    assert row.read().skipped == 0
    with facilities.gate.enter(0.0, 0):
        time.sleep(0.6)
        decoded = row.read().decoded
    eventually(lambda: row.read().decoded >= decoded + 10)
    entry = row.read()
    session.abandon()
    session.join(5.0)
    assert 0 < entry.skipped < TINY["gop_size"]
    assert entry.decode_errors == 0
    assert session.error is None
