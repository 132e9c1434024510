"""The analytics shard: streams come and go while frames of all of them are processed."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.analytics.actor import AnalyticsActor
from actors.analytics.events import Event, EventType, Phase
from actors.analytics.shard import AnalyticsShard, in_turns
from actors.analytics.stream_state import StateChange
from actors.channel import Channel
from actors.ledger import Ledger
from actors.messages import Assignment, DegradeStep, FrameResult, StreamState
from actors.sinks import FileSinkSpec
from actors.specs import QosClass, QosSpec
from actors.stages import Stage
from tests.actors.builders import LABELS, detections, frame_result, stream_spec

LINE = {"name": "line", "kind": "line", "points": [[0.5, 0.0], [0.5, 1.0]]}
CHANGE = StateChange(
    stream="gate",
    session="7.0",
    at=1_750_000_000.5,
    state=StreamState.RECONNECTING,
    reason="timeout",
    message="no answer for 3 s",
    step=DegradeStep.NONE,
    previous=StreamState.RUNNING,
    previous_step=DegradeStep.CAPPED,
)
YARD = {"name": "yard", "kind": "zone", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger.create(4)
    yield ledger
    ledger.unlink()


@pytest.fixture
def actor(ledger: Ledger, tmp_path: Path) -> Iterator[AnalyticsActor]:
    sinks = (FileSinkSpec(path=tmp_path / "events.jsonl"),)
    actor = AnalyticsActor(ledger.path, sinks, "slot-1", LABELS)
    yield actor
    actor.stop()


def assignment(*rules: dict, stream: str = "gate", row: int = 0, generation: int = 1) -> Assignment:
    return Assignment(stream_spec(*rules, stream=stream), 1, row, generation)


def drive(stream: str = "gate", first: int = 0, last: int = 40) -> tuple[FrameResult, ...]:
    """A car that goes right; its foot is on x = 320 at frame 20."""
    return tuple(
        frame_result(n, detections([(120 + 10 * n, 200)]), stream=stream)
        for n in range(first, last)
    )


def process(actor: AnalyticsActor, results: tuple[FrameResult, ...]) -> None:
    """As the engine brings them."""
    Channel(actor.channel()).call(results)


def written(tmp_path: Path) -> list[Event]:
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    return [Event.from_dict(json.loads(line)) for line in lines]


def test_events_go_to_the_sinks_and_into_the_ledger(actor, ledger, tmp_path):
    actor.open_stream(assignment(LINE, row=2))
    process(actor, drive())
    assert [(e.type, e.slot) for e in written(tmp_path)] == [(EventType.LINE_CROSS, "slot-1")]
    entry = ledger.row(2).read()
    assert (entry.analysed, entry.events) == (40, 1)


def test_status_has_the_last_frame_and_event_of_each_stream(actor):
    actor.open_stream(assignment(LINE))
    actor.open_stream(assignment(stream="yard", row=1))
    process(actor, drive())
    status = pickle.loads(pickle.dumps(actor.status()))
    gate = status.streams["gate"]
    assert gate.last_frame.index == 39
    assert gate.last_frame.detections.track_id.tolist() == [1]
    assert gate.last_event.rule == "line"
    assert status.streams["yard"].last_frame is None
    assert [sink.num_written for sink in status.sinks] == [1]
    assert status.incarnation == actor.start()


def test_another_life_of_the_actor_has_another_incarnation(actor, ledger):
    assert AnalyticsActor(ledger.path, (), "slot-1").start() != actor.start()


def test_frames_of_unknown_streams_are_counted_and_ignored(actor, ledger):
    actor.open_stream(assignment(LINE))
    process(actor, drive("elsewhere", last=3) + drive(last=2))
    assert actor.status().num_unknown == 3
    assert ledger.row(0).read().analysed == 2


def test_frames_of_a_call_take_as_few_turns_as_the_stream_that_has_most_of_them():
    frames = {stream: drive(stream, last=3) for stream in ("gate", "yard", "road")}
    a, b, c = frames.values()
    mixed = (a[0], b[0], a[1], c[0], b[1], a[2])
    assert in_turns(mixed) == [[a[0], b[0], c[0]], [a[1], b[1]], [a[2]]]
    assert in_turns(()) == []


@pytest.mark.parametrize("num_calls", [1, 7, 80])
def test_events_are_the_same_however_frames_come_in_calls(actor, ledger, tmp_path, num_calls):
    for row, stream in enumerate(("gate", "yard")):
        actor.open_stream(assignment(LINE, stream=stream, row=row))
    gate, yard = list(drive("gate")), list(drive("yard"))
    mixed = sorted(gate + yard, key=lambda each: each.index + (each.stream == "yard") * 2.5)
    for call in range(num_calls):
        process(actor, tuple(mixed[call * 80 // num_calls : (call + 1) * 80 // num_calls]))
    assert [ledger.row(row).read().analysed for row in (0, 1)] == [40, 40]
    actor.stop()
    told = sorted((e.stream, e.type.value, e.pts) for e in written(tmp_path))
    assert told == [(s, "line_cross", pytest.approx(20 / 10)) for s in ("gate", "yard")]


def test_late_frames_are_not_counted_as_analysed(actor, ledger):
    actor.open_stream(assignment())
    process(actor, drive(last=5) + drive(last=5))
    assert ledger.row(0).read().analysed == 5
    assert actor.status().streams["gate"].num_late == 5


def test_closing_a_stream_ends_its_events_and_forgets_it(actor, tmp_path):
    actor.open_stream(assignment(YARD))
    process(actor, drive())
    actor.close_stream("gate")
    actor.close_stream("gate")
    assert [e.data["reason"] for e in written(tmp_path)] == ["entered", "stream_closed"]
    process(actor, drive(first=40, last=41))
    assert actor.status().num_unknown == 1


def test_a_newer_spec_replaces_the_rules_and_keeps_the_tracks(actor, tmp_path):
    actor.open_stream(assignment())
    process(actor, drive(last=10))
    actor.open_stream(assignment(LINE, generation=2))
    actor.open_stream(assignment(generation=1))
    process(actor, drive(first=10))
    assert [(e.rule, e.track) for e in written(tmp_path)] == [("line", 1)]
    assert actor.status().streams["gate"].generation == 2


def test_other_labels_reach_all_streams(actor, tmp_path):
    actor.open_stream(assignment(LINE))
    actor.set_labels(("bus", "tram"))
    process(actor, drive())
    assert [e.class_name for e in written(tmp_path)] == ["tram"]


def test_a_change_of_state_is_an_event_of_its_own(actor, ledger, tmp_path):
    spec = stream_spec(LINE, labels={"site": "north"})
    actor.open_stream(Assignment(spec, 1, 2, 1))
    actor.report_states((CHANGE,))
    (event,) = written(tmp_path)
    assert (event.type, event.phase, event.stream) == (
        EventType.STREAM_STATE,
        Phase.INSTANT,
        "gate",
    )
    assert (event.ts, event.pts, event.slot, event.model) == (1_750_000_000_500, 0.0, "slot-1", "")
    assert (event.rule, event.track, event.class_name, event.box) == ("", None, "", None)
    assert event.labels == {"site": "north"}
    assert event.data == {
        "state": "reconnecting",
        "reason": "timeout",
        "message": "no answer for 3 s",
        "degrade_step": "none",
        "previous": "running",
        "previous_step": "capped",
    }
    assert Event.from_fields(event.to_fields()) == event
    assert ledger.row(2).read().events == 1
    assert actor.status().streams["gate"].last_event == replace(event, token=1)


def test_a_change_has_the_time_and_model_of_the_last_frame_and_one_id_however_often_told(
    actor, tmp_path
):
    actor.open_stream(assignment())
    process(actor, drive(last=5))
    actor.report_states((CHANGE, CHANGE, replace(CHANGE, session="7.1")))
    first, again, other = written(tmp_path)
    assert (first.pts, first.model) == (0.4, "toy")
    assert first.id == again.id != other.id


def test_a_new_stream_has_no_state_before(actor, tmp_path):
    actor.open_stream(assignment())
    actor.report_states((replace(CHANGE, previous=None, previous_step=None),))
    (event,) = written(tmp_path)
    assert (event.data["previous"], event.data["previous_step"]) == (None, None)


def test_changes_of_streams_that_the_shard_does_not_have_are_left_out(actor, tmp_path):
    actor.open_stream(assignment())
    actor.report_states((replace(CHANGE, stream="elsewhere"), CHANGE))
    assert [event.stream for event in written(tmp_path)] == ["gate"]


def test_a_stream_that_moves_begins_and_ends_once_over_both_slots(actor, ledger, tmp_path):
    other_ledger, path = Ledger.create(4), tmp_path / "other.jsonl"
    other = AnalyticsActor(other_ledger.path, (FileSinkSpec(path=path),), "slot-2", LABELS)
    actor.open_stream(assignment(YARD))
    process(actor, drive(last=30))
    state = actor.export_stream("gate")
    process(actor, drive(first=30, last=32))
    assert actor.status().num_unknown == 2
    assert actor.status().streams == {}
    other.open_stream(assignment(YARD, row=3), state)
    process(other, drive(first=32))
    other.close_stream("gate")
    actor.stop()
    other.stop()
    (begun,) = written(tmp_path)
    (ended,) = [Event.from_dict(json.loads(line)) for line in path.read_text().splitlines()]
    assert (begun.phase, begun.slot) == (Phase.BEGIN, "slot-1")
    assert (ended.phase, ended.slot, ended.track) == (Phase.END, "slot-2", begun.track)
    assert ended.data["begin_id"] == begun.id
    assert (other_ledger.row(3).read().analysed, other_ledger.row(3).read().events) == (8, 1)
    other_ledger.unlink()


def test_what_was_exported_and_nobody_goes_on_with_ends_where_it_was(actor, tmp_path):
    actor.open_stream(assignment(YARD))
    process(actor, drive(last=30))
    actor.end_exported(assignment(YARD), actor.export_stream("gate"))
    actor.stop()
    begun, ended = written(tmp_path)
    assert (begun.phase, ended.phase, ended.track) == (Phase.BEGIN, Phase.END, begun.track)
    assert ended.data["begin_id"] == begun.id
    assert actor.status().streams == {}


def test_a_stream_that_nobody_has_or_that_has_seen_nothing_leaves_no_state(actor):
    assert actor.export_stream("gate") == b""
    actor.open_stream(assignment(YARD))
    assert actor.export_stream("gate") == b""
    assert actor.status().streams == {}


def test_a_stream_that_runs_takes_no_state_from_elsewhere(actor, tmp_path):
    actor.open_stream(assignment(YARD))
    process(actor, drive(last=30))
    state = actor.export_stream("gate")
    actor.open_stream(assignment(YARD))
    process(actor, drive(last=30))
    actor.open_stream(assignment(YARD), state)
    process(actor, drive(first=30))
    actor.close_stream("gate")
    assert [e.phase for e in written(tmp_path)] == [Phase.BEGIN, Phase.BEGIN, Phase.END]


def test_events_carry_the_token_of_the_lease_also_one_that_was_renewed(actor):
    actor.open_stream(assignment(YARD))
    process(actor, drive(last=30))
    assert actor.status().streams["gate"].last_event.token == 1
    actor.open_stream(replace(assignment(YARD), token=7))
    actor.report_states((CHANGE,))
    assert actor.status().streams["gate"].last_event.token == 7
    actor.open_stream(replace(assignment(generation=2), token=8))
    ended = actor.status().streams["gate"].last_event
    assert (ended.data["reason"], ended.token) == ("rule_removed", 8)


def test_stopping_ends_all_streams(actor, tmp_path):
    for row, stream in enumerate(("a", "b")):
        actor.open_stream(assignment(YARD, stream=stream, row=row))
        process(actor, drive(stream))
    actor.stop()
    ends = [e.stream for e in written(tmp_path) if e.data["reason"] == "stream_closed"]
    assert ends == ["a", "b"]


def test_calls_from_many_threads_lose_no_frame(actor, ledger):
    streams = [f"s{n}" for n in range(4)]
    for row, stream in enumerate(streams):
        actor.open_stream(assignment(LINE, stream=stream, row=row))
    threads = [
        threading.Thread(target=lambda s=s: [process(actor, (r,)) for r in drive(s)])
        for s in streams
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        actor.status()
    assert [ledger.row(n).read().analysed for n in range(4)] == [40] * 4
    assert [ledger.row(n).read().events for n in range(4)] == [1] * 4


def test_the_time_from_detections_to_sinks_is_counted_by_the_stream_s_class(
    ledger: Ledger,
) -> None:
    shard = AnalyticsShard(ledger, (), "slot-1", LABELS, clock=lambda: 500.3)
    high = stream_spec(stream="gate", qos={"class": "high"})
    shard.open_stream(Assignment(high, 1, 0))
    first, second = drive(last=2)
    shard.process([replace(first, inferred_at=500.2), replace(first, inferred_at=500.2)])
    shard.open_stream(Assignment(high.model_copy(update={"qos": QosSpec()}), 1, 0, generation=2))
    shard.process([replace(second, inferred_at=500.1)])
    found = shard.status().stages[Stage.ANALYTICS]
    assert {qos: list(counts.values()) for qos, counts in found.items()} == {
        QosClass.HIGH: [1],  # a frame that comes twice is not analysed
        QosClass.NORMAL: [1],
    }
    assert list(found[QosClass.HIGH]) == [pytest.approx(100, rel=0.016)]
    assert list(found[QosClass.NORMAL]) == [pytest.approx(200, rel=0.016)]
