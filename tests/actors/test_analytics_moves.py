"""A stream that moves between slots: no event twice, none lost, none left open."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.events import Event, Phase
from actors.analytics.memory import MAX_GAP_S
from actors.analytics.pipeline import StreamPipeline
from actors.analytics.rules.zone import ZonePresence
from actors.analytics.tracking import Tracker
from actors.messages import FrameResult
from engines.detections import Detections
from tests.actors.builders import CAR, LABELS, detections, frame_result, stream_spec
from tests.actors.rule_scenes import EVERY_KIND, SIZE

FPS = 8.0  # times are then exact in binary, so that clocks of another base say the same
NUM_FRAMES = 104
BEGIN_TS = 1_000_012.0  # the schedule of EVERY_KIND ends eight seconds later
SPEC = stream_spec(url="rtsp://user:hunter2@127.0.0.1/gate", rules=EVERY_KIND)
ZONE = {"name": "yard", "kind": "zone", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
LINE = {"name": "line", "kind": "line", "points": [[0.5, 0.0], [0.5, 1.0]]}


@cache
def pictures(seed: int) -> list[Detections]:
    """Objects that drive, stop, turn, jitter, hide and vanish."""
    random = np.random.default_rng(seed)
    x, speed = random.uniform(100, 900, 5), random.uniform(-200, 200, 5)
    found = []
    for n in range(NUM_FRAMES):
        changes = random.random(5) < 0.05
        speed[changes] = random.choice([0.0, 0.0, -150.0, 60.0, 150.0], 5)[changes]
        x = np.clip(x + speed / FPS + random.normal(0, 0.4, 5), 0, 1000)
        seen = (random.random(5) > 0.1) & (np.arange(5) < (5 if n < NUM_FRAMES // 2 else 4))
        feet = [(x[i], 200.0 + 40 * i) for i in np.flatnonzero(seen)]
        found.append(detections(feet, (60, 30), class_id=CAR))
    return found


def frames(seed: int, first: int, last: int, leg: int = 0) -> list[FrameResult]:
    """Of the ``leg``-th source session: all but UTC begins anew and runs on another clock."""
    return [
        frame_result(
            n - first,
            found,
            session=9 - leg,
            pts_s=n / FPS + shift_s(leg),
            arrival=5000.0 - 500 * leg + n / FPS,
            ts=BEGIN_TS + n / FPS,
            source_size=SIZE,
        )
        for n, found in enumerate(pictures(seed)[first:last], first)
    ]


def shift_s(leg: int) -> float:
    """Of a leg's presentation times against those of the first."""
    return (0.0, 4096.5, -7.25, 90.0)[leg]


def analyse(pipeline: StreamPipeline, results: Sequence[FrameResult]) -> list[Event]:
    return [event for result in results for event in pipeline.process(result) or []]


def moved(pipeline: StreamPipeline, **changes: Any) -> StreamPipeline:
    """The stream on another slot."""
    fields = {"spec": pipeline.spec, "labels": LABELS, "slot": "slot-2", "token": 2, **changes}
    other = StreamPipeline(**fields)
    other.restore(pipeline.state())
    return other


@cache
def uninterrupted(seed: int) -> list[list[Event]]:
    """Events of each frame, and of the end."""
    pipeline = StreamPipeline(SPEC, LABELS, "slot-1", 1)
    events = [analyse(pipeline, [result]) for result in frames(seed, 0, NUM_FRAMES)]
    return [*events, pipeline.close()]


def happenings(events: Sequence[Event], leg: int = 0) -> list[dict[str, Any]]:
    """All of events but who says them, with times of the source as in the first leg."""
    told = [event.to_dict() for event in events]
    return [
        {**each, "slot": "", "pts": pytest.approx(each["pts"] - shift_s(leg), abs=2e-6)}
        for each in told
    ]


def check_life(events: Sequence[Event]) -> None:
    """Nothing is told twice, and all that begins ends once, after its updates."""
    ids = [event.id for event in events]
    assert len(set(ids)) == len(ids)
    begun: set[str] = set()
    for event in events:
        if event.phase is Phase.BEGIN:
            begun.add(event.id)
        elif event.phase is not Phase.INSTANT:
            assert event.data["begin_id"] in begun
        if event.phase is Phase.END:
            begun.remove(event.data["begin_id"])
    assert begun == set()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 9),
    cuts=st.lists(st.integers(1, NUM_FRAMES - 1), min_size=1, max_size=3, unique=True),
)
def test_a_stream_that_moves_says_what_it_would_have_said_without_moving(seed, cuts):
    expected, pipeline = uninterrupted(seed), StreamPipeline(SPEC, LABELS, "slot-1", 1)
    told: list[Event] = []
    for leg, (first, last) in enumerate(pairwise([0, *sorted(cuts), NUM_FRAMES])):
        pipeline = moved(pipeline) if leg else pipeline
        events = analyse(pipeline, frames(seed, first, last, leg))
        if last == NUM_FRAMES:
            last, events = last + 1, events + pipeline.close()
        whole = [event for some in expected[first:last] for event in some]
        assert happenings(events, leg) == [event.to_dict() | {"slot": ""} for event in whole]
        assert {(event.slot, event.token) for event in events} <= {
            ("slot-2", 2) if leg else ("slot-1", 1)
        }
        told += events
    check_life(told)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 9),
    cut=st.integers(1, NUM_FRAMES - 1),
    num_lost=st.integers(1, NUM_FRAMES - 1),
    late_s=st.sampled_from([-0.5, 0.0, 5.0, MAX_GAP_S + 1]),
)
def test_with_frames_lost_in_the_move_all_that_began_ends_once(seed, cut, num_lost, late_s):
    here = StreamPipeline(SPEC, LABELS)
    told = analyse(here, frames(seed, 0, cut))
    there = moved(here)
    after = frames(seed, min(cut + num_lost, NUM_FRAMES), NUM_FRAMES, leg=1)
    for result in after:
        object.__setattr__(result, "ts", result.ts + late_s)
    told += analyse(there, after) + there.close()
    check_life(told)


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_that_moves_after_every_frame_says_what_it_would_have_said(seed):
    expected, pipeline = uninterrupted(seed), StreamPipeline(SPEC, LABELS, "slot-1", 1)
    for n in range(NUM_FRAMES):
        told = analyse(pipeline, frames(seed, n, n + 1, leg=n % 4))
        assert happenings(told, leg=n % 4) == [e.to_dict() | {"slot": ""} for e in expected[n]]
        pipeline = moved(pipeline)
    ends = [event.to_dict() | {"slot": "", "pts": 0} for event in pipeline.close()]
    assert ends == [event.to_dict() | {"slot": "", "pts": 0} for event in expected[-1]]


@pytest.mark.parametrize("seed", range(3))
def test_to_tell_what_is_remembered_changes_nothing(seed):
    expected, pipeline = uninterrupted(seed), StreamPipeline(SPEC, LABELS, "slot-1", 1)
    for n, result in enumerate(frames(seed, 0, NUM_FRAMES)):
        assert analyse(pipeline, [result]) == expected[n]
        assert pipeline.state() == pipeline.state()
    assert pipeline.close() == expected[-1]


def test_the_drives_of_these_tests_make_every_kind_speak_and_go_off_schedule():
    events = [event for seed in range(10) for some in uninterrupted(seed) for event in some]
    assert {event.rule for event in events} == {rule.name for rule in EVERY_KIND}
    assert "off_schedule" in {event.data.get("reason") for event in events}
    assert {event.phase for event in events} == set(Phase)
    for seed in range(10):
        check_life([event for some in uninterrupted(seed) for event in some])


def drive(first: int, last: int, **fields: Any) -> list[FrameResult]:
    """A car that goes right by 10 px a frame, over the line and into the yard at frame 20."""
    return [
        frame_result(n, detections([(120 + 10 * n, 200)]), **fields) for n in range(first, last)
    ]


def driven() -> tuple[StreamPipeline, list[Event]]:
    """A car has crossed the line and is in the yard."""
    pipeline = StreamPipeline(stream_spec(LINE, ZONE), LABELS)
    events = analyse(pipeline, drive(0, 30))
    assert [event.rule for event in events] == ["line", "yard"]
    return pipeline, events


def test_a_car_that_parks_through_a_move_has_parked_all_the_time():
    bay = {**ZONE, "name": "bay", "kind": "illegal_parking", "min_s": 3.0}
    here = StreamPipeline(stream_spec(bay), LABELS)
    standing = [frame_result(n, detections([(400, 200)]), fps=10.0) for n in range(40)]
    (begun,) = analyse(here, standing)
    there = moved(here)
    first = frame_result(
        0, detections([(400, 200)]), session=5, arrival=3.0, ts=standing[-1].ts + 9
    )
    assert there.process(first) == []
    assert there.tracked.track_id.tolist() == [begun.track]
    (ended,) = there.close()
    assert ended.data["begin_id"] == begun.id
    assert ended.data["standing_s"] == pytest.approx(12.8)


def test_counts_go_on():
    here, events = driven()
    there = moved(here)
    back = [
        frame_result(n, detections([(410 - 10 * n, 200)]), session=2, ts=1_700_000_003.0 + n / 10)
        for n in range(20)
    ]
    left, crossed = sorted(analyse(there, back), key=lambda event: event.rule, reverse=True)
    assert left.data["begin_id"] == events[1].id
    assert events[0].data["counts"] == {"forward": 0, "backward": 1}
    assert crossed.data["counts"] == {"forward": 1, "backward": 1}


@pytest.mark.parametrize(
    ("labels", "fields"),
    [
        (LABELS, {"ts": 1_700_000_002.9 + MAX_GAP_S + 0.1}),
        (LABELS, {"ts": 1_700_000_002.9 - MAX_GAP_S - 0.1}),
        (LABELS, {"ts": 1_700_000_003.0, "source_size": (1280, 720)}),
        (("bus", "tram"), {"ts": 1_700_000_003.0}),
    ],
    ids=["late", "early", "size", "labels"],
)
def test_what_does_not_go_on_ends_there_when_it_was_last_seen_and_starts_afresh(labels, fields):
    here, events = driven()
    there = moved(here, labels=labels)
    (ended,) = there.process(drive(30, 31, session=2, arrival=1.0, **fields)[0]) or []
    assert (ended.phase, ended.data["reason"]) == (Phase.END, "session_ended")
    assert ended.data["begin_id"] == events[1].id
    assert (ended.ts, ended.slot, ended.token) == (1_700_000_002_900, "slot-2", 2)
    assert len(there.tracked) == 0
    later = analyse(there, drive(31, 34, session=2, **fields))
    check_life([*events, ended, *later, *there.close()])


def test_a_rule_that_changed_meanwhile_ends_there():
    here, events = driven()
    there = moved(here, spec=stream_spec(LINE, {**ZONE, "classes": ["car"]}))
    ended, again = analyse(there, drive(30, 31, session=2))
    assert (ended.data["reason"], ended.data["begin_id"]) == ("rule_removed", events[1].id)
    assert (again.phase, again.track) == (Phase.BEGIN, events[1].track)
    check_life([*events, ended, again, *there.close()])


def test_a_rule_that_changes_before_the_first_frame_ends_with_it():
    here, events = driven()
    there = moved(here)
    assert there.replace_spec(stream_spec(LINE)) == []
    (ended,) = analyse(there, drive(30, 31, session=2))
    assert (ended.data["reason"], ended.data["begin_id"]) == ("rule_removed", events[1].id)


def test_a_stream_that_is_closed_before_its_first_frame_ends_there():
    here, events = driven()
    there = moved(here)
    (ended,) = there.close()
    assert (ended.data["reason"], ended.data["begin_id"]) == ("stream_closed", events[1].id)
    assert there.close() == []


def test_a_stream_can_move_on_before_its_first_frame():
    here, events = driven()
    there = moved(moved(here))
    assert analyse(there, drive(30, 32, session=2)) == []
    check_life([*events, *there.close()])


def test_a_stream_that_has_seen_nothing_has_nothing_to_tell():
    assert StreamPipeline(SPEC, LABELS).state() == b""
    assert analyse(moved(StreamPipeline(SPEC, LABELS)), drive(0, 3)) == []


@pytest.mark.parametrize("damage", [lambda s: s[:-1], lambda s: b"SLM\xff" + s[4:], lambda s: b"x"])
def test_a_state_that_cannot_be_read_is_dropped_with_a_line_in_the_log(damage, caplog):
    here, _ = driven()
    there = StreamPipeline(here.spec, LABELS)
    there.restore(damage(here.state()))
    assert "stream gate starts afresh after its move" in caplog.text
    (entered,) = analyse(there, drive(30, 33, session=2))
    assert (entered.phase, entered.data["reason"]) == (Phase.BEGIN, "appeared")


def test_a_state_of_a_tracker_of_another_make_is_dropped_with_a_line_in_the_log(
    caplog, monkeypatch
):
    here, _ = driven()
    state = {**Tracker().state(), "table": np.zeros((3, 1))}
    monkeypatch.setattr(Tracker, "state", lambda _: state)
    there = moved(here)
    assert len(analyse(there, drive(30, 33, session=2))) == 1
    assert "stream gate starts afresh after its move" in caplog.text


def test_rules_that_were_told_a_part_of_a_damaged_state_forget_it(caplog, monkeypatch):
    here, _ = driven()
    with monkeypatch.context() as patched:
        patched.setattr(ZonePresence, "save", lambda self, to: to.ints([1, 2]))
        there = moved(here)
    back = [frame_result(n, detections([(410 - 10 * n, 200)]), session=2) for n in range(20)]
    entered, *later = analyse(there, back)
    (crossed,) = [event for event in later if event.rule == "line"]
    assert "stream gate starts afresh after its move" in caplog.text
    assert (entered.phase, entered.data["reason"]) == (Phase.BEGIN, "appeared")
    assert crossed.data["counts"] == {"forward": 1, "backward": 0}
    check_life([entered, *later, *there.close()])


def test_no_credentials_move():
    pipeline = StreamPipeline(SPEC, LABELS)
    analyse(pipeline, frames(0, 0, 20))
    parts, left = [], pipeline.state()[4:]
    while left:
        part = zlib.decompressobj()
        parts.append(part.decompress(left))
        left = part.unused_data
    assert b"127.0.0.1" not in b"".join(parts)
    assert b"hunter2" not in b"".join(parts)
    assert b"overcrowding" in b"".join(parts)


@cache
def crowds() -> list[FrameResult]:
    """Fifty objects, seven seconds long."""
    random = np.random.default_rng(5)
    x, y = np.tile(np.arange(10) * 95 + 60, 5), np.repeat(np.arange(5) * 80 + 100, 10)
    results = []
    for n in range(56):
        feet = np.stack([x + 0.7 * n * (y > 200), y], 1) + random.normal(0, 0.4, (50, 2))
        found = detections([tuple(foot) for foot in feet], (60, 40))
        results.append(frame_result(n, found, fps=FPS, source_size=SIZE))
    return results


def crowded() -> StreamPipeline:
    """Fifty tracks and twenty rules of every kind, six seconds long."""
    rules = [
        rule.model_copy(update={"name": f"{rule.name}-{n}", "schedule": None})
        for n, rule in enumerate([*EVERY_KIND, *EVERY_KIND, *EVERY_KIND][:20])
    ]
    pipeline = StreamPipeline(stream_spec(rules=rules), LABELS)
    analyse(pipeline, crowds()[:48])
    return pipeline


def test_fifty_tracks_and_twenty_rules_fit_into_a_hundred_thousand_bytes():
    pipeline = crowded()
    assert len(pipeline.tracked) == 50
    assert 10_000 < len(pipeline.state()) < 100_000


def test_fifty_tracks_and_twenty_rules_go_on_as_if_they_had_stayed():
    here = crowded()
    there = moved(here, slot="", token=0)
    told = analyse(here, crowds()[48:]) + here.close()
    assert analyse(there, crowds()[48:]) + there.close() == told
    assert len({event.rule for event in told}) > 10
