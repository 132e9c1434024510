"""What every kind of tracker holds to, whatever rounds it plays."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.pipeline import StreamPipeline
from actors.analytics.tracking import CONFIGS, Tracker, config_of, make_tracker
from actors.analytics.tracking.found import packed, unit
from actors.specs import StreamSpec
from engines.detections import Detections
from tests.actors.builders import detections, frame_result, stream_spec

EACH_KIND = pytest.mark.parametrize("kind", CONFIGS)
SEEDS = st.integers(0, 10**6)


def walkers(seed: int, num_frames: int = 40, num: int = 5) -> list[Detections]:
    """People on lanes of their own; one in ten detections is missing."""
    random = np.random.default_rng(seed)
    speeds, frames = random.uniform(20, 80, num), []
    for n in range(num_frames):
        seen = np.flatnonzero(random.random(num) > 0.1)
        feet = [(100 + speeds[i] * n / 10 + random.normal(0, 1), 100 + 120 * i) for i in seen]
        frames.append(detections(feet, size=(30, 80)))
    return frames


def lanes(tracked: Detections) -> list[tuple[int, int]]:
    """Lane and identity of what is tracked."""
    rows = np.round((tracked.xyxy[:, 3] - 100) / 120).astype(int)
    return list(zip(rows.tolist(), tracked.track_id.tolist(), strict=True))


@EACH_KIND
def test_people_on_lanes_of_their_own_keep_one_identity(kind):
    tracker, seen = make_tracker(kind), set()
    for n, found in enumerate(walkers(3)):
        seen |= set(lanes(tracker.update(found, n / 10)))
    assert len(seen) == 5
    assert len({identity for _, identity in seen}) == 5


@EACH_KIND
@pytest.mark.parametrize("drop", [2, 3])
def test_dropped_frames_change_no_identity(kind, drop):
    tracker, seen = make_tracker(kind), set()
    for n, found in enumerate(walkers(3)):
        if n % drop != drop - 1:
            seen |= set(lanes(tracker.update(found, n / 10)))
    assert len(seen) == 5


@EACH_KIND
@pytest.mark.parametrize("gap_s", [0.3, 0.7])
def test_who_is_hidden_for_a_short_time_keeps_the_identity(kind, gap_s):
    tracker = make_tracker(kind)
    for n in range(20):
        tracker.update(detections([(100 + 4 * n, 200)], size=(30, 80)), n / 10)
    back_s = 1.9 + gap_s
    found = detections([(100 + 40 * back_s, 200)], size=(30, 80))
    assert tracker.update(found, back_s).track_id.tolist() == [1]


@EACH_KIND
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_identities_are_unique_in_a_frame_and_never_come_back(kind, seed):
    random, tracker, ended = np.random.default_rng(seed), make_tracker(kind), set()
    for n in range(25):
        feet = random.uniform(0, 200, (random.integers(0, 9), 2)).tolist()
        tracked = tracker.update(detections(feet), n * 0.2).track_id.tolist()
        assert len(set(tracked)) == len(tracked)
        assert not ended & set(tracked)
        ended |= set(tracker.ended)


@EACH_KIND
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_detections_does_not_matter(kind, seed):
    random = np.random.default_rng(seed)
    one, other, names = make_tracker(kind), make_tracker(kind), {}
    for n, found in enumerate(walkers(seed)):
        order = random.permutation(len(found))
        straight = one.update(found, n / 10)
        mixed = other.update(found[order], n / 10)
        assert sorted(straight.xyxy.tolist()) == sorted(mixed.xyxy.tolist())
        boxes = {tuple(b): k for b, k in zip(mixed.xyxy.tolist(), mixed.track_id, strict=True)}
        for box, identity in zip(straight.xyxy.tolist(), straight.track_id, strict=True):
            assert names.setdefault(int(identity), boxes[tuple(box)]) == boxes[tuple(box)]


@EACH_KIND
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_odd_boxes_leave_no_value_that_is_not_finite(kind, seed):
    random, tracker, t_s = np.random.default_rng(seed), make_tracker(kind), 0.0
    for _ in range(20):
        num = int(random.integers(0, 5))
        corner = random.uniform(-50, 2000, (num, 2))
        size = random.choice([0.0, 1e-3, 1.0, 40.0, 4000.0], (num, 2))
        boxes = np.hstack([corner, corner + size])
        tracker.update(Detections.of(boxes, random.random(num), np.zeros(num)), t_s)
        assert np.isfinite(tracker.state()["table"]).all()
        t_s += float(random.choice([1e-3, 0.04, 1.0, 30.0]))


@EACH_KIND
def test_a_kind_goes_on_where_another_was(kind):
    tracker = make_tracker("bytetrack")
    for n in range(10):
        tracker.update(detections([(100 + 4 * n, 200)], size=(30, 80)), n / 10)
    tracker.config = config_of(kind)
    assert tracker.update(detections([(140, 200)], size=(30, 80)), 1.0).track_id.tolist() == [1]


@EACH_KIND
def test_a_state_goes_on_in_another_tracker(kind):
    frames, one, other = walkers(5), make_tracker(kind), make_tracker(kind)
    for n, found in enumerate(frames[:20]):
        one.update(found, n / 10)
    other.restore(one.state())
    for n, found in enumerate(frames[20:], 20):
        expected = one.update(found, n / 10)
        assert lanes(other.update(found, n / 10)) == lanes(expected)


def test_streams_of_different_kinds_are_tracked_in_one_call():
    alone, together = [[make_tracker(kind) for kind in CONFIGS] for _ in range(2)]
    for n, found in enumerate(walkers(7)):
        expected = [tracker.update(found, n / 10) for tracker in alone]
        tracked = Tracker.update_all([(tracker, found, n / 10) for tracker in together])
        assert list(map(lanes, tracked)) == list(map(lanes, expected))


def crossing(tracker: Tracker, looks: bool) -> bool:
    """Whether two who meet, stand together hidden and turn back keep their identities."""
    rng, names = np.random.default_rng(1), {}
    appearance = np.eye(8, dtype=np.float32)[:2]
    for n in range(40):
        away = abs(n - 20) * 1.5
        if 17 <= n <= 23:
            tracker.update(Detections.empty(), n / 10, np.empty((0, 8), np.float32))
            continue
        found = detections([(300 - away, 200), (304 + away, 200)], size=(30, 80))
        seen = appearance + rng.normal(0, 0.1, (2, 8)).astype(np.float32)
        tracked = tracker.update(found, n / 10, seen if looks else None)
        left = dict(zip(tracked.xyxy[:, 0] < 287, tracked.track_id.tolist(), strict=True))
        for side, identity in left.items():
            names.setdefault(bool(side), set()).add(identity)
    return all(len(identities) == 1 for identities in names.values())


def test_deepsort_knows_by_its_looks_who_turned_back():
    assert crossing(make_tracker("deepsort"), looks=True)
    assert not crossing(make_tracker("deepsort"), looks=False)


def test_deepsort_says_once_that_it_goes_by_motion_alone(caplog):
    tracker = make_tracker("deepsort")
    with caplog.at_level(logging.WARNING):
        for n, found in enumerate(walkers(1)):
            tracker.update(found, n / 10)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no embeddings come with the detections"
    ]
    assert len(tracker) == 5


def test_looks_go_on_in_another_process():
    one, other = make_tracker("deepsort"), make_tracker("deepsort")
    looks = np.eye(8, dtype=np.float32)[:2]
    for n in range(5):
        one.update(detections([(100, 200), (300, 200)], size=(30, 80)), n / 10, looks)
    other.restore(one.state())
    np.testing.assert_array_equal(other.state()["looks"], 127 * looks.T)


def test_embeddings_must_be_one_for_each_detection():
    tracker = make_tracker("deepsort")
    with pytest.raises(ValueError, match=r"embeddings \[1, 8\]: expected \[2, d\]"):
        tracker.update(detections([(1, 1), (9, 9)]), 0.0, np.zeros((1, 8), np.float32))


def test_a_stream_chooses_its_tracker_by_name():
    assert StreamSpec(id="a", url="rtsp://host/a").tracker == "bytetrack"
    assert set(StreamSpec.model_fields["tracker"].annotation.__args__) == set(CONFIGS)
    with pytest.raises(ValueError, match="choose one of bytetrack, sort, ocsort, deepsort"):
        make_tracker("boost")


@EACH_KIND
def test_a_stream_that_changes_its_tracker_keeps_its_tracks(kind):
    pipeline = StreamPipeline(stream_spec())
    for n in range(10):
        pipeline.process(frame_result(n, detections([(100 + 4 * n, 200)])))
    pipeline.replace_spec(stream_spec(tracker=kind))
    for n in range(10, 14):
        pipeline.process(frame_result(n, detections([(100 + 4 * n, 200)])))
        assert pipeline.tracked.track_id.tolist() == [1]


def test_embeddings_take_a_byte_a_value_on_their_way_and_stay_what_they_are():
    random = np.random.default_rng(3)
    looks = unit(random.normal(size=(512, 50)).astype(np.float32))
    looks[:, 7] = 0  # of a track that no embedding has come of
    gone = packed(looks)
    assert gone.nbytes == 512 * 50
    cosines = (unit(gone.astype(np.float32)) * looks).sum(axis=0)
    assert cosines[7] == 0
    assert np.delete(cosines, 7).min() > 0.999
