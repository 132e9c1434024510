"""Detector, crops asked ahead, attributes and events together, on a street with counted cars."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

import pytest

from actors.analytics.events import Event, EventType
from actors.analytics.pipeline import StreamPipeline
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import SecondaryModel
from actors.inference.secondaries import CascadeEngine, with_secondaries
from actors.messages import FrameResult, Ticket
from engines.factory import create_crop_engine
from engines.inspection import load_spec
from engines.onnxruntime import OnnxRuntimeEngine
from tests.actors.builders import stream_spec
from tests.actors.test_cascade_footage import FPS, HEADS, LEFT_AT
from tests.engines import footage
from tests.engines.footage import DATA, MODELS, VIDEOS, frame_of, pictures

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.exists(), reason="shared/data is absent"),
]


def test_the_cars_of_a_street_are_told_once_each_though_crops_are_asked_for_a_frame_ahead() -> None:
    # Over the whole film: seven of eight, the same as with crops of the frame itself, in 40 looks.
    primary = load_spec(MODELS / "yolox_nano_dyn.onnx").model_copy(update={"confidence": 0.1})
    attributes = footage.spec(
        "attributes",
        "vehicle_attributes_0039.onnx",
        heads=HEADS,
        input={"width": 72, "height": 72, "color": "bgr"},
    )
    vehicles = ("car", "truck", "bus")
    spec = SecondarySpec(name="vehicle", model="v.yaml", classes=vehicles, min_size_px=40)
    detector = OnnxRuntimeEngine(primary, num_threads=2)
    detector.load()
    models = [SecondaryModel(spec, attributes)]
    engine = with_secondaries(detector, models, 8, partial(create_crop_engine, num_threads=2))
    assert isinstance(engine, CascadeEngine)
    pipeline = StreamPipeline(stream_spec(), primary.labels, secondaries=models)
    events: list[Event] = []
    last_seen: dict[int, int] = {}
    looks: Counter[str] = Counter()
    for index, decoded in pictures(VIDEOS / "street_cars_input_video.mp4", range(0, 222, 3)):
        frame = frame_of(decoded)
        now, at_s = time.monotonic(), index / FPS
        size = frame.source_width, frame.source_height
        ticket = Ticket(
            "gate", 1, index, 0, frame.picture, size, at_s, 1e9 + at_s, at_s, now + 9, now
        )
        (found,) = engine.infer([frame])
        (crops,) = engine.look([ticket], [frame], [found])
        looks.update(
            read=sum(len(a.tracks) for a in crops), missed=sum(len(a.missed) for a in crops)
        )
        events += pipeline.process(FrameResult.of(ticket, found, crops, primary.name, now)) or []
        engine.ask(pipeline.requests)
        last_seen |= dict.fromkeys(pipeline.tracked.track_id.tolist(), index)
    engine.close()
    assert {event.type for event in events} == {EventType.ATTRIBUTE}
    told = {(e.track, e.data["name"]): e.data["values"][0] for e in events}
    assert len(told) == len(events)
    left = [(at, color) for at, color in LEFT_AT.items() if at < 222]
    gone = [[t for t, last in last_seen.items() if abs(last - at) <= 9] for at, _ in left]
    colors = [[told[t, "color"] for t in some if (t, "color") in told] for some in gone]
    assert colors == [[color] for _, color in left]
    assert looks["missed"] <= looks["read"] <= 25
