"""Ingest on another machine: pictures, times and counts that travel, over a real TCP socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.channel import ChannelServer
from actors.errors import StaleGenerationError
from actors.far_messages import FarReply, FarRequest
from actors.inference.service import InferenceService
from actors.ingest.config import IngestConfig
from actors.ingest.far import Allowance, ClockOffset, FarConfig, FarRoute
from actors.ingest.far_actor import FarIngestActor
from actors.ledger import Ledger
from actors.messages import (
    Assignment,
    AttachRequest,
    FrameResult,
    StreamQos,
    SubmitRequest,
    Ticket,
)
from actors.pools import PoolConfig
from actors.specs import QosSpec
from cluster.demo.rtsp.pattern import write_pattern
from engines.detections import Detections
from engines.errors import FramePoolError
from engines.fake import FakeEngine
from engines.frames import Frame, FramePool, Picture
from tests.actors.builders import eventually, stream_spec

SIZE = (128, 96)
SMALL = Picture(64, 48)
AHEAD_S = 5_000.0
CONFIG = IngestConfig(tick_s=0.01, attach_retry_s=0.02, close_timeout_s=2.0)
FAR = FarConfig(SMALL.size_bytes, 1e9)
MOST_OFF_S = 0.5
"""By how much a busy machine may seem to have another clock."""


@dataclass
class Engine:
    """An engine whose clock is far ahead, as of another machine."""

    frames: list[tuple[tuple[int, int], float]] = field(default_factory=list)
    results: list[FrameResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        engine = FakeEngine(detect=self._detect)
        engine.load()
        pool = PoolConfig(8, Picture(*SIZE).size_bytes, name="test-far")
        self.service = InferenceService(engine, pool, self.results.extend, clock=self.clock)
        self.thread = threading.Thread(target=self.service.run)
        self.thread.start()
        self.server = ChannelServer(self._answer, "far-test", "127.0.0.1")

    def clock(self) -> float:
        return time.monotonic() + AHEAD_S

    def close(self) -> None:
        self.server.close()
        self.service.close()
        self.thread.join()

    def _detect(self, frame: Frame, _: int) -> Detections:
        shape = frame.picture.width, frame.picture.height
        self.frames.append((shape, float(np.mean(frame.planes[0]))))
        assert (frame.source_width, frame.source_height) == SIZE
        return Detections.empty()

    def _answer(self, request: AttachRequest | FarRequest) -> object:
        if isinstance(request, AttachRequest):
            return self.service.attach(request.ingest)
        received_at = self.clock()
        self.service.place(request.request, request.pictures)
        return FarReply(self.service.submit(request.request), received_at, self.clock())


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("far") / "clip.mp4"
    write_pattern(path, width=SIZE[0], height=SIZE[1], fps=50, seconds=1.0, gop_size=5)
    return path


def test_the_pictures_of_a_far_camera_are_inferred_scaled_down_and_counted_at_home(
    engine: Engine, clip: Path
) -> None:
    home = Ledger.create(4)
    home.unlink()
    home.row(2).begin("gate")
    home.row(2).count_analysed()
    actor = FarIngestActor(home.num_rows, CONFIG, FAR)
    actor.begin("far-0")
    actor.use_engine(engine.server.address)
    spec = stream_spec(url=clip.as_uri(), loop=True, qos={"class": "low", "deadline_ms": 5000})
    actor.open_stream(Assignment(spec, 1, 2, 1), home.row(2).counts())

    def inferred() -> int:
        home.row(2).take(actor.status().counts["gate"])
        return home.row(2).read().inferred

    eventually(lambda: inferred() >= 10)
    home.row(2).take(actor.close_stream("gate"))
    counted = home.row(2).read()
    actor.stop()
    assert counted.in_flight == 0
    assert counted.decoded == counted.inferred + sum(counted.dropped.values())
    assert counted.analysed == 1
    assert counted.latency_ms["p50"] < 1e3 * MOST_OFF_S
    assert {shape for shape, _ in engine.frames} == {(SMALL.width, SMALL.height)}
    assert len({round(mean, 2) for _, mean in engine.frames}) > 1
    eventually(lambda: len(engine.results) == counted.inferred)
    now = engine.clock()
    assert all(0 < now - result.arrival < 60 for result in engine.results)


def test_an_actor_that_comes_back_goes_on_counting(engine: Engine, clip: Path) -> None:
    home = Ledger.create(1)
    home.unlink()
    for _ in range(100):
        home.row(0).count_decoded()
    home.row(0).settle()
    actor = FarIngestActor(1, CONFIG, FAR)
    actor.begin("far-0")
    actor.use_engine(engine.server.address)
    actor.open_stream(Assignment(stream_spec(url=clip.as_uri()), 1, 0, 1), home.row(0).counts())
    eventually(lambda: actor.status().streams[0].state.value == "ended")
    home.row(0).take(actor.close_stream("gate"))
    actor.stop()
    assert home.row(0).read().decoded == 150


def test_a_far_actor_writes_into_no_slot_but_its_own(engine: Engine) -> None:
    lease = engine.service.attach("far-0")
    now = engine.clock()

    def ticket(slot: int) -> Ticket:
        return Ticket("gate", 1, 0, slot, SMALL, SIZE, 0.0, 0.0, now, now + 9, now)

    def place(slot: int, generation: int, data: bytes) -> None:
        request = SubmitRequest(
            "far-0", generation, (ticket(slot),), (StreamQos("gate", QosSpec()),)
        )
        engine.service.place(request, (data,))

    good = bytes(SMALL.size_bytes)
    place(lease.slots[0], lease.generation, good)
    with pytest.raises(FramePoolError, match="not its own"):
        place(lease.slots[-1] + 1, lease.generation, good)
    with pytest.raises(FramePoolError, match="64x48"):
        place(lease.slots[0], lease.generation, good[:-1])
    with pytest.raises(StaleGenerationError):
        place(lease.slots[0], lease.generation - 1, good)


def test_without_an_engine_a_far_actor_waits_and_says_so() -> None:
    with pytest.raises(ConnectionError, match="not there yet"):
        FarRoute(FAR).attach("far-0")


@given(
    ahead_s=st.floats(-1e6, 1e6),
    ways=st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)), min_size=1, max_size=20),
)
def test_clocks_are_told_apart_to_half_of_the_quickest_exchange(
    ahead_s: float, ways: list[tuple[float, float]]
) -> None:
    offset = ClockOffset()
    for number, (there_s, back_s) in enumerate(ways):
        sent = 10.0 * number
        arrived = sent + there_s + ahead_s
        offset.note(sent, arrived, arrived + 0.01, sent + there_s + 0.01 + back_s)
    quickest_s = min(there_s + back_s for there_s, back_s in ways)
    assert abs(offset.seconds - ahead_s) <= quickest_s / 2 + 1e-6


@given(sizes=st.lists(st.integers(1, 1_000_000), min_size=1, max_size=50))
def test_no_more_is_sent_than_allowed(sizes: list[int]) -> None:
    rate = 1e6
    allowance, now = Allowance(rate), 0.0
    for size in sizes:
        now += allowance.pause_s(size, now)
    assert sum(sizes) <= rate * (now + 0.1) + 1


def test_packed_pictures_come_back_as_they_were() -> None:
    pool = FramePool.create(2, SMALL.size_bytes, name="test-packed")
    pool.unlink()
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, 255, shape, dtype=np.uint8) for shape in SMALL.stored_shapes]
    pool.write(1, SMALL, planes)
    data = pool.packed(1, SMALL)
    pool.write(0, SMALL, planes)
    assert data == pool.packed(0, SMALL)
    assert data == b"".join(plane.tobytes() for plane in planes)
