"""A cascade in the loop of a slot: pool, batches of several cameras, crops; on a GPU and without.

Plans are built in FP32 at level 0; the environment says where no cuBLAS is to be used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import pytest

from actors.crop_messages import BEST_CROP, CropAnswer, CropRequest, SecondaryModel
from actors.inference.secondaries import MakeEngine, with_secondaries
from actors.inference.service import InferenceService
from actors.messages import FrameResult, Release, StreamQos, SubmitRequest, Ticket
from actors.pools import PoolConfig
from actors.specs import QosSpec
from engines.crops import View, frame_of
from engines.detections import Detections
from engines.engine import CropEngine
from engines.errors import DeviceError, ModelError
from engines.factory import Backend, create_crop_engine
from engines.fake import FakeEngine
from engines.frames import DeviceFrame, Frame
from engines.readings import Attributes, Pictures, Readings, Texts
from engines.spec import ModelSpec, Precision
from tests.actors.builders import eventually
from tests.actors.secondary_street import (
    DARK,
    LIGHT,
    PICTURE,
    PRIMARY,
    SIZE,
    Lanes,
    finder_model,
    found_in_lanes,
    planes_of,
    plate_model,
    shade_model,
)
from tests.actors.test_best_crops import decoded
from tests.engines.cuda_backends import ON_BOTH

STREAMS = {"gate": {0: LIGHT, 1: DARK}, "yard": {0: DARK, 2: LIGHT}}
"""Which vehicle is in which lane."""


@cache
def boxes_of(stream: str) -> Detections:
    return found_in_lanes(Frame(PICTURE, tuple(planes_of(STREAMS[stream])), *SIZE))


class Detector(FakeEngine):
    """Knows what is in each picture, for those on a GPU cannot be looked at; open or closed."""

    def __init__(self) -> None:
        super().__init__(PRIMARY)
        self.streams: Mapping[int, str] = {}

    def infer(self, frames: Sequence[Frame]) -> list[Detections]:
        return [boxes_of(self.streams[address_of(frame)]) for frame in frames]


def address_of(frame: Frame | DeviceFrame) -> int:
    return frame.address if isinstance(frame, DeviceFrame) else frame.planes[0].ctypes.data


class Slot:
    """A service with a cascade, and a pool that is written from here."""

    def __init__(self, device: int | None) -> None:
        self.make: MakeEngine = create_crop_engine
        if device is not None:
            self.make = partial(
                create_crop_engine, backend=Backend.TENSORRT, precision=Precision.FP32
            )
        self.results: list[FrameResult] = []
        self.detector = Detector()
        self.detector.load()
        pool = PoolConfig(4, PICTURE.size_bytes, name="crops", device=device)
        self.service = InferenceService(self.detector, pool, self.results.extend)
        self.lease = self.service.attach("ingest-0")
        opened = tuple(StreamQos(stream, QosSpec()) for stream in STREAMS)
        self._submit(opened=opened)
        for slot, lanes in zip(self.lease.slots, STREAMS.values(), strict=False):
            self.service._pool.write(slot, PICTURE, planes_of(lanes))
        self.detector.streams = {
            address_of(self.service._pool.read(slot, PICTURE)): stream
            for slot, stream in zip(self.lease.slots, STREAMS, strict=False)
        }
        self._thread = threading.Thread(target=self.service.run)
        self._thread.start()
        self._index = 0

    def load(self, models: Sequence[SecondaryModel], max_crops: int = 16) -> None:
        """Serve with these in the place of those before; the detector stays."""
        self.service.swap(with_secondaries(self.detector, models, max_crops, self.make)).close()

    def show(self, requests: Sequence[CropRequest]) -> dict[str, tuple[CropAnswer, ...]]:
        """A frame of each stream, after these requests; the answers by stream."""
        self.service.ask(requests)
        self._index += 1
        self.results.clear()
        slots = zip(STREAMS, self.lease.slots, strict=False)
        self._submit(tickets=tuple(self._ticket(stream, slot) for stream, slot in slots))
        eventually(lambda: len(self.results) == len(STREAMS) or self.service.failure is not None)
        assert self.service.failure is None
        return {result.stream: result.crops for result in self.results}

    def slot_of(self, frame: Frame | DeviceFrame) -> int:
        number = list(STREAMS).index(self.detector.streams[address_of(frame)])
        return self.lease.slots[number]

    def releases(self) -> tuple[Release, ...]:
        return self._submit()

    def close(self) -> None:
        self.service.close()
        self._thread.join()
        self.service._engine.close()

    def _submit(self, **fields: tuple[object, ...]) -> tuple[Release, ...]:
        request = SubmitRequest("ingest-0", self.lease.generation, **fields)
        return self.service.submit(request).releases

    def _ticket(self, stream: str, slot: int) -> Ticket:
        now = time.monotonic()
        at_s, deadline = self._index / 10, now + 120
        return Ticket(
            stream, 1, self._index, slot, PICTURE, SIZE, at_s, 1e9 + at_s, now, deadline, now
        )


def asked(secondary: str) -> list[CropRequest]:
    """For every vehicle; its track is ten times its lane."""
    requests = []
    for stream, lanes in STREAMS.items():
        for lane, box in zip(sorted(lanes), boxes_of(stream).xyxy.tolist(), strict=True):
            still = (0.0, 0.0, 0.0, 0.0)
            request = CropRequest(stream, 1, secondary, 10 * lane, 0, tuple(box), still, 1e9)
            requests.append(request)
    return requests


def read(answers: Sequence[CropAnswer], secondary: str) -> dict[int, str]:
    """What was read by track."""
    return {
        track: value
        for answer in answers
        if answer.secondary == secondary and answer.readings is not None
        for track, value in zip(answer.tracks, values(answer.readings), strict=True)
    }


def values(readings: Readings) -> list[str]:
    if isinstance(readings, Texts):
        return list(readings.text)
    assert isinstance(readings, Attributes)
    return [("dark", "light")[label] for label in readings.best()[0]]


def expected(stream: str, of: Mapping[int, str]) -> dict[int, str]:
    lanes: Lanes = STREAMS[stream]
    return {10 * lane: of[luma] for lane, luma in lanes.items()}


SHADES, PLATES = {DARK: "dark", LIGHT: "light"}, {DARK: "BA", LIGHT: "AB"}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(params=ON_BOTH)
def slot(
    request: pytest.FixtureRequest, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Slot]:
    monkeypatch.setenv("SIGHTLINE_PLAN_CACHE", str(plans))
    monkeypatch.setenv("SIGHTLINE_TENSORRT_LEVEL", "0")
    if request.param == "gpu":
        from engines.tensorrt.runtime import platform_of

        try:
            platform_of()
        except DeviceError as error:
            pytest.skip(str(error))
    made = Slot(0 if request.param == "gpu" else None)
    yield made
    made.close()


def test_crops_of_two_cameras_are_read_by_two_models_and_each_answer_finds_its_track(
    slot: Slot, tmp_path: Path
) -> None:
    slot.load([shade_model(tmp_path), plate_model(tmp_path)])
    answers = slot.show([*asked("shade"), *asked("plate")])
    for stream, given in answers.items():
        assert read(given, "shade") == expected(stream, SHADES)
        assert read(given, "plate") == expected(stream, PLATES)
        assert [answer.missed for answer in given] == [(), ()]


def test_best_crops_show_the_vehicles_that_were_asked_for(slot: Slot) -> None:
    slot.load([])
    for stream, given in slot.show(asked(BEST_CROP)).items():
        shown = {
            track: "light" if decoded(jpeg).mean() > (DARK + LIGHT) / 2 else "dark"
            for answer in given
            if isinstance(answer.readings, Pictures)
            for track, jpeg in zip(answer.tracks, answer.readings.jpegs, strict=True)
        }
        assert shown == expected(stream, SHADES)


def test_a_detector_s_best_box_in_a_crop_is_read_by_the_model_behind_it(
    slot: Slot, tmp_path: Path
) -> None:
    text = plate_model(tmp_path, after="finder", min_size_px=4)
    slot.load([finder_model(tmp_path), text])
    # The finder finds what is bright; of dark vehicles there is nothing to read.
    for stream, given in slot.show(asked("finder")).items():
        light = {t: text for t, text in expected(stream, PLATES).items() if text == "AB"}
        assert read(given, "plate") == light
        assert sorted(t for a in given if a.secondary == "finder" for t in a.tracks) == sorted(
            10 * lane for lane in STREAMS[stream]
        )


def test_models_are_swapped_between_two_batches(slot: Slot, tmp_path: Path) -> None:
    slot.load([shade_model(tmp_path)])
    assert read(slot.show(asked("shade"))["gate"], "shade") == expected("gate", SHADES)
    slot.load([plate_model(tmp_path)])
    answers = slot.show([*asked("shade"), *asked("plate")])["gate"]
    assert [answer.secondary for answer in answers] == ["plate"]
    assert read(answers, "plate") == expected("gate", PLATES)


def test_a_batch_takes_no_more_crops_than_it_may(slot: Slot, tmp_path: Path) -> None:
    slot.load([shade_model(tmp_path)], max_crops=3)
    answers = [answer for given in slot.show(asked("shade")).values() for answer in given]
    # Both frames may come in one batch, or in one each.
    assert sum(len(answer.tracks) for answer in answers) in (3, 4)
    assert sum(len(answer.tracks) + len(answer.missed) for answer in answers) == 4


def test_a_model_that_does_not_fit_leaves_the_one_that_runs(slot: Slot, tmp_path: Path) -> None:
    slot.load([shade_model(tmp_path)])
    good = plate_model(tmp_path)
    fewer = good.model.model_copy(update={"alphabet": ("A",)})
    with pytest.raises(ModelError, match="symbols") as caught:
        slot.load([SecondaryModel(good.spec, fewer)])
    assert caught.value.field == "secondaries.0.model.alphabet"
    assert read(slot.show(asked("shade"))["yard"], "shade") == expected("yard", SHADES)


class Watching:
    """An engine of crops that looks which slots are given back while it reads."""

    def __init__(self, slot: Slot, inner: CropEngine) -> None:
        self.spec, self.batch_sizes = inner.spec, inner.batch_sizes
        self.max_in_flight = inner.max_in_flight
        self.read: set[int] = set()
        self._given_back: set[int] = set()
        self._slot = slot
        self._inner = inner

    def load(self) -> None:
        self._inner.load()

    def infer(self, views: Sequence[View]) -> Readings | list[Detections]:
        readings = self._inner.infer(views)
        self._given_back |= {release.slot for release in self._slot.releases()}
        slots = {self._slot.slot_of(frame_of(view)) for view in views}
        assert not slots & self._given_back
        self.read |= slots
        return readings

    def close(self) -> None:
        self._inner.close()


def test_no_slot_is_given_back_before_its_crops_were_read(slot: Slot, tmp_path: Path) -> None:
    watching: list[Watching] = []
    make = slot.make

    def watched(model: ModelSpec) -> CropEngine:
        watching.append(Watching(slot, make(model)))
        return watching[-1]

    slot.make = watched
    slot.load([shade_model(tmp_path)])
    slot.show(asked("shade"))
    assert watching[0].read == set(slot.lease.slots[: len(STREAMS)])
