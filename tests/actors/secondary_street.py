"""A street of lanes, two tiny models that look at its vehicles, and engine and analytics for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actors.analytics.events import Event
from actors.analytics.shard import AnalyticsShard
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import CropRequest, SecondaryModel
from actors.inference.secondaries import with_secondaries
from actors.inference.service import InferenceService, PoolConfig
from actors.ledger import Ledger
from actors.messages import Assignment, FrameResult, StreamQos, SubmitRequest, Ticket
from actors.sinks import SinkStatus
from actors.specs import QosSpec
from engines.detections import Detections
from engines.fake import FAKE_SPEC, CostModel, FakeEngine
from engines.frames import Frame, FramePool, Picture
from engines.spec import ModelSpec
from tests.actors.builders import eventually, stream_spec
from tests.engines.answering import answering_model, spec_of
from tests.engines.builders import tiny_spec, tiny_yolox, write_model

SIZE = (160, 96)
PICTURE = Picture(*SIZE, full_range=True)
LANE_PX = 32
VEHICLE_PX = (28, 20)
DARK, LIGHT = 120, 235
ROAD = 20
FPS = 10.0
LABELS = ("vehicle",)
PRIMARY = FAKE_SPEC.model_copy(update={"labels": LABELS})

Lanes = Mapping[int, int]
"""Brightness of the vehicle in each lane, by lane from 0."""


def found_in_lanes(frame: Frame, _index: int = 0) -> Detections:
    """A box around what is not road in each lane."""
    boxes = []
    for top in range(0, SIZE[1], LANE_PX):
        seen = frame.planes[0][top : top + LANE_PX] > (ROAD + DARK) / 2
        columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
        if len(columns):
            boxes.append([columns[0], top + rows[0], columns[-1] + 1, top + rows[-1] + 1])
    xyxy = np.array(boxes, float).reshape(-1, 4)
    return Detections.of(xyxy, np.full(len(boxes), 0.9), np.zeros(len(boxes)))


def planes_of(lanes: Lanes, left_px: int = 0) -> list[np.ndarray]:
    """All vehicles have come so far from the left."""
    planes = [np.full(shape, 128, np.uint8) for shape in PICTURE.plane_shapes]
    planes[0][:] = ROAD
    for lane, luma in lanes.items():
        top = LANE_PX * lane + 6
        planes[0][top : top + VEHICLE_PX[1], left_px : left_px + VEHICLE_PX[0]] = luma
    return planes


def shade_model(folder: Path, **fields: object) -> SecondaryModel:
    """A classifier that tells light vehicles from dark ones."""
    answer = np.array([0, -90], np.float32), np.array([0, 0.5], np.float32)
    path = write_model(folder / "shade.onnx", answering_model({"shade": answer}))
    labels = {"labels": ["dark", "light"], "activation": "softmax"}
    return _secondary("shade", spec_of(path, "classifier", **labels), fields)


def plate_model(folder: Path, **fields: object) -> SecondaryModel:
    """Reads AB of light vehicles and BA of dark ones."""
    start = np.array([[-90, 90, -200], [-200, -200, 200], [90, -90, -200]], np.float32)
    slope = np.array([[0.5, -0.5, 0], [0, 0, 0], [-0.5, 0.5, 0]], np.float32)
    path = write_model(folder / "plate.onnx", answering_model({"text": (start, slope)}))
    spec = spec_of(path, "ctc", alphabet="AB", activation="softmax")
    return _secondary("plate", spec, fields)


def embedding_model(folder: Path, **fields: object) -> SecondaryModel:
    """Light vehicles and dark ones point into nearly opposite directions."""
    start, slope = np.array([-180, 30], np.float32), np.array([1, 0], np.float32)
    path = write_model(folder / "looks.onnx", answering_model({"looks": (start, slope)}))
    unit = {"width": 64, "height": 64, "mean": [0, 0, 0], "std": [1, 1, 1]}
    return _secondary("looks", spec_of(path, "embedding", input=unit), fields)


def finder_model(folder: Path, **fields: object) -> SecondaryModel:
    """A detector that finds what is bright in a crop."""
    path = write_model(folder / "finder.onnx", tiny_yolox())
    return _secondary("finder", tiny_spec(path), fields)


class Street:
    """Engine with secondary models and analytics, joined without processes between them.

    Args:
        secondaries: The models.
        max_crops: See ``CascadeEngine``.
        cost: Of a batch of the detector.
        batch_sizes: Of the detector.
        speed_px: How far vehicles drive in a frame.

    Attributes:
        events: What came of it.
        results: What the engine has told analytics.
        requests: What analytics has asked the engine for.
    """

    def __init__(
        self,
        secondaries: Sequence[SecondaryModel] = (),
        *,
        max_crops: int = 8,
        cost: CostModel | None = None,
        batch_sizes: tuple[int, ...] = (1, 2, 4, 8),
        speed_px: int = 4,
    ) -> None:
        self._speed_px = speed_px
        self.events: list[Event] = []
        self.results: list[FrameResult] = []
        self.requests: list[CropRequest] = []
        self.detector = FakeEngine(
            PRIMARY, detect=found_in_lanes, cost=cost, batch_sizes=batch_sizes
        )
        self.detector.load()
        self.engine = with_secondaries(self.detector, secondaries, max_crops)
        self.ledger = Ledger.create(8)
        self.shard = AnalyticsShard(self.ledger, [_Kept(self.events)], "slot-1", LABELS)
        self.shard.set_labels(LABELS, secondaries)
        pool = PoolConfig(num_slots=16, slot_bytes=PICTURE.size_bytes, max_ingests=1, name="street")
        self.service = InferenceService(self.engine, pool, self.publish)
        self._lease = self.service.attach("ingest-0")
        self._pool = FramePool.attach(self._lease.layout)
        self._thread = threading.Thread(target=self.service.run)
        self._thread.start()
        self._streams: list[str] = []

    def publish(self, results: Sequence[FrameResult]) -> None:
        """As outlet and channel do it."""
        self.results += results
        requests = self.shard.process(results)
        self.requests += requests
        if requests:
            self.service.ask(requests)

    def open(self, *streams: str, **fields: Any) -> None:
        for stream in streams:
            row = len(self._streams)
            self.shard.open_stream(Assignment(stream_spec(stream=stream, **fields), 1, row, 1))
            self._streams.append(stream)
        opened = tuple(StreamQos(stream, QosSpec()) for stream in streams)
        self.service.submit(SubmitRequest("ingest-0", self._lease.generation, opened=opened))

    def show(self, index: int, lanes: Lanes, *, deadline_s: float = 120.0) -> None:
        """One frame of each stream, all with the same picture; returns when they are analysed."""
        target = len(self.results) + len(self._streams)
        self.send(index, lanes, deadline_s=deadline_s)
        eventually(
            lambda: len(self.results) >= target or self.service.failure is not None, timeout_s=60.0
        )

    def send(self, index: int, lanes: Lanes, *, deadline_s: float = 120.0) -> None:
        """The same, without waiting."""
        tickets = []
        for number, stream in enumerate(self._streams):
            slot = self._lease.slots[(index * len(self._streams) + number) % 16]
            self._pool.write(slot, PICTURE, planes_of(lanes, self._speed_px * index))
            tickets.append(self._ticket(stream, index, slot, deadline_s))
        request = SubmitRequest("ingest-0", self._lease.generation, tuple(tickets))
        self.service.submit(request)

    def drive(self, lanes: Lanes, first: int = 0, last: int = 20) -> None:
        for index in range(first, last):
            self.show(index, lanes)

    def told(self, stream: str) -> list[tuple[str, int, str]]:
        """Of each event the type, the lane of the vehicle, and what has settled, sorted."""
        return sorted(
            (event.type.value, lane_of(event), event.data.get("text") or event.data["values"][0])
            for event in self.events
            if event.stream == stream
        )

    def close(self) -> None:
        self.service.close()
        self._thread.join()
        self.engine.close()
        self.shard.close()
        self.ledger.unlink()

    def _ticket(self, stream: str, index: int, slot: int, deadline_s: float) -> Ticket:
        now, at_s = time.monotonic(), index / FPS
        deadline, ts = now + deadline_s, 1e9 + at_s
        return Ticket(stream, 1, index, slot, PICTURE, SIZE, at_s, ts, now, deadline, now)


MakeStreet = Callable[..., Street]
"""A street, which is closed with the test."""


def one_frame(lanes: Lanes, deadline_s: float = 120.0) -> tuple[Ticket, Frame, Detections]:
    """The first frame of stream ``gate``, its picture and what is found in it."""
    now = time.monotonic()
    ticket = Ticket("gate", 1, 0, 0, PICTURE, SIZE, 0.0, 1e9, now, now + deadline_s, now)
    frame = Frame(PICTURE, tuple(planes_of(lanes)), *SIZE)
    return ticket, frame, found_in_lanes(frame)


def lane_of(event: Event) -> int:
    """Where the object of an event is."""
    assert event.box is not None
    return int(event.box[1]) // LANE_PX


def _secondary(name: str, model: ModelSpec, fields: Mapping[str, object]) -> SecondaryModel:
    given = {"name": name, "model": str(model.path), "min_size_px": 12, "again_s": 0, **fields}
    return SecondaryModel(SecondarySpec.model_validate(given), model)


class _Kept:
    """A sink that keeps events."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def write(self, events: Sequence[Event]) -> None:
        self._events += events

    def flush(self, timeout_s: float) -> bool:
        return True

    def status(self) -> SinkStatus:
        return SinkStatus("kept", num_written=len(self._events))

    def close(self, timeout_s: float = 2.0) -> None:
        pass
