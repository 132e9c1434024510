"""One stream's analytics: frames in, events out, whatever sessions, specs and clocks do."""

from __future__ import annotations

import pytest

from actors.analytics.events import Event, EventType, Phase
from actors.analytics.motion_clock import MotionClock
from actors.analytics.pipeline import StreamPipeline
from actors.messages import FrameResult
from engines.detections import Detections
from tests.actors.builders import CAR, LABELS, detections, frame_result, stream_spec

LINE = {"name": "line", "kind": "line", "points": [[0.5, 0.0], [0.5, 1.0]]}
ZONE = {
    "name": "yard",
    "kind": "zone",
    "points": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]],
}


def drive(first: int = 0, last: int = 40, **fields: object) -> list[FrameResult]:
    """A car that goes right by 10 px a frame; its foot is on x = 320 at frame 20."""
    return [
        frame_result(n, detections([(120 + 10 * n, 200)]), **fields)  # type: ignore[arg-type]
        for n in range(first, last)
    ]


def analyse(pipeline: StreamPipeline, results: list[FrameResult]) -> list[Event]:
    return [event for result in results for event in pipeline.process(result) or []]


def test_a_drive_gives_events_with_all_that_is_known():
    pipeline = StreamPipeline(stream_spec(LINE, labels={"site": "n"}), LABELS, "slot-1")
    (crossing,) = analyse(pipeline, drive())
    assert crossing.type is EventType.LINE_CROSS
    assert (crossing.stream, crossing.rule, crossing.track) == ("gate", "line", 1)
    assert (crossing.class_name, crossing.confidence) == ("car", 0.9)
    assert (crossing.model, crossing.slot, crossing.labels) == ("toy", "slot-1", {"site": "n"})
    assert crossing.ts == 1_700_000_002_000
    assert crossing.pts == pytest.approx(2.0)
    assert crossing.box is not None
    assert (crossing.box[0] + crossing.box[2]) / 2 > 320


def test_replaying_gives_the_same_events():
    spec = stream_spec(LINE, ZONE)
    runs = [analyse(StreamPipeline(spec, LABELS), drive()) for _ in range(2)]
    assert [e.to_json() for e in runs[0]] == [e.to_json() for e in runs[1]]
    assert len(runs[0]) == 2


def test_an_object_whose_class_has_no_label_is_called_by_its_number():
    (crossing,) = analyse(StreamPipeline(stream_spec(LINE), ()), drive())
    assert crossing.class_name == str(CAR)


def test_tracked_detections_are_those_of_the_last_frame():
    pipeline = StreamPipeline(stream_spec(), LABELS)
    analyse(pipeline, drive(0, 3))
    assert pipeline.tracked.track_id.tolist() == [1]


def test_late_and_repeated_frames_are_refused_and_counted():
    pipeline = StreamPipeline(stream_spec(LINE), LABELS)
    results = drive()
    analyse(pipeline, results[:10])
    assert pipeline.process(results[9]) is None
    assert pipeline.process(results[3]) is None
    assert pipeline.num_late == 2
    assert len(analyse(pipeline, results[10:])) == 1


def test_a_new_session_ends_what_is_open_and_starts_afresh():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    first = analyse(pipeline, drive())
    again = [
        frame_result(n, detections([(400, 200)]), session=2, arrival=600.0 + n, ts=1_700_000_100.0)
        for n in range(2)
    ]
    ended, entered = analyse(pipeline, again)
    assert (ended.phase, ended.data["reason"]) == (Phase.END, "session_ended")
    assert ended.data["begin_id"] == first[0].id
    assert ended.ts == round(drive()[-1].ts * 1000)
    assert (entered.phase, entered.track) == (Phase.BEGIN, 1)
    assert entered.id != first[0].id


def test_a_session_whose_number_started_again_is_a_new_one_with_other_ids():
    pipeline = StreamPipeline(stream_spec(LINE), LABELS)
    before = analyse(pipeline, drive(session=3))
    later = [
        frame_result(r.index, r.detections, session=0, arrival=r.arrival + 90, ts=r.ts + 90)
        for r in drive()
    ]
    after = analyse(pipeline, later)
    assert pipeline.num_late == 0
    assert [e.track for e in before + after] == [1, 1]
    assert before[0].id != after[0].id
    same_number = analyse(StreamPipeline(stream_spec(LINE), LABELS), later)
    assert same_number[0].id == after[0].id


def test_a_frame_of_the_session_before_is_late():
    pipeline = StreamPipeline(stream_spec(), LABELS)
    pipeline.process(frame_result(0, Detections.empty(), session=2, arrival=600.0))
    assert pipeline.process(frame_result(9, Detections.empty(), session=1)) is None
    assert pipeline.num_late == 1


def test_another_size_of_the_picture_starts_afresh():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    entered = analyse(pipeline, drive())
    (ended,) = analyse(pipeline, drive(40, 41, source_size=(1280, 720)))
    assert ended.data == {
        "reason": "session_ended",
        "begin_id": entered[0].id,
        "duration_s": 1.9,
    }
    assert len(pipeline.tracked) == 0


def test_changed_rules_keep_tracks_and_the_state_of_rules_that_stay():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    (entered,) = analyse(pipeline, drive(0, 30))
    assert pipeline.replace_spec(stream_spec(LINE, ZONE, labels={"new": "1"})) == []
    back = [
        frame_result(n, detections([(410 - 10 * (n - 30), 200)]), fps=10.0) for n in range(30, 50)
    ]
    crossing, left = analyse(pipeline, back)
    assert (crossing.rule, crossing.track) == ("line", entered.track)
    assert (left.rule, left.data["begin_id"]) == ("yard", entered.id)
    assert left.labels == {"new": "1"}


def test_a_stay_goes_on_while_other_rules_come_and_go():
    stay = {**ZONE, "name": "stay", "kind": "loitering", "min_s": 3.0}
    pipeline = StreamPipeline(stream_spec(stay, LINE), LABELS)
    standing = [frame_result(n, detections([(400, 200)]), fps=10.0) for n in range(60)]
    assert analyse(pipeline, standing[:20]) == []
    assert pipeline.replace_spec(stream_spec(ZONE, stay)) == []
    events = analyse(pipeline, standing[20:])
    assert [(e.rule, e.phase, e.data.get("dwell_s")) for e in events] == [
        ("yard", Phase.BEGIN, None),
        ("stay", Phase.BEGIN, 3.0),
    ]
    assert events[1].ts == round(standing[0].ts * 1000)
    (ended,) = pipeline.replace_spec(stream_spec(ZONE))
    assert (ended.rule, ended.phase, ended.data["begin_id"]) == ("stay", Phase.END, events[1].id)


def test_a_crowd_is_an_event_of_no_object():
    crowd = {**ZONE, "name": "crowd", "kind": "overcrowding", "max_objects": 1, "min_s": 1.0}
    pipeline = StreamPipeline(stream_spec(crowd), LABELS)
    two = [frame_result(n, detections([(400, 200), (500, 200)])) for n in range(20)]
    (begun,) = analyse(pipeline, two)
    assert (begun.type, begun.track, begun.box, begun.class_name) == (
        EventType.OVERCROWDING,
        None,
        None,
        "",
    )
    assert Event.from_fields(begun.to_fields()) == begun
    (ended,) = pipeline.close()
    assert (ended.data["begin_id"], ended.data["reason"]) == (begun.id, "stream_closed")


def test_a_rule_that_goes_away_ends_what_it_had_open():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    (entered,) = analyse(pipeline, drive(0, 30))
    (ended,) = pipeline.replace_spec(stream_spec())
    assert (ended.data["begin_id"], ended.data["reason"]) == (entered.id, "rule_removed")


def test_a_rule_that_changed_begins_anew_with_other_ids():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    (entered,) = analyse(pipeline, drive(0, 30))
    (ended,) = pipeline.replace_spec(stream_spec({**ZONE, "classes": ["car"]}))
    (again,) = analyse(pipeline, drive(30, 40))
    assert again.phase is Phase.BEGIN
    assert again.track == entered.track
    assert len({entered.id, ended.id, again.id}) == 3


def test_other_labels_start_afresh_and_the_same_ones_change_nothing():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    analyse(pipeline, drive(0, 30))
    assert pipeline.set_labels(LABELS) == []
    (ended,) = pipeline.set_labels(("bus", "tram"))
    assert ended.data["reason"] == "labels_changed"
    (entered,) = analyse(pipeline, drive(30, 40))
    assert entered.class_name == "tram"


def test_closing_ends_what_is_open_when_it_was_last_seen():
    pipeline = StreamPipeline(stream_spec(ZONE), LABELS)
    analyse(pipeline, drive())
    (ended,) = pipeline.close()
    assert ended.ts == round(drive()[-1].ts * 1000)
    assert pipeline.close() == []


def test_a_source_clock_that_stalls_or_jumps_does_not_break_tracks():
    pipeline = StreamPipeline(stream_spec(LINE), LABELS)
    events, seen = [], set()
    for n, result in enumerate(drive()):
        pts_s = 7.0 if n < 10 else result.pts_s - 1e4 if n < 15 else result.pts_s + 3600
        events += (
            pipeline.process(
                frame_result(n, result.detections, pts_s=pts_s, arrival=result.arrival)
            )
            or []
        )
        seen |= set(pipeline.tracked.track_id.tolist())
    assert len(events) == 1
    assert seen == {1}


def test_motion_time_follows_the_source_while_it_is_plausible():
    clock = MotionClock()
    steps = [(10.0, 100.0), (10.2, 100.9), (10.4, 100.95), (14.4, 101.0)]
    assert [clock.advance(*step) for step in steps] == pytest.approx([0.0, 0.2, 0.4, 4.4])


@pytest.mark.parametrize("pts_s", [10.0, 3.0, 9000.0])
def test_motion_time_follows_the_arrivals_where_the_source_stalls_or_jumps(pts_s):
    clock = MotionClock()
    clock.advance(10.0, 100.0)
    assert clock.advance(pts_s, 100.3) == pytest.approx(0.3)
    assert clock.advance(pts_s + 0.1, 100.5) == pytest.approx(0.4)


def test_motion_time_advances_even_when_no_clock_does():
    clock = MotionClock()
    assert [clock.advance(1.0, 5.0) for _ in range(3)] == sorted({0.0, 1e-3, 2e-3})
