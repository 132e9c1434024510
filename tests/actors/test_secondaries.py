"""Secondary models in a slot: engine, channel and analytics, with real models of crops."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from actors.analytics.event_schema import DATA, event_schema
from actors.analytics.pipeline import StreamPipeline
from actors.channel import Channel, ChannelServer
from actors.crop_messages import CropAnswer, CropRequest, MissReason
from actors.inference.outlet import ResultOutlet
from actors.inference.secondaries import CascadeEngine, with_secondaries
from actors.messages import FrameResult
from engines.detections import Detections
from engines.errors import ModelError
from engines.fake import CostModel, FakeEngine
from engines.readings import Attributes, Embeddings, Texts
from tests.actors.builders import eventually, frame_result, stream_spec
from tests.actors.secondary_street import (
    DARK,
    LABELS,
    LIGHT,
    PRIMARY,
    MakeStreet,
    finder_model,
    found_in_lanes,
    lane_of,
    one_frame,
    plate_model,
    shade_model,
)


def test_vehicles_get_their_attribute_and_their_plate_once_each(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path), plate_model(tmp_path)])
    street.open("gate", "yard")
    street.drive({0: LIGHT, 2: DARK})
    expected = [
        ("attribute", 0, "light"),
        ("attribute", 2, "dark"),
        ("plate", 0, "AB"),
        ("plate", 2, "BA"),
    ]
    assert street.told("gate") == expected
    assert street.told("yard") == expected


def test_events_of_secondaries_keep_to_the_schema_and_say_who_read_what(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path), plate_model(tmp_path)])
    street.open("gate")
    street.drive({1: LIGHT})
    validator = Draft202012Validator(event_schema())
    for event in street.events:
        assert [e.message for e in validator.iter_errors(json.loads(event.to_json()))] == []
        assert set(event.data) == set(DATA[event.type][0].model_fields)
    shade, plate = sorted(street.events, key=lambda event: event.rule, reverse=True)
    assert (shade.rule, shade.class_name, lane_of(shade)) == ("shade", "vehicle", 1)
    assert (shade.data["name"], shade.data["previous"], shade.data["votes"]) == ("label", None, 3)
    assert (plate.rule, plate.data["text"], plate.data["votes"]) == ("plate", "AB", 3)
    assert shade.track == plate.track
    assert shade.id != plate.id


def test_a_vehicle_is_looked_at_no_more_than_it_takes(streets: MakeStreet, tmp_path: Path) -> None:
    street = streets([shade_model(tmp_path, min_votes=2)])
    street.open("gate")
    street.drive({0: LIGHT})
    answers = [answer for result in street.results for answer in result.crops]
    assert [answer.tracks for answer in answers] == [(1,), (1,)]
    assert len(street.requests) == 2


def test_without_secondaries_nothing_more_than_the_detector_is_called_and_nothing_is_told(
    streets: MakeStreet,
) -> None:
    street = streets()
    street.open("gate")
    street.drive({0: LIGHT}, last=8)
    assert street.requests == []
    assert {result.crops for result in street.results} == {()}
    assert street.detector.num_batches == 8
    assert street.events == []


def test_a_request_for_a_track_that_has_gone_is_missed_and_comes_to_nothing(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path, min_votes=1)])
    street.open("gate")
    for index in range(20):
        street.show(index, {})
        gone = CropRequest("gate", 1, "shade", 77, 0, (0, 0, 20, 20), (0, 0, 0, 0), 1e9)
        street.service.ask([gone])
    answers = [answer for result in street.results for answer in result.crops]
    assert answers
    assert {answer.missed for answer in answers} == {(77,)}
    assert street.events == []


def test_all_that_was_asked_for_is_answered_or_missed_for_a_reason(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path, min_votes=2), plate_model(tmp_path)], max_crops=2)
    street.open("gate", "yard")
    street.drive({0: LIGHT, 1: DARK, 2: LIGHT}, last=12)
    street.show(12, {})
    street.show(13, {})
    for stream in ("gate", "yard"):
        tallies = street.shard.status().streams[stream].crops
        assert set(tallies) == {"shade", "plate"}
        for tally in tallies.values():
            assert tally.num_asked == tally.num_answered + tally.missed.total()
        assert tallies["shade"].num_answered == 3 * 2
        assert tallies["shade"].missed[MissReason.LATE] > 0


def test_a_vehicle_that_has_gone_is_missed_as_absent(streets: MakeStreet, tmp_path: Path) -> None:
    street = streets([shade_model(tmp_path)])
    street.open("gate")
    street.drive({0: LIGHT}, last=3)
    street.show(3, {})
    tally = street.shard.status().streams["gate"].crops["shade"]
    assert (tally.num_asked, tally.num_answered) == (2, 1)
    assert tally.missed == {MissReason.ABSENT: 1}


def test_a_crop_of_another_object_than_the_one_asked_for_does_not_vote(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path, min_votes=1, max_rate=0.001)])
    street.open("gate")
    street.drive({0: LIGHT, 1: DARK}, last=8)
    (event,) = street.events
    last = street.results[-1]
    box = last.detections.xyxy[lane_of(event)].tolist()
    other = 3 - (event.track or 0)
    wrong = CropRequest("gate", 1, "shade", other, 0, tuple(box), (0, 0, 0, 0), last.ts)
    street.service.ask([wrong])
    street.drive({0: LIGHT, 1: DARK}, first=8, last=10)
    rows = [a.rows for r in street.results[8:] for a in r.crops if other in a.tracks]
    assert rows == [(lane_of(event),)]
    assert street.events == [event]


def test_crops_of_a_batch_are_limited_and_the_others_come_with_later_frames(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path)], max_crops=1)
    street.open("gate")
    street.drive({0: LIGHT, 1: DARK, 2: LIGHT})
    per_frame = [sum(len(answer.tracks) for answer in r.crops) for r in street.results]
    assert max(per_frame) == 1
    assert [(lane, value) for _, lane, value in street.told("gate")] == [
        (0, "light"),
        (1, "dark"),
        (2, "light"),
    ]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[CascadeEngine]:
    detector = FakeEngine(PRIMARY)
    detector.load()
    engine = with_secondaries(detector, [shade_model(tmp_path)], 8)
    assert isinstance(engine, CascadeEngine)
    yield engine
    engine.close()


FIRST = CropRequest("gate", 1, "shade", 3, 0, (0, 6, 28, 26), (0, 0, 0, 0), 1e9)
"""For the vehicle in lane 0 of the first frame."""


def looked(engine: CascadeEngine, *, is_busy: bool = False, deadline_s: float = 10.0) -> CropAnswer:
    ticket, frame, found = one_frame({0: LIGHT}, deadline_s)
    engine.ask([FIRST])
    ((answer,),) = engine.look([ticket], [frame], [found], is_busy=is_busy)
    return answer


def test_overload_drops_requests_before_it_drops_frames(engine: CascadeEngine) -> None:
    answer = looked(engine)
    assert (answer.tracks, answer.rows, answer.missed) == ((3,), (0,), ())
    for missed in (looked(engine, is_busy=True), looked(engine, deadline_s=-0.01)):
        assert (missed.tracks, missed.missed) == ((), (3,))


def test_no_crop_is_looked_at_while_frames_are_given_up_and_again_once_they_are_not(
    streets: MakeStreet, tmp_path: Path
) -> None:
    forever = shade_model(tmp_path, min_votes=900, max_looks=900, max_rate=1000)
    slow = CostModel(fixed_ms=30.0)
    street = streets([forever], cost=slow, batch_sizes=(1,), speed_px=0)
    street.open("gate")
    frames = count()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:  # three frames where one can be inferred
        street.send(next(frames), {0: LIGHT})
        time.sleep(0.01)
    late = [answer for result in street.results[-20:] for answer in result.crops]
    assert {answer.missed for answer in late} == {(1,)}
    assert {answer.tracks for answer in late} == {()}

    def is_looked_at() -> bool:
        street.show(next(frames), {0: LIGHT})
        return any(answer.tracks for answer in street.results[-1].crops)

    eventually(is_looked_at)


def test_a_request_is_answered_once_and_only_in_its_source_session(engine: CascadeEngine) -> None:
    assert looked(engine).tracks == (3,)
    ticket, frame, found = one_frame({0: LIGHT})
    assert engine.look([ticket], [frame], [found]) == [()]
    engine.ask([replace(FIRST, session=2), replace(FIRST, secondary="unknown")])
    assert engine.look([ticket], [frame], [found]) == [()]


def test_a_secondary_that_cannot_be_loaded_is_named_and_nothing_stays_open(tmp_path: Path) -> None:
    detector = FakeEngine(PRIMARY)
    detector.load()
    good, bad = shade_model(tmp_path), plate_model(tmp_path)
    wrong = replace(bad, model=bad.model.model_copy(update={"alphabet": ("A",)}))
    with pytest.raises(ModelError) as caught:
        with_secondaries(detector, [good, wrong], 8)
    assert caught.value.field == "secondaries.1.model.alphabet"
    assert "symbols" in str(caught.value)
    assert not detector.loaded


def test_requests_and_answers_cross_the_channel_of_a_slot(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path)])
    server = ChannelServer(street.shard.process, "analytics-test")
    outlet = ResultOutlet(Channel(server.address).call, street.service.ask)

    def publish(results: Sequence[FrameResult]) -> None:
        outlet.put(results)
        street.results += results

    street.service._publish = publish
    street.open("gate")
    for index in range(20):
        street.show(index, {0: LIGHT, 1: DARK})
        eventually(lambda at=index: street.ledger.row(0).read().analysed == at + 1)
    assert street.told("gate") == [("attribute", 0, "light"), ("attribute", 1, "dark")]
    outlet.close()
    server.close()


def test_secondaries_are_swapped_with_the_detector_and_tracks_stay(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([shade_model(tmp_path)])
    street.open("gate")
    street.drive({0: LIGHT}, last=10)
    plate = [plate_model(tmp_path)]
    detector = FakeEngine(PRIMARY, detect=found_in_lanes)
    detector.load()
    before = street.service.swap(with_secondaries(detector, plate, 8))
    before.close()
    street.shard.set_labels(LABELS, plate)
    street.drive({0: LIGHT}, first=10, last=20)
    assert street.told("gate") == [("attribute", 0, "light"), ("plate", 0, "AB")]
    assert len({event.track for event in street.events}) == 1


def test_what_has_settled_moves_with_the_stream_and_is_not_told_again(tmp_path: Path) -> None:
    models = [shade_model(tmp_path, min_votes=2)]
    found = Detections.of(np.array([[10, 10, 90, 60]]), np.array([0.9]), np.zeros(1))

    def analyse(pipeline: StreamPipeline, first: int, last: int) -> int:
        """Frames of a light vehicle, with an answer to all that was asked; how many events."""
        num, light = 0, Attributes((np.array([[0.1, 0.9]], np.float32),))
        for index in range(first, last):
            asked = [request.track for request in pipeline.requests]
            crops = tuple(CropAnswer("shade", (track,), (0,), light) for track in asked)
            num += len(pipeline.process(frame_result(index, found, crops=crops)) or ())
        return num

    one = StreamPipeline(stream_spec(), LABELS, secondaries=models)
    assert analyse(one, 0, 12) == 1
    other = StreamPipeline(stream_spec(), LABELS, secondaries=models)
    other.restore(one.state())
    assert analyse(other, 12, 24) == 0
    assert other.requests == []
    changed = StreamPipeline(stream_spec(), LABELS, secondaries=[plate_model(tmp_path)])
    changed.restore(one.state())
    assert analyse(changed, 12, 13) == 0
    assert [request.secondary for request in changed.requests] == ["plate"]


def test_a_secondary_detector_s_best_box_goes_to_those_that_follow_it(tmp_path: Path) -> None:
    # The finder sees the upper left cell of 32 x 32 of its input, half as wide in the crop.
    finder = finder_model(tmp_path)
    text = plate_model(tmp_path, after="finder", classes=["class_0"], min_size_px=4)
    detector = FakeEngine(PRIMARY)
    detector.load()
    engine = with_secondaries(detector, [finder, text], 8)
    assert isinstance(engine, CascadeEngine)
    ticket, frame, found = one_frame({0: LIGHT, 1: LIGHT})
    engine.ask([replace(FIRST, secondary="finder")])
    (answers,) = engine.look([ticket], [frame], [found])
    by_name = {answer.secondary: answer for answer in answers}
    assert set(by_name) == {"finder", "plate"}
    assert (by_name["finder"].tracks, by_name["finder"].readings) == ((3,), None)
    readings = by_name["plate"].readings
    assert isinstance(readings, Texts)
    assert (by_name["plate"].tracks, readings.text) == ((3,), ("AB",))
    engine.close()


@pytest.mark.parametrize(
    "readings",
    [
        Attributes((np.eye(3, dtype=np.float32), np.ones((3, 2), np.float32))),
        Texts(("a", "b", "c"), np.arange(3, dtype=np.float32)),
        Embeddings(np.eye(3, dtype=np.float32)),
    ],
    ids=lambda readings: type(readings).__name__,
)
def test_a_part_of_an_answer_has_the_readings_of_its_tracks(readings: Any) -> None:
    whole = pickle.loads(pickle.dumps(CropAnswer("a", (5, 6, 7), (0, 1, 2), readings, (9,))))
    part = whole.part([2, 0])
    assert (part.tracks, part.rows, part.missed, len(part.readings)) == ((7, 5), (2, 0), (), 2)
    assert part.part([0]).tracks == (7,)
    assert np.array_equal(_first(part.readings), _first(readings)[[2, 0]])


def _first(readings: Any) -> Any:
    if isinstance(readings, Attributes):
        return readings.probabilities[0]
    return readings.confidence if isinstance(readings, Texts) else readings.vectors
