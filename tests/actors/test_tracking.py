"""Tracker: identities across motion, gaps and frame rates, and figures on real sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.tracking import Tracker, TrackerConfig, boxes, kalman
from engines.detections import Detections
from tests.actors import mot_metrics
from tests.actors.builders import CAR, detections

MOT = Path(__file__).parents[3] / "shared" / "data" / "mot"
PERSON, TRUCK = 0, 2
ONE = np.zeros(1, dtype=np.intp)


def identities_of_a_drive(fps: float, speed_px_s: float, seed: int) -> list[set[int]]:
    """Three cars, 40 px long, in lanes 34 px apart; one in 20 detections is missing."""
    random, tracker = np.random.default_rng(seed), Tracker()
    identities: list[set[int]] = [set(), set(), set()]
    for t_s in np.cumsum(random.uniform(0.7, 1.3, int(6 * fps)) / fps):
        lanes = [lane for lane in range(3) if random.random() > 0.05]
        x = -0.4 * speed_px_s + speed_px_s * t_s
        feet = [(640 - x if lane == 1 else x, 100 + 34 * lane) for lane in lanes]
        found = detections([tuple(np.array(foot) + random.normal(0, 1.2, 2)) for foot in feet])
        tracked = tracker.update(found, float(t_s))
        for box, identity in zip(tracked.xyxy, tracked.track_id, strict=True):
            identities[round((box[3] - 100) / 34)].add(int(identity))
    return identities


@pytest.mark.parametrize(
    ("fps", "speed_px_s"), [(5, 50), (5, 200), (5, 300), (10, 400), (25, 400), (1, 20)]
)
def test_cars_keep_one_identity_at_any_rate_up_to_a_length_and_a_half_a_frame(fps, speed_px_s):
    for seed in range(5):
        assert [len(ids) for ids in identities_of_a_drive(fps, speed_px_s, seed)] == [1, 1, 1]


def test_identities_count_from_one_and_are_given_at_the_second_observation():
    tracker = Tracker()
    assert len(tracker.update(detections([(100, 100), (300, 100)]), 0.0)) == 0
    second = tracker.update(detections([(102, 100), (302, 100)]), 0.1)
    assert second.track_id.tolist() == [1, 2]


def test_a_confirmed_track_comes_with_its_first_observation():
    tracker = Tracker()
    tracker.update(detections([(100, 100)]), 0.0)
    tracker.update(detections([(110, 100)]), 0.1)
    birth = tracker.births[1]
    assert birth.t_s == 0.0
    assert birth.xyxy.tolist() == [80, 76, 120, 100]
    assert birth.confidence == pytest.approx(0.9)
    tracker.update(detections([(120, 100)]), 0.2)
    assert tracker.births == {}


def test_boxes_and_confidences_are_those_of_the_detections():
    tracker, found = Tracker(), detections([(111.5, 90)], confidence=0.7)
    tracker.update(detections([(110, 90)]), 0.0)
    tracked = tracker.update(found, 0.1)
    assert tracked.xyxy.tolist() == found.xyxy.tolist()
    assert tracked.confidence.tolist() == found.confidence.tolist()


def test_an_object_that_is_hidden_for_a_second_keeps_its_identity():
    tracker = Tracker()
    for n in range(10):
        tracker.update(detections([(100 + 5 * n, 100)]), n / 10)
    for n in range(10, 20):
        assert len(tracker.update(Detections.empty(), n / 10)) == 0
    assert tracker.update(detections([(100 + 5 * 20, 100)]), 2.0).track_id.tolist() == [1]


def test_a_track_ends_once_after_it_was_lost_for_too_long():
    tracker = Tracker(TrackerConfig(max_lost_s=1.0))
    for n in range(5):
        tracker.update(detections([(100, 100)]), n / 10)
    ended = []
    for n in range(5, 30):
        tracker.update(Detections.empty(), n / 10)
        ended += tracker.ended
    assert ended == [1]
    assert len(tracker) == 0
    tracker.update(detections([(100, 100)]), 3.0)
    assert tracker.update(detections([(100, 100)]), 3.1).track_id.tolist() == [2]


def test_unsure_detections_continue_a_track_but_begin_none():
    tracker = Tracker()
    for n in range(5):
        tracker.update(detections([(100, 100)]), n / 10)
    faint = detections([(100, 100), (400, 100)], confidence=0.2)
    for n in range(5, 10):
        assert tracker.update(faint, n / 10).track_id.tolist() == [1]


def test_the_class_is_that_of_most_votes():
    tracker, seen = Tracker(), []
    for n, class_id in enumerate([CAR, CAR, CAR, TRUCK, CAR]):
        tracked = tracker.update(detections([(100 + n, 100)], class_id=class_id), n / 10)
        seen += zip(tracked.track_id.tolist(), tracked.class_id.tolist(), strict=True)
    assert seen == [(1, CAR)] * 4


def test_overlapping_objects_of_two_classes_do_not_swap():
    tracker = Tracker()
    for n in range(10):
        rider = detections([(100 + 8 * n, 96)], size=(36, 24), class_id=PERSON)
        bike = detections([(104 + 8 * n, 100)], size=(36, 24), class_id=CAR)
        order = [rider, bike] if n % 2 else [bike, rider]
        both = Detections.of(
            np.vstack([d.xyxy for d in order]),
            np.concatenate([d.confidence for d in order]),
            np.concatenate([d.class_id for d in order]),
        )
        tracked = tracker.update(both, n / 10)
        by_class = dict(zip(tracked.class_id.tolist(), tracked.track_id.tolist(), strict=True))
        assert by_class in ({}, {CAR: 1, PERSON: 2})


def test_time_must_advance():
    tracker = Tracker()
    tracker.update(Detections.empty(), 1.0)
    with pytest.raises(ValueError, match=r"1.0 s came after 1.0 s"):
        tracker.update(Detections.empty(), 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_whatever_is_found_each_identity_appears_once_a_frame_and_never_comes_back(seed, num):
    random, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(max_lost_s=0.3))
    ended: set[int] = set()
    for n in range(20):
        found = detections(random.uniform(0, 200, (random.integers(0, num + 1), 2)).tolist())
        tracked = tracker.update(found, n * 0.2).track_id.tolist()
        assert len(set(tracked)) == len(tracked)
        assert not ended & set(tracked)
        ended |= set(tracker.ended)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_streams_that_are_tracked_together_do_not_see_each_other(seed, num):
    random = np.random.default_rng(seed)
    alone, together = [Tracker() for _ in range(num)], [Tracker() for _ in range(num)]
    for n in range(15):
        found = [
            detections(random.uniform(0, 150, (random.integers(0, 6), 2)).tolist(), class_id=stream)
            for stream in range(num)
        ]
        times_s = [n * 0.1 * (stream + 1) for stream in range(num)]
        frames = list(zip(together, found, times_s, strict=True))
        for one, other, (_, own, t_s), tracked in zip(
            alone, together, frames, Tracker.update_all(frames), strict=True
        ):
            expected = one.update(own, t_s)
            assert tracked.track_id.tolist() == expected.track_id.tolist()
            assert tracked.class_id.tolist() == expected.class_id.tolist()
            assert tracked.xyxy.tolist() == expected.xyxy.tolist()
            assert (other.ended, other.births.keys()) == (one.ended, one.births.keys())


def test_kalman_steps_of_any_length_predict_alike():
    state = kalman.begin(np.array([[50.0], [60], [20], [10]]))
    kalman.correct(state, boxes.of_centres(np.array([[55.0], [60], [20], [10]])))
    once, twice = state.copy(), state.copy()
    kalman.predict(once, [0.4], ONE)
    for step_s in (0.1, 0.3):
        kalman.predict(twice, [step_s], ONE)
    np.testing.assert_allclose(twice, once, rtol=1e-9)


def test_kalman_takes_tracks_of_several_pictures_ahead_as_it_does_those_of_one():
    random = np.random.default_rng(4)
    states = random.uniform(1, 90, (kalman.NUM_ROWS, 4, 6))
    picture, steps_s = np.array([0, 0, 0, 1, 2, 2]), [0.04, 0.2, 1.7]
    apart, together = states.copy(), states.copy()
    for track, number in enumerate(picture):
        one = np.ascontiguousarray(states[:, :, track : track + 1])
        kalman.predict(one, [steps_s[number]], ONE)
        apart[:, :, track : track + 1] = one
    kalman.predict(together, steps_s, picture)
    np.testing.assert_allclose(together, apart, rtol=1e-9)


def test_kalman_learns_a_speed_in_pixels_a_second():
    state = kalman.begin(np.array([[0.0], [50], [40], [20]]))
    for n, t_s in enumerate(np.cumsum([0.1, 0.3] * 20)):
        kalman.predict(state, [0.3 if n % 2 else 0.1], ONE)
        kalman.correct(state, boxes.of_centres(np.array([[30 * t_s], [50], [40], [20]])))
    assert state[kalman.VELOCITY, :, 0].tolist() == pytest.approx([30, 0, 0, 0], abs=0.5)


def test_a_box_is_the_same_in_all_ways_to_say_it_whether_corners_are_given_or_its_centre():
    corners = np.array([[10.0, 0.1], [20, 0.2], [40, 100.3], [60, 7.7]])
    table = boxes.of_corners(corners)
    assert table[boxes.XYXY].tolist() == corners.tolist()
    assert table[boxes.BOXES, 0].tolist() == [25, 40, 30, 40]
    assert table[boxes.EDGES, 0].tolist() == [40, 60, -10, -20]
    assert table[boxes.EXTENT, 0].tolist() == [1200, 40]
    np.testing.assert_allclose(boxes.of_centres(table[boxes.BOXES]), table, rtol=1e-12, atol=1e-12)


def test_a_step_adds_the_noise_of_acceleration_and_of_a_random_walk():
    state = kalman.begin(np.array([[50.0], [60], [20], [10]]))
    expected = state[:, :1, 0].ravel()
    kalman.predict(state, [0.2], ONE)
    ahead = np.array([[1, 0.2], [0, 1]])
    noise = 200 * 0.09 * np.array([[0.2**3 / 3, 0.2**2 / 2], [0.2**2 / 2, 0.2]])
    noise[0, 0] += 200 * 0.01 * 0.2
    variances = ahead @ np.array([[expected[2], 0], [0, expected[4]]]) @ ahead.T + noise
    found = state[kalman.VAR_POSITION :, 0, 0]
    np.testing.assert_allclose(found, [variances[0, 0], variances[0, 1], variances[1, 1]])


def test_who_is_not_seen_is_as_it_would_be_if_nobody_was_seen():
    def after(boxes_px: list[tuple[float, float]]) -> np.ndarray:
        tracker = Tracker()
        for n in range(5):
            tracker.update(detections([(100 + 5 * n, 100), (400 - 5 * n, 100)]), n / 10)
        tracker.update(detections(boxes_px), 0.5)
        return tracker.state()["table"][:, 0]

    assert after([(375, 100)]).tolist() == after([]).tolist()


@pytest.mark.parametrize("num", [20, 40])
def test_few_boxes_and_many_are_compared_alike(num):
    random, tracker = np.random.default_rng(1), Tracker()
    feet = random.uniform(0, 1000, (num, 2))
    for n in range(3):
        tracked = tracker.update(detections((feet + n).tolist()), n / 10)
    assert tracked.track_id.tolist() == list(range(1, num + 1))


def test_frames_with_nothing_or_only_unsure_detections_keep_a_track_but_begin_none():
    tracker = Tracker()
    assert len(tracker.update(detections([(100, 100)], confidence=0.2), 0.0)) == 0
    tracker.update(detections([(100, 100)]), 0.1)
    tracker.update(detections([(100, 100)]), 0.2)
    assert len(tracker.update(detections([(100, 100)], confidence=0.05), 0.3)) == 0
    assert tracker.update(detections([(100, 100)], confidence=0.2), 0.4).track_id.tolist() == [1]


def tracked_score(sequence: mot_metrics.Sequence, config: TrackerConfig) -> mot_metrics.Score:
    tracker = Tracker(config)
    tracks = {
        n + 1: tracker.update(found, n / sequence.fps)
        for n, found in enumerate(sequence.detections)
    }
    return mot_metrics.score(sequence, tracks)


# The thresholds that the baseline (ByteTrack of the `trackers` package) was measured with.
BASELINE_CONFIG = TrackerConfig(high_confidence=0.6, begin_confidence=0.7)


@pytest.mark.data
@pytest.mark.skipif(not MOT.exists(), reason="needs ../shared/data/mot")
def test_pets_is_tracked_better_than_by_the_bytetrack_baseline():
    result = tracked_score(mot_metrics.read_sequence(MOT / "MOT15/PETS09-S2L1"), BASELINE_CONFIG)
    assert result.mota >= 58.6
    assert result.idf1 >= 45.4 + 5


@pytest.mark.data
@pytest.mark.skipif(not MOT.exists(), reason="needs ../shared/data/mot")
@pytest.mark.parametrize(
    ("name", "baseline_mota", "baseline_idf1"),
    [
        ("MOT15/TUD-Stadtmitte", 70.6, 76.0),
        ("MOT15/TUD-Campus", 57.9, 60.3),
        ("MOT17/MOT17-09", 54.9, 51.0),
    ],
)
def test_static_cameras_are_tracked_about_as_well_as_by_the_bytetrack_baseline(
    name, baseline_mota, baseline_idf1
):
    detector = "det/det_frcnn.txt" if name.startswith("MOT17") else "det/det.txt"
    result = tracked_score(mot_metrics.read_sequence(MOT / name, detector), BASELINE_CONFIG)
    assert result.mota >= baseline_mota - 0.5
    assert result.idf1 >= baseline_idf1
