"""A slot on a GPU, in one process, with host memory in the place of the GPU's."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from av.video.frame import VideoFrame

from actors.errors import StaleGenerationError
from actors.inference.service import InferenceService
from actors.ingest.config import IngestConfig
from actors.ingest.decoder import Decoded
from actors.ingest.delivery import Arrival, Delivery, FramePolicy
from actors.ingest.fleet import Ingest
from actors.ingest.lane import Lane
from actors.ingest.outbox import Outbox
from actors.ingest.session import DEVICE_LOST
from actors.ledger import Ledger
from actors.messages import Assignment, DropReason, PoolLease, SubmitReply, SubmitRequest
from actors.pools import PoolConfig, attach_pool, create_pool
from cluster.demo.rtsp.pattern import write_pattern
from engines.cuda.pool import DevicePool
from engines.cuda.stand_in import HostMemory
from engines.detections import Detections
from engines.errors import DeviceError
from engines.fake import FakeEngine
from engines.frames import Chroma, DeviceFrame, FramePool, Picture
from tests.actors.builders import eventually, stream_spec

POOL = PoolConfig(8, Picture(128, 96).size_bytes, name="test-device", device=0)
NO_GPU = "a stand-in has no decoder"
CONFIG = IngestConfig(attach_retry_s=0.01, poll_interval_s=0.01, decoder="nvdec")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch) -> None:
    """No picture is on a GPU, even where there is one: the stand-in could not read it."""
    monkeypatch.setattr("engines.cuda.pool._cuda_memory", lambda: HostMemory)
    monkeypatch.setattr("actors.ingest.nvdec.nvdec_fault", lambda: NO_GPU)


class Slot:
    """An ingest actor and its engines, one after the other, as the actors hold them."""

    def __init__(self) -> None:
        self.seen: list[tuple[DeviceFrame, np.ndarray]] = []
        self.service: InferenceService | None = None
        self.ledger = Ledger.create(1)
        self.ingest = Ingest("ingest", self.ledger, self, CONFIG)

    def start(self) -> None:
        engine = FakeEngine(detect=self._look)
        engine.load()
        service = InferenceService(engine, POOL, lambda _: None)
        threading.Thread(target=service.run, daemon=True).start()
        self.service = service

    def kill(self) -> None:
        service, self.service = self.service, None
        if service is not None:
            service.close()

    def attach(self, ingest: str) -> PoolLease:
        return self._ready().attach(ingest)

    def submit(self, request: SubmitRequest) -> SubmitReply:
        return self._ready().submit(request)

    def close(self) -> None:
        self.ingest.stop()
        self.kill()
        self.ledger.unlink()

    def _ready(self) -> InferenceService:
        if self.service is None:
            raise ConnectionError("the engine is away")
        return self.service

    def _look(self, frame: DeviceFrame, _index: int) -> Detections:
        size = frame.picture.width * frame.picture.height
        luma = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(frame.address))
        self.seen.append((frame, luma.copy()))
        return Detections.empty()


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot()
    yield slot
    slot.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("device") / "clip.mp4"
    write_pattern(path, width=128, height=96, seconds=1.0)
    return path.as_uri()


def open_stream(slot: Slot, url: str) -> None:
    spec = stream_spec(stream="a", url=url, loop=True)
    slot.ingest.open_stream(Assignment(spec, 1, 0, 1))


def test_pools_are_made_and_opened_where_their_layout_says():
    on_device = create_pool(POOL)
    on_host = create_pool(PoolConfig(2, 64, name="test-device"))
    try:
        assert isinstance(attach_pool(on_device.layout), DevicePool)
        assert isinstance(attach_pool(on_host.layout), FramePool)
        assert (on_device.layout.device, on_host.layout.device) == (0, None)
    finally:
        on_device.unlink()
        on_host.unlink()


def test_pictures_of_the_cpu_reach_the_engine_through_memory_of_the_device(slot, url):
    slot.start()
    open_stream(slot, url)
    eventually(lambda: len(slot.seen) > 5)
    frame, luma = slot.seen[-1]
    assert isinstance(frame, DeviceFrame)
    assert (frame.picture.width, frame.picture.height) == (128, 96)
    assert frame.picture.chroma is Chroma.PLANAR
    assert np.ptp(luma) > 100


def test_a_stream_says_what_decodes_it_and_why_that_is_not_the_gpu(slot, url):
    slot.start()
    open_stream(slot, url)
    eventually(lambda: bool(slot.seen))
    properties = slot.ingest.status().streams[0].properties
    assert properties is not None
    assert (properties.decoder, properties.fallback) == ("cpu", NO_GPU)


def test_an_engine_that_dies_loses_the_pool_and_no_camera(slot, url):
    slot.start()
    open_stream(slot, url)
    eventually(lambda: bool(slot.seen))
    session = slot.ingest.status().streams[0].session
    for _ in range(2):
        slot.kill()
        eventually(lambda: not slot.ingest.status().is_attached)
        slot.seen.clear()
        slot.start()
        eventually(lambda: len(slot.seen) > 2)
    assert slot.ingest.status().streams[0].session == session
    assert slot.ledger.row(0).read().reconnects == 0


def test_a_ticket_for_the_pool_of_a_dead_engine_is_refused(slot):
    slot.start()
    lease = slot.attach("ingest-x")
    slot.kill()
    slot.start()
    with pytest.raises(StaleGenerationError):
        slot.submit(SubmitRequest("ingest-x", lease.generation))


@pytest.mark.parametrize("works", [True, False])
def test_a_failed_copy_loses_one_frame_and_the_session_only_where_the_gpu_is_lost(
    slot, url, works, monkeypatch
):
    monkeypatch.setattr("actors.ingest.delivery.device_works", lambda: works)
    monkeypatch.setattr("actors.ingest.session.device_works", lambda: works)
    slot.start()
    open_stream(slot, url)
    eventually(lambda: bool(slot.seen))

    def refuse(*_: object) -> None:
        raise DeviceError("an illegal memory access was encountered")

    monkeypatch.setattr(HostMemory, "begin_write", refuse)
    row = slot.ledger.row(0)
    eventually(lambda: row.read().dropped[DropReason.LOST] > 0)
    if works:
        time.sleep(0.1)
        assert not slot.ingest.has_lost_device()
        assert slot.ingest.status().streams[0].state.value == "running"
    else:
        eventually(slot.ingest.has_lost_device)
        assert slot.ingest.status().streams[0].reason == DEVICE_LOST


def test_copies_that_never_arrive_lose_their_frames_and_no_camera(slot, url, monkeypatch):
    slot.start()
    open_stream(slot, url)
    eventually(lambda: bool(slot.seen))

    def fail(_: HostMemory) -> None:
        raise DeviceError("an illegal memory access was encountered")

    row = slot.ledger.row(0)
    with monkeypatch.context() as broken:
        broken.setattr(HostMemory, "finish_writes", fail)
        eventually(lambda: row.read().dropped[DropReason.LOST] > 0)
    num_inferred = row.read().inferred
    eventually(lambda: row.read().inferred > num_inferred)
    assert row.read().reconnects == 0


def test_a_camera_never_has_more_than_one_picture_for_whose_copy_nobody_has_waited():
    pool = create_pool(POOL)
    ledger, outbox = Ledger.create(1), Outbox(max_waiting=4)
    ledger.unlink()
    outbox.adopt(pool, PoolLease(pool.layout, range(POOL.num_slots), 1))
    delivery = Delivery(1, Lane("a", ledger.row(0)), outbox, 0.0)
    kept = []
    for index in range(4):
        frame = VideoFrame(128, 96, "yuv420p")
        delivery.deliver(Decoded(frame, index / 25, False), Arrival(0.0, 0.0), FramePolicy(None, 1))
        kept.append(delivery._begun)
        assert [bool(each) for each in kept] == [False] * index + [True]
    delivery.finish()
    assert not any(kept)
    pool.unlink()


def test_a_gpu_without_room_for_the_pool_says_so(monkeypatch):
    monkeypatch.setattr(HostMemory, "max_bytes", 1000)
    with pytest.raises(DeviceError, match=r"lower pool\.num_slots"):
        create_pool(POOL)
