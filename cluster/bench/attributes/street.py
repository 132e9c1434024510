"""Cars of a street: what a model of attributes reads of each, held against what people see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.analytics.events import EventType
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import CropAnswer, SecondaryModel
from actors.specs import StreamSpec
from cluster.bench.attributes.looking import Looked, detector_spec, look
from engines.frames import Frame
from engines.readings import Attributes
from engines.spec import ModelSpec

FILM = "videos/street_cars_input_video.mp4"
EVERY = 3
COLOR, TYPE = "color", "type"
_HEADS = {
    TYPE: ["car", "van", "truck", "bus"],
    COLOR: ["white", "gray", "yellow", "red", "green", "blue", "black"],
}
_NAME = "vehicle"

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Truth:
    """One vehicle as people see it.

    Attributes:
        last_index: Number of the frame in which it leaves the picture, or the film ends.
        color: Its colour.
        type: What it is, in the words of the model: a pickup is a truck.
    """

    last_index: int
    color: str
    type: str


TRUTH = (
    Truth(39, "white", "car"),
    Truth(96, "red", "car"),
    Truth(147, "gray", "car"),
    Truth(200, "white", "truck"),
    Truth(261, "white", "car"),
    Truth(444, "black", "car"),
    Truth(501, "black", "car"),
    Truth(735, "gray", "car"),
    Truth(903, "gray", "car"),  # parked, small and behind a pole
)
"""All vehicles that are large enough to be looked at more than once."""
_OFF = 9  # frames between when people and the tracker see one last


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """One look at one vehicle.

    Attributes:
        index: Number of the frame.
        rgb: uint8 [height, width, 3], what the model was shown.
        read: What it took it for: the likeliest label of each head.
    """

    index: int
    rgb: Rgb
    read: dict[str, str]


@dataclass(slots=True)
class Vehicle:
    """One track.

    Attributes:
        track: Its identity.
        last_index: Number of the frame in which it was last seen.
        glances: All looks, in order.
        settled: What was told as events, by head; the last word counts.
        told_at: Number of the frame in which each was told first.
    """

    track: int
    last_index: int = 0
    glances: list[Glance] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    told_at: dict[str, int] = field(default_factory=dict)


def vehicle_models(data: Path) -> list[SecondaryModel]:
    """A model of types and colours, for vehicles that are large enough."""
    model = ModelSpec.model_validate(
        {
            "name": "vehicle_attributes_0039",
            "path": data / "models" / "vehicle_attributes_0039.onnx",
            "family": "attributes",
            "heads": _HEADS,
            "input": {"width": 72, "height": 72, "color": "bgr"},
        }
    )
    classes = ("car", "truck", "bus")
    spec = SecondarySpec(name=_NAME, model=str(model.path), classes=classes, min_size_px=40)
    return [SecondaryModel(spec, model)]


def follow(data: Path) -> list[Vehicle]:
    """All vehicles that were looked at, in the order of their tracks.

    Raises:
        OSError: if the film is not there.
        ModelError: if a model cannot be used.
    """
    job = StreamSpec.model_validate({"id": "street", "url": "file:///street"})
    vehicles: dict[int, Vehicle] = {}
    for looked in look(data / FILM, detector_spec(data), vehicle_models(data), job, EVERY):
        tracked = looked.pipeline.tracked
        for track in tracked.track_id.tolist():
            vehicles.setdefault(track, Vehicle(track)).last_index = looked.index
        for track, glance in _glances(looked):
            vehicles.setdefault(track, Vehicle(track)).glances.append(glance)
        for event in looked.events:
            if event.type is EventType.ATTRIBUTE and event.track is not None:
                vehicle = vehicles[event.track]
                vehicle.settled[event.data["name"]] = event.data["values"][0]
                vehicle.told_at.setdefault(event.data["name"], looked.index)
    return [vehicles[track] for track in sorted(vehicles) if vehicles[track].glances]


def track_of(truth: Truth, vehicles: Sequence[Vehicle]) -> Vehicle | None:
    """The only track that is settled and was last seen when people saw it last."""
    found = [
        each
        for each in vehicles
        if each.settled and abs(each.last_index - truth.last_index) <= _OFF
    ]
    return found[0] if len(found) == 1 else None


def _glances(looked: Looked) -> Iterator[tuple[int, Glance]]:
    answers = [a for a in looked.result.crops if isinstance(a.readings, Attributes) and a.tracks]
    if answers:
        rgb = rgb_of(looked.frame)
        for answer in answers:
            yield from _read(answer, looked, rgb)


def _read(answer: CropAnswer, looked: Looked, rgb: Rgb) -> Iterator[tuple[int, Glance]]:
    assert isinstance(answer.readings, Attributes)  # noqa: S101
    best = [answer.readings.best(head)[0].tolist() for head in range(len(_HEADS))]
    for number, (track, row) in enumerate(zip(answer.tracks, answer.rows, strict=True)):
        left, top, right, bottom = looked.result.detections.xyxy[row].round().astype(int).tolist()
        crop = rgb[max(top, 0) : bottom, max(left, 0) : right].copy()
        labels = {
            name: _HEADS[name][values[number]] for name, values in zip(_HEADS, best, strict=True)
        }
        yield track, Glance(looked.index, crop, labels)


def rgb_of(frame: Frame) -> Rgb:
    """A frame of three planes as RGB."""
    rows, columns = frame.planes[0].shape
    planes = np.concatenate([plane.ravel() for plane in frame.planes])
    picture = VideoFrame.from_ndarray(planes.reshape(rows * 3 // 2, columns), format="yuv420p")
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
