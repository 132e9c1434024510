"""What the degrade ladder takes from a camera: only that, and back without a new session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from actors.inference.overload import LadderConfig
from actors.inference.service import InferenceService, PoolConfig
from actors.ingest.config import IngestConfig
from actors.ingest.fleet import Ingest
from actors.ingest.lag import DecodeLag
from actors.ledger import Ledger, LedgerEntry
from actors.messages import Assignment, DegradeStep, DropReason, StreamState, StreamStep
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.pattern import write_pattern
from engines.fake import CostModel, FakeEngine
from engines.frames import Picture
from tests.actors.builders import IngestBench, eventually, stream_spec

TINY = {"width": 128, "height": 96, "fps": 50, "seconds": 2.0, "gop_size": 25, "num_b_frames": 2}
CONFIG = IngestConfig(tick_s=0.01, attach_retry_s=0.02, picture_timeout_s=0.3)
NONE, CAPPED, KEY_FRAMES, PAUSED = DegradeStep


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ladder") / "clip.mp4"
    write_pattern(path, **TINY)
    return path


@pytest.fixture(scope="module")
def server(clip):
    with RunningCameraServer([Camera(f"cam{n}", Clip.open(clip)) for n in range(3)]) as server:
        yield server


@pytest.fixture
def bench():
    bench = IngestBench(CONFIG)
    yield bench
    bench.close()
    for stream in bench.rows:
        assert bench.entry(stream).in_flight == 0, stream


def order(bench: IngestBench, step: DegradeStep, max_fps: float | None = None) -> None:
    bench.engine.orders = [StreamStep("a", step, max_fps)]
    eventually(lambda: bench.status("a").degrade_step is step)


def order_before_it_opens(bench: IngestBench, step: DegradeStep) -> None:
    bench.engine.orders = [StreamStep("a", step, 1.0)]
    eventually(lambda: not bench.engine.orders)


def outcomes(entry: LedgerEntry) -> dict[DropReason, int]:
    return {reason: num for reason, num in entry.dropped.items() if num}


def test_a_capped_stream_keeps_to_its_cap_and_what_is_held_back_is_overload(bench, server):
    bench.open("a", server.url("cam0"), max_fps=25)
    bench.await_frames("a", 5)
    assert DropReason.OVERLOAD not in outcomes(bench.entry("a"))
    session = bench.status("a").session
    order(bench, CAPPED, 5.0)
    before = bench.entry("a")
    bench.await_frames("a", 6)
    after = bench.entry("a")
    held_back = after.dropped[DropReason.OVERLOAD] - before.dropped[DropReason.OVERLOAD]
    sampled = after.dropped[DropReason.SAMPLED] - before.dropped[DropReason.SAMPLED]
    assert held_back >= 14
    assert sampled >= held_back
    steps = [b.ts - a.ts for a, b in pairwise(bench.engine.frames_of("a")[-4:])]
    assert steps == pytest.approx([0.2] * 3, abs=0.05)
    order(bench, NONE)
    bench.await_frames("a", 20)
    assert bench.status("a").session == session
    assert all(request.num_given_up == 0 for request in bench.engine.requests)


def test_key_frames_come_alone_and_the_others_come_back_with_one(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    session = bench.status("a").session
    order(bench, KEY_FRAMES)
    first = len(bench.engine.frames_of("a")) + 1  # one may have been on its way
    bench.await_frames("a", 4)
    order(bench, NONE)
    bench.await_frames("a", 30)
    tickets = bench.engine.frames_of("a")[first:]
    steps = [round((b.pts_s - a.pts_s) * 50) for a, b in pairwise(tickets)]
    assert steps[:2] == [25, 25]
    back = steps.index(1)
    assert set(steps[: back - 1]) <= {25}
    assert [t.index for t in tickets] == sorted(t.index for t in tickets)
    entry = bench.entry("a")
    assert (entry.decode_errors, entry.dropped[DropReason.CORRUPT], entry.reconnects) == (0, 0, 0)
    assert bench.status("a").session == session


def test_a_paused_stream_decodes_nothing_stays_open_and_comes_back(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    session = bench.status("a").session
    order(bench, PAUSED)
    eventually(lambda: bench.entry("a").in_flight == 0)
    eventually(lambda: bench.status("a").fps == 0)
    decoded = bench.entry("a").decoded
    assert server.counters("cam0").num_clients == 1
    assert bench.is_in("a", StreamState.RUNNING)
    assert bench.entry("a").decoded == decoded
    order(bench, NONE)
    bench.await_frames("a", 10)
    entry = bench.entry("a")
    assert (entry.decode_errors, entry.dropped[DropReason.CORRUPT], entry.reconnects) == (0, 0, 0)
    assert bench.status("a").session == session
    assert entry.on_time == entry.inferred


def test_a_camera_that_opens_while_it_is_paused_runs_and_is_not_given_up(bench, server):
    order_before_it_opens(bench, PAUSED)
    bench.open("a", server.url("cam1"))
    eventually(lambda: bench.is_in("a", StreamState.RUNNING))
    session, since = bench.status("a").session, bench.status("a").since
    threading.Event().wait(3 * CONFIG.picture_timeout_s)
    assert (bench.status("a").session, bench.status("a").since) == (session, since)
    assert bench.entry("a").decoded == 0
    order(bench, NONE)
    bench.await_frames("a", 5)
    assert bench.status("a").session == session


@pytest.mark.parametrize("step", [KEY_FRAMES, PAUSED])
def test_a_file_that_is_held_back_ends_as_usual(bench, tmp_path, step):
    write_pattern(tmp_path / "short.mp4", **{**TINY, "seconds": 0.4})
    order_before_it_opens(bench, step)
    bench.open("a", (tmp_path / "short.mp4").as_uri())
    eventually(lambda: bench.is_in("a", StreamState.ENDED))
    assert bench.entry("a").decoded == (1 if step is KEY_FRAMES else 0)


def test_steps_fall_with_the_engine_that_ordered_them(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    order(bench, PAUSED)
    bench.engine.die()
    eventually(lambda: bench.status("a").degrade_step is NONE)
    bench.engine.is_away = False
    bench.await_frames("a", 5)


def test_a_stream_that_is_opened_again_begins_without_a_step(bench, server):
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    order(bench, PAUSED)
    bench.ingest.close_stream("a")
    bench.open("a", server.url("cam0"))
    bench.await_frames("a", 5)
    assert bench.status("a").degrade_step is NONE


def test_a_change_of_the_quality_of_service_is_told_without_a_gap(bench, server):
    bench.open("a", server.url("cam0"), qos={"class": "low"})
    bench.await_frames("a", 10)
    session = bench.status("a").session
    changed = {"class": "critical", "weight": 9.0, "deadline_ms": 700.0, "min_fps": 12.0}
    bench.open("a", server.url("cam0"), qos=changed, max_fps=1000)
    eventually(lambda: bench.engine.frames_of("a")[-1].deadline < _deadline(bench, 1.0))
    bench.await_frames("a", 10)
    tickets = bench.engine.frames_of("a")
    allowed = [round(t.deadline - t.arrival, 6) for t in tickets]
    assert set(allowed) == {1.0, 0.7}
    assert allowed == sorted(allowed, reverse=True)
    told = [qos for request in bench.engine.requests for qos in request.opened]
    assert [qos.qos.class_name for qos in told] == ["low", "critical"]
    assert (told[1].qos.weight, told[1].qos.min_fps, told[1].max_fps) == (9.0, 12.0, 1000)
    # Each picture from the first to the last is here or was superseded: none fell into a gap.
    entry = bench.entry("a")
    assert set(outcomes(entry)) <= {DropReason.SUPERSEDED}
    assert tickets[-1].index - tickets[0].index < len(tickets) + sum(outcomes(entry).values())
    assert (bench.status("a").session, bench.status("a").generation) == (session, 2)


def _deadline(bench: IngestBench, seconds: float) -> float:
    return bench.engine.frames_of("a")[-1].arrival + seconds - 0.1


class Slot:
    """Cameras and an engine that takes 15 ms a frame, in one process, with an impatient ladder."""

    def __init__(self, server: RunningCameraServer) -> None:
        engine = FakeEngine(cost=CostModel(per_frame_ms=15.0), batch_sizes=(1,))
        engine.load()
        pool = PoolConfig(num_slots=16, slot_bytes=Picture(128, 96).size_bytes, name="test-ladder")
        impatient = LadderConfig(
            climb_after_s=0.5, settle_s=0.5, hold_s=0.5, relapse_s=60.0, interval_s=0.1
        )
        self.service = InferenceService(engine, pool, lambda results: None, ladder=impatient)
        self.thread = threading.Thread(target=self.service.run)
        self.thread.start()
        self.ledger = Ledger.create(4)
        self.ingest = Ingest("ingest", self.ledger, self.service, CONFIG)
        self.generation = 0
        self.server = server

    def open(self, row: int, name: str, **fields: object) -> None:
        self.generation += 1
        spec = stream_spec(
            stream=name, url=self.server.url(f"cam{row}"), qos={"class": name}, **fields
        )
        self.ingest.open_stream(Assignment(spec, 1, row, self.generation))

    def steps(self) -> dict[str, DegradeStep]:
        return {each.stream: each.degrade_step for each in self.ingest.status().streams}

    def close(self) -> None:
        self.ingest.stop()
        self.service.close()
        self.thread.join()
        self.ledger.unlink()


@pytest.fixture
def slot(server) -> Iterator[Slot]:
    slot = Slot(server)
    yield slot
    slot.close()
    assert [slot.ledger.row(row).read().in_flight for row in range(3)] == [0, 0, 0]


def test_overload_caps_the_low_camera_first_and_lets_it_go_when_there_is_room(slot):
    for row, name in enumerate(("critical", "normal", "low")):
        slot.open(row, name, max_fps=40)
    capped = {"critical": NONE, "normal": CAPPED, "low": CAPPED}
    eventually(lambda: slot.steps() == capped, timeout_s=20)
    status = slot.service.ladder()
    assert status.steps == {"normal": CAPPED, "low": CAPPED}
    assert (status.rung, status.name, status.num_climbs) == (2, "normal capped", 2)
    slot.open(0, "critical", max_fps=5)
    slot.open(1, "normal", max_fps=5)
    eventually(lambda: set(slot.steps().values()) == {NONE}, timeout_s=20)
    assert slot.service.ladder().rung == 0
    assert [slot.ledger.row(row).read().reconnects for row in range(3)] == [0, 0, 0]


def test_another_engine_takes_nothing_from_anybody(slot):
    for row, name in enumerate(("critical", "normal", "low")):
        slot.open(row, name)
    eventually(lambda: CAPPED in slot.steps().values(), timeout_s=20)
    fast = FakeEngine()
    fast.load()
    slot.service.swap(fast)
    assert slot.service.ladder().rung == 0
    eventually(lambda: set(slot.steps().values()) == {NONE})


def play(
    lag: DecodeLag, seconds: float, speed: float, waited: float, busy: float, loop: int = 1000
) -> float:
    """Take packets up at a part of their speed, a part of the time waiting and computing."""
    for number in range(int(seconds * 25 * speed)):
        now = number / (25 * speed)
        if number and number % loop == 0:
            lag.repeat()
        lag.note(number % loop / 25, 100.0 + now, waited / (25 * speed), busy * now)
    return lag.lag_s(100.0 + seconds)


@pytest.mark.parametrize("loop", [1000, 50])
def test_a_decoder_without_processor_time_is_behind_also_in_a_file_that_is_looped(loop):
    behind_s = play(DecodeLag(), 10.0, speed=0.8, waited=0.0, busy=0.5, loop=loop)
    assert behind_s == pytest.approx(2.0, abs=0.1)


def test_a_decoder_that_keeps_up_is_not_behind():
    assert play(DecodeLag(), 10.0, speed=1.0, waited=0.3, busy=0.2) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("waited", "busy"), [(0.9, 0.1), (0.0, 0.99)], ids=["link", "thread"])
def test_a_slow_link_and_a_picture_too_large_for_a_thread_are_no_lag(waited, busy):
    assert play(DecodeLag(), 10.0, speed=0.8, waited=waited, busy=busy) == 0.0


def test_lag_is_forgotten_when_times_begin_anew_or_packets_cease():
    lag = DecodeLag()
    play(lag, 10.0, speed=0.8, waited=0.0, busy=0.5)
    assert lag.lag_s(113.0) == 0.0
    lag.note(0.0, 110.1, 0.0, 5.0)
    assert lag.lag_s(110.1) == 0.0
