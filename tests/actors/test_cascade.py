"""Whom secondary models look at, and when what they read is settled."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.cascade import PENDING_S, Cascade, Due, Verdict
from actors.analytics.crop_budget import BURST_S
from actors.analytics.secondaries import LABEL, Secondary
from actors.cascade_specs import SecondarySpec, require_cascade
from engines.detections import Detections
from engines.readings import Attributes, Embeddings, Texts
from engines.spec import ModelSpec

LABELS = ("car", "person")
IMAGE = {"width": 64, "height": 64}
FIELDS: dict[str, dict[str, object]] = {
    "attributes": {"heads": {"type": ["car", "van"], "color": ["red", "blue", "black"]}},
    "classifier": {"labels": ["day", "night"]},
    "ctc": {"alphabet": "AB1"},
    "embedding": {},
    "yolox": {"labels": ["plate"]},
}


def secondary(name: str, family: str = "attributes", **fields: object) -> Secondary:
    given_model = {"name": name, "path": "m.onnx", "family": family, "input": IMAGE}
    model = ModelSpec.model_validate(given_model | FIELDS[family])
    spec = SecondarySpec.model_validate({"name": name, "model": "m.yaml", **fields})
    return Secondary(spec, model, LABELS if not spec.after else ("plate",))


def cascade(*secondaries: Secondary) -> Cascade:
    require_cascade([one.spec for one in secondaries])
    return Cascade(secondaries)


def tracks(*objects: tuple[int, float], class_id: int = 0) -> Detections:
    """Square boxes: track and side in pixels."""
    sides = np.array([side for _, side in objects])
    xyxy = np.column_stack((0 * sides, 0 * sides, sides, sides)).reshape(-1, 4)
    ids = np.array([track for track, _ in objects], np.int64)
    return Detections.of(xyxy, np.ones(len(ids)), np.full(len(ids), class_id), ids)


def looked_at(due: list[Due], frame: Detections, name: str = "a") -> list[int]:
    return [int(frame.track_id[row]) for one in due if one.secondary == name for row in one.rows]


def vehicle(kind: int, color: int, sure: float = 0.9, num: int = 1) -> Attributes:
    heads = []
    for best, count in ((kind, 2), (color, 3)):
        row = np.full(count, (1 - sure) / (count - 1), np.float32)
        row[best] = sure
        heads.append(np.tile(row, (num, 1)))
    return Attributes(tuple(heads))


def text(value: str, sure: float = 0.9) -> Texts:
    return Texts((value,), np.array([sure], np.float32))


def told(verdicts: list[Verdict]) -> list[tuple[int, str, str]]:
    return [(v.track, v.head, "+".join(v.leader.values)) for v in verdicts]


def test_objects_of_the_classes_that_are_large_enough_and_tracked_are_looked_at() -> None:
    policy = cascade(secondary("a", classes=["person"], min_size_px=30))
    frame = tracks((1, 29), (2, 30), (3, 80), (-1, 90), class_id=1)
    assert looked_at(policy.due(frame, 0), frame) == [3, 2]
    cars = tracks((7, 80))
    assert policy.due(cars, 1) == []


def test_a_narrow_box_is_too_small_however_high() -> None:
    frame = Detections.of(
        np.array([[0, 0, 10, 200]]), np.ones(1), np.zeros(1), np.array([1], np.int64)
    )
    assert cascade(secondary("a", min_size_px=24)).due(frame, 0) == []


def test_a_track_waits_for_its_answer_and_is_asked_again_when_none_comes() -> None:
    policy, frame = cascade(secondary("a", again_s=0)), tracks((1, 50))
    assert policy.due(frame, 0)
    assert policy.due(frame, 0.1) == []
    assert policy.due(frame, PENDING_S - 0.01) == []
    assert looked_at(policy.due(frame, PENDING_S), frame) == [1]


def test_a_look_that_was_missed_is_due_at_once_and_counts_for_nothing() -> None:
    policy, frame = cascade(secondary("a", max_looks=1, min_votes=1)), tracks((1, 50))
    policy.due(frame, 0)
    policy.missed("a", [1, 99])
    assert looked_at(policy.due(frame, 0.04), frame) == [1]


def test_a_track_is_looked_at_again_after_a_while_until_it_is_settled() -> None:
    policy, frame = cascade(secondary("a", again_s=0.3, min_votes=2)), tracks((1, 50))
    assert policy.due(frame, 0)
    assert policy.answered("a", [1], vehicle(0, 0)) == []
    assert policy.due(frame, 0.2) == []
    assert policy.due(frame, 0.3)
    assert told(policy.answered("a", [1], vehicle(0, 0))) == [
        (1, "type", "car"),
        (1, "color", "red"),
    ]
    assert policy.due(frame, 9) == []


def test_a_settled_track_is_looked_at_again_when_it_has_grown() -> None:
    policy = cascade(secondary("a", min_votes=1, grown=1.5))
    policy.due(tracks((1, 50)), 0)
    policy.answered("a", [1], vehicle(0, 0))
    assert policy.due(tracks((1, 74)), 1) == []
    assert policy.due(tracks((1, 75)), 2)
    policy.answered("a", [1], vehicle(0, 0))
    assert policy.due(tracks((1, 80)), 3) == []


def test_an_embedding_is_taken_once_and_again_when_the_object_has_grown() -> None:
    policy = cascade(secondary("a", "embedding"))
    policy.due(tracks((1, 50)), 0)
    assert policy.answered("a", [1], Embeddings(np.ones((1, 4), np.float32))) == []
    assert policy.due(tracks((1, 50)), 5) == []
    assert policy.due(tracks((1, 100)), 6)


def test_a_track_that_never_settles_is_given_up() -> None:
    policy, num = cascade(secondary("a", max_looks=4, again_s=0, min_confidence=0.95)), 0
    for step in range(20):
        for _ in policy.due(tracks((1, 50)), float(step)):
            num += 1
            assert policy.answered("a", [1], vehicle(step % 2, 0, 0.9)) == []
    assert num == 4


def test_a_better_look_may_change_what_was_settled() -> None:
    policy = cascade(secondary("a", min_votes=1, settle_at=0.5, again_s=0))
    policy.due(tracks((1, 30)), 0)
    assert told(policy.answered("a", [1], vehicle(1, 0, 0.6)))[0] == (1, "type", "van")
    policy.due(tracks((1, 90)), 1)
    changed = policy.answered("a", [1], vehicle(0, 0, 0.9))
    assert [(v.head, v.leader.values, v.previous) for v in changed] == [
        ("type", ("car",), ("van",))
    ]


def test_a_classifier_settles_one_property() -> None:
    policy = cascade(secondary("a", "classifier", min_votes=1))
    policy.due(tracks((1, 50)), 0)
    read = Attributes((np.array([[0.1, 0.9]], np.float32),))
    assert told(policy.answered("a", [1], read)) == [(1, LABEL, "night")]


def test_a_plate_is_settled_when_enough_looks_agree_to_the_last_symbol() -> None:
    policy = cascade(secondary("a", "ctc", min_votes=2, again_s=0))
    settled = []
    for step, value in enumerate(["AB1", "A1", "", "AB1"]):
        assert policy.due(tracks((1, 50)), float(step))
        settled.append(told(policy.answered("a", [1], text(value))))
    assert settled == [[], [], [], [(1, "text", "AB1")]]


def test_a_chain_is_asked_from_its_start_until_its_end_is_settled() -> None:
    policy = cascade(
        secondary("finder", "yolox", again_s=0),
        secondary("text", "ctc", after="finder", min_votes=2),
    )
    frame = tracks((1, 50))
    for step in range(2):
        due = policy.due(frame, float(step))
        assert [one.secondary for one in due] == ["finder"]
        assert policy.answered("finder", [1], None) == []
        settled = policy.answered("text", [1], text("AB1"))
    assert told(settled) == [(1, "text", "AB1")]
    assert policy.due(frame, 5) == []


def test_answers_for_tracks_that_have_ended_are_left_out() -> None:
    policy = cascade(secondary("a", min_votes=1))
    policy.due(tracks((1, 50), (2, 50)), 0)
    policy.forget([1, 8])
    assert {v.track for v in policy.answered("a", [1, 2], vehicle(0, 0, num=2))} == {2}


def test_above_the_rate_the_least_looked_at_come_first_then_the_largest() -> None:
    policy = cascade(secondary("a", max_rate=2, again_s=0, min_votes=3))
    frame = tracks((1, 40), (2, 60), (3, 50))
    assert looked_at(policy.due(frame, 0), frame) == [2, 3]
    policy.answered("a", [2, 3], vehicle(0, 0, num=2))
    assert looked_at(policy.due(frame, 0.5), frame) == [1]
    policy.answered("a", [1], vehicle(0, 0))
    assert looked_at(policy.due(frame, 1.5), frame) == [2, 3]


def test_a_rate_below_one_a_second_still_comes_to_whole_crops() -> None:
    policy = cascade(secondary("a", max_rate=0.25, again_s=0))
    times = []
    for step in range(100):
        if policy.due(tracks((step, 50)), step / 5):
            times.append(step / 5)
    assert times == [0, 4, 8, 12, 16]


def test_each_secondary_has_a_rate_of_its_own() -> None:
    policy = cascade(secondary("a", max_rate=1), secondary("b", "ctc", max_rate=5))
    frame = tracks(*[(track, 50) for track in range(9)])
    due = policy.due(frame, 0)
    assert [(one.secondary, len(one.rows)) for one in due] == [("a", 1), ("b", 5)]


frames = st.lists(
    st.tuples(
        st.floats(0.01, 1.5),  # seconds since the last
        st.lists(
            st.tuples(st.integers(0, 6), st.floats(5, 200)), max_size=7, unique_by=lambda o: o[0]
        ),
        st.sampled_from(["answer", "miss", "silence"]),
        st.floats(0.34, 1),
    ),
    max_size=40,
)
options = st.fixed_dictionaries(
    {
        "max_rate": st.floats(0.2, 20),
        "max_looks": st.integers(3, 6),
        "again_s": st.floats(0, 2),
        "min_size_px": st.floats(1, 80),
        "grown": st.floats(1.1, 3),
    }
)


@settings(max_examples=150, deadline=None)
@given(frames, options)
def test_the_promises_hold_whatever_happens(
    script: list[tuple[float, list[tuple[int, float]], str, float]], fields: dict[str, float]
) -> None:
    policy, at_s = cascade(secondary("a", **fields)), 0.0
    asked: list[float] = []
    answers: Counter[int] = Counter()
    pending: dict[int, float] = {}
    last: dict[int, float] = {}
    for pause_s, objects, reply, sure in script:
        at_s += pause_s
        frame = tracks(*objects)
        chosen = looked_at(policy.due(frame, at_s), frame)
        sizes = dict(objects)
        for track in chosen:
            assert np.float32(sizes[track]) >= np.float32(fields["min_size_px"])
            assert answers[track] < fields["max_looks"]
            assert at_s - pending.get(track, -np.inf) >= PENDING_S
            if answers[track] == 0 or track in pending:
                continue
            assert at_s >= last[track]
        assert len(set(chosen)) == len(chosen)
        asked += [at_s] * len(chosen)
        pending |= dict.fromkeys(chosen, at_s)
        if reply != "silence" and chosen:
            for track in chosen:
                del pending[track]
                last[track] = at_s
            if reply == "answer":
                answers.update(chosen)
                policy.answered("a", chosen, vehicle(0, 1, sure, len(chosen)))
            else:
                policy.missed("a", chosen)
    full = max(1.0, BURST_S * fields["max_rate"])
    for first in range(len(asked)):
        for end in range(first, len(asked)):
            window_s = asked[end] - asked[first]
            assert end - first + 1 <= full + fields["max_rate"] * window_s + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.floats(1, 10))
def test_everybody_is_looked_at_where_the_rate_allows_it_in_time(num: int, rate: float) -> None:
    policy = cascade(secondary("a", max_rate=rate))
    frame = tracks(*[(track, 50 + track) for track in range(num)])
    seen: set[int] = set()
    for step in range(int(num / rate * 10) + 11):
        chosen = looked_at(policy.due(frame, step / 10), frame)
        policy.answered("a", chosen, vehicle(0, 0, num=len(chosen)))
        seen.update(chosen)
    assert seen == set(range(num))


@settings(max_examples=60, deadline=None)
@given(frames, st.integers(0, 39))
def test_a_cascade_that_has_moved_goes_on_as_if_it_had_stayed(
    script: list[tuple[float, list[tuple[int, float]], str, float]], move_at: int
) -> None:
    secondaries = [secondary("a", again_s=0.1, min_votes=2), secondary("t", "ctc", max_looks=4)]
    stayed, moved, at_s = cascade(*secondaries), cascade(*secondaries), 0.0
    for step, (pause_s, objects, reply, sure) in enumerate(script):
        at_s += pause_s + BURST_S  # so that the rate, which does not move, is full
        if step == move_at:
            state = json.loads(json.dumps(stayed.state()))
            moved = cascade(*secondaries)
            moved.restore(state)
        frame = tracks(*objects)
        due, also = stayed.due(frame, at_s), moved.due(frame, at_s)
        if step >= move_at:
            assert [looked_at(due, frame, n) for n in "at"] == [
                looked_at(also, frame, n) for n in "at"
            ]
        for one in due:
            ids = [int(frame.track_id[row]) for row in one.rows]
            readings = (
                vehicle(int(sure * 10) % 2, 0, sure, len(ids))
                if one.secondary == "a"
                else Texts(("AB1",) * len(ids), np.full(len(ids), sure, np.float32))
            )
            if reply == "miss":
                stayed.missed(one.secondary, ids)
                moved.missed(one.secondary, ids)
            else:
                verdicts = stayed.answered(one.secondary, ids, readings)
                if step >= move_at:
                    assert moved.answered(one.secondary, ids, readings) == verdicts


def test_of_a_secondary_that_is_no_more_nothing_is_taken() -> None:
    before = cascade(secondary("a", min_votes=1), secondary("b", "ctc"))
    before.due(tracks((1, 50)), 0)
    before.answered("a", [1], vehicle(0, 0))
    before.answered("b", [1], text("AB1"))
    after = cascade(secondary("b", "ctc", again_s=0))
    after.restore(before.state())
    assert [one.secondary for one in after.due(tracks((1, 50)), 1)] == ["b"]


def test_votes_on_other_labels_are_left_out_after_a_change_of_the_model() -> None:
    before = cascade(secondary("a", min_votes=2))
    before.due(tracks((1, 50)), 0)
    before.answered("a", [1], vehicle(0, 0))
    after = cascade(secondary("a", "classifier", min_votes=1))
    after.restore(before.state())
    after.due(tracks((1, 50)), 1)
    read = Attributes((np.array([[0.1, 0.9]], np.float32),))
    assert told(after.answered("a", [1], read)) == [(1, LABEL, "night")]


@pytest.mark.parametrize("num", [0, 1])
def test_a_stream_without_secondaries_asks_for_nothing(num: int) -> None:
    assert cascade().due(tracks(*[(1, 50)] * num), 0) == []
