"""The best sight of an object comes with its summary, as a small JPEG, where the stream asks."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from actors.analytics.best_crops import AGAIN_S, MAX_RATE, MAX_TRACKS, BestCrops
from actors.analytics.event_schema import event_schema
from actors.analytics.events import Event, EventType, Phase
from actors.analytics.pipeline import StreamPipeline
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import BEST_CROP, CropAnswer
from actors.inference.portraits import MAX_BYTES, MAX_PX, jpeg_of
from actors.rule_specs import ObjectRule
from engines.crops import Crop
from engines.detections import Detections
from engines.frames import ColorMatrix, Frame, Picture
from engines.readings import Pictures
from tests.actors.builders import detections, frame_result, stream_spec
from tests.actors.secondary_street import DARK, LABELS, LIGHT, MakeStreet, shade_model

RULES = [ObjectRule(name="any", summary=True)]
FPS = 10.0


def decoded(jpeg: bytes) -> np.ndarray:
    with av.open(BytesIO(jpeg), format="jpeg_pipe") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def frame_of(rgb: np.ndarray, matrix: ColorMatrix = ColorMatrix.BT709) -> Frame:
    """A picture of a colour a plane, as limited range."""
    height, width, _ = rgb.shape
    standard = {ColorMatrix.BT709: 1, ColorMatrix.BT601: 5}[matrix]
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=standard, dst_color_range=1
    )
    planes = frame.to_ndarray().ravel()
    picture = Picture(width, height, matrix)
    ends = np.cumsum([rows * columns for rows, columns in picture.plane_shapes])[:-1]
    parts = zip(np.split(planes, ends), picture.plane_shapes, strict=True)
    return Frame(picture, tuple(part.reshape(shape) for part, shape in parts), width, height)


@pytest.mark.parametrize("matrix", list(ColorMatrix))
def test_a_crop_shows_what_is_there_in_its_colours(matrix: ColorMatrix) -> None:
    rgb = np.full((240, 320, 3), (40, 80, 160), np.uint8)
    rgb[60:160, 100:200] = (200, 40, 30)
    frame = frame_of(rgb, matrix)
    inside = decoded(jpeg_of(Crop(frame, (100.0, 60.0, 200.0, 160.0)), frame))
    assert inside.shape == (100, 100, 3)
    np.testing.assert_allclose(inside[20:80, 20:80].mean(axis=(0, 1)), (200, 40, 30), atol=6)
    outside = decoded(jpeg_of(Crop(frame, (0.0, 0.0, 80.0, 50.0)), frame))
    np.testing.assert_allclose(outside.mean(axis=(0, 1)), (40, 80, 160), atol=6)


@pytest.mark.parametrize("size", [(2, 2), (3, 200), (640, 480), (1920, 1080), (1919, 7)])
def test_whatever_is_cut_is_bounded_in_pixels_and_bytes(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3)).astype(np.uint8)
    frame = frame_of(noise)
    jpeg = jpeg_of(Crop(frame, (1.0, 0.0, float(size[0]), float(size[1]))), frame)
    assert 0 < len(jpeg) <= MAX_BYTES
    assert max(decoded(jpeg).shape[:2]) <= MAX_PX


def test_a_pool_that_keeps_smaller_pictures_gives_the_same_part() -> None:
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[:, 80:] = 255
    small = frame_of(rgb)
    frame = Frame(small.picture, small.planes, 1600, 1200)
    half = decoded(jpeg_of(Crop(frame, (800.0, 0.0, 1600.0, 1200.0)), frame))
    assert half.shape[:2] == (120, 80)
    assert half.mean() > 250


def seen(*sizes_px: float, confidence: float = 0.9) -> Detections:
    boxes = np.array([[200.0 * n, 0, 200.0 * n + size, size] for n, size in enumerate(sizes_px)])
    num = len(sizes_px)
    return Detections.of(boxes, np.full(num, confidence), np.zeros(num), np.arange(num) + 1)


def asked(wanted: Detections) -> list[int]:
    return [int(track) for track in wanted.track_id]


def test_a_track_is_asked_for_again_when_it_looks_clearly_better() -> None:
    best, first = BestCrops(), seen(40)
    assert asked(best.due(first, 0.0)) == [1]
    best.take([1], [b"a"], first)
    assert asked(best.due(seen(44), 1.0)) == []
    assert asked(best.due(seen(60, confidence=0.4), 2.0)) == []
    assert asked(best.due(seen(60), 3.0)) == [1]
    best.take([1], [b"b"], seen(60))
    best.take([1], [b"c"], seen(50))
    assert best.of(1) == b"b"
    best.forget([1])
    assert best.of(1) == b""


def test_crops_are_bounded_in_rate_by_track_and_stream_and_in_number() -> None:
    best, num, last = BestCrops(), 0, dict[int, float]()
    for n in range(200):
        crowd = seen(*[30.0 * 1.05**n] * 100)
        for track in asked(best.due(crowd, n / 20)):
            assert n / 20 - last.get(track, -9.0) >= AGAIN_S
            last[track], num = n / 20, num + 1
            best.take([track], [b"x"], crowd)
    assert num <= MAX_RATE * 11
    assert len(best) <= MAX_TRACKS


def test_what_is_too_small_is_not_asked_for() -> None:
    assert asked(BestCrops().due(seen(10), 0.0)) == []


def analyse(pipeline: StreamPipeline, numbers: range, width: Callable[[int], float]) -> list[Event]:
    """A vehicle that comes near; each crop that is asked for is there, and says its frame."""
    events: list[Event] = []
    for n in numbers:
        found = detections([(300.0, 300.0)], (width(n), width(n)), class_id=0)
        wanted = [each.track for each in pipeline.requests if each.secondary == BEST_CROP]
        jpegs = tuple(f"frame {n}".encode() for _ in wanted)
        rows = (0,) * len(wanted)
        crops = (CropAnswer(BEST_CROP, tuple(wanted), rows, Pictures(jpegs)),) if wanted else ()
        events += pipeline.process(frame_result(n, found, fps=FPS, crops=crops)) or []
    return events


def test_the_summary_has_the_largest_sight_and_says_so_in_its_schema() -> None:
    pipeline = StreamPipeline(stream_spec(rules=RULES, best_crop=True), LABELS)
    analyse(pipeline, range(60), lambda n: 40.0 + 100 * np.sin(n / 60 * np.pi))
    (end,) = pipeline.close()
    assert (end.type, end.phase) == (EventType.OBJECT, Phase.END)
    told = int(b64decode(end.data["best_crop"]).decode().split()[1])
    assert abs(told - 30) <= 12
    validator = Draft202012Validator(event_schema())
    assert [e.message for e in validator.iter_errors(json.loads(end.to_json()))] == []


def test_without_the_option_nothing_is_asked_for_and_it_can_be_switched_while_it_runs() -> None:
    pipeline = StreamPipeline(stream_spec(rules=RULES), LABELS)
    analyse(pipeline, range(10), lambda _: 50.0)
    assert pipeline.requests == []
    pipeline.replace_spec(stream_spec(rules=RULES, best_crop=True))
    analyse(pipeline, range(10, 20), lambda _: 50.0)
    on = pipeline.state()
    pipeline.replace_spec(stream_spec(rules=RULES))
    analyse(pipeline, range(20, 30), lambda n: 50.0 + 10 * n)
    assert pipeline.requests == []
    assert all("best_crop" not in event.data for event in pipeline.close())
    other = StreamPipeline(stream_spec(rules=RULES, best_crop=True), LABELS)
    other.restore(on)
    analyse(other, range(20, 30), lambda _: 50.0)
    (end,) = other.close()
    assert b64decode(end.data["best_crop"]) == b"frame 21"


def test_crops_do_not_move_so_that_a_state_stays_small() -> None:
    pipeline = StreamPipeline(stream_spec(rules=RULES, best_crop=True), LABELS)
    analyse(pipeline, range(10), lambda _: 50.0)
    assert b"frame" not in pipeline.state()
    without = StreamPipeline(stream_spec(rules=RULES), LABELS)
    analyse(without, range(10), lambda _: 50.0)
    assert len(pipeline.state()) < len(without.state()) + 100


def test_no_secondary_model_of_a_user_can_have_the_name_of_best_crops() -> None:
    with pytest.raises(ValidationError):
        SecondarySpec(name=BEST_CROP, model="m.yaml")


@pytest.mark.parametrize("with_model", [False, True])
def test_a_crop_of_the_engine_s_picture_comes_with_the_summary_and_not_with_the_status(
    streets: MakeStreet, tmp_path: Path, with_model: bool
) -> None:
    street = streets([shade_model(tmp_path)] if with_model else [])
    street.open("gate", rules=RULES, best_crop=True)
    street.drive({0: LIGHT, 2: DARK}, last=8)
    street.shard.close_stream("gate")
    ends = [e for e in street.events if e.type is EventType.OBJECT and e.phase is Phase.END]
    shades = sorted(decoded(b64decode(e.data["best_crop"])).mean() for e in ends)
    assert len(shades) == 2
    assert shades[0] < 160 < shades[1]


def test_the_last_event_of_a_status_has_no_picture(streets: MakeStreet) -> None:
    street = streets()
    street.open("gate", rules=RULES, best_crop=True)
    street.drive({0: LIGHT}, last=8)
    for n in range(8, 30):
        street.show(n, {})
    last = street.shard.status().streams["gate"].last_event
    assert last is not None
    assert last.phase is Phase.END
    assert "best_crop" not in last.data
    assert street.events[-1].data["best_crop"]
