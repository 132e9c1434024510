"""A camera that moves: what all objects do at once is taken for its motion, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.tracking import Tracker, TrackerConfig, config_of
from actors.analytics.tracking.steadying import common_shifts
from engines.detections import Detections
from tests.actors import mot_metrics
from tests.actors.builders import detections

MOT = Path(__file__).parents[3] / "shared" / "data" / "mot"
SEEDS = st.integers(0, 10**6)
FIELDS = "xyxy", "confidence", "class_id", "track_id"


def common_shift(residuals: np.ndarray) -> tuple[float, float]:
    return common_shifts(residuals.copy(), np.array([residuals.shape[1]]))[0]


def test_what_all_do_at_once_is_the_shift():
    random = np.random.default_rng(1)
    residuals = np.array([[30.0], [-12.0]]) + random.normal(0, 1, (2, 15))
    assert common_shift(residuals) == pytest.approx((30, -12), abs=1)


def test_one_object_that_goes_its_own_way_changes_little():
    residuals = np.tile(np.array([[20.0], [5.0]]), 6)
    residuals[:, 2] = 500, -300
    assert common_shift(residuals) == pytest.approx((20, 5))


@pytest.mark.parametrize("num", [1, 2])
def test_too_few_objects_say_nothing_of_the_camera(num):
    assert common_shift(np.full((2, num), 40.0)) == (0.0, 0.0)


def test_objects_that_go_both_ways_do_not_move_the_camera():
    residuals = np.array([[9.0, -9, 8, -8, 10, -10], [1, 1, -1, -1, 0, 0]])
    assert common_shift(residuals) == (0.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, num=st.integers(3, 40))
def test_a_shift_is_never_more_than_the_median(seed, num):
    random = np.random.default_rng(seed)
    residuals = random.normal(random.normal(0, 5, (2, 1)), 3, (2, num))
    middle = np.sort(residuals, axis=1)[:, num // 2]
    x, y = common_shift(residuals)
    assert np.hypot(x, y) <= np.hypot(*middle) + 1e-9


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, counts=st.lists(st.integers(0, 12), min_size=2, max_size=6).filter(any))
def test_pictures_that_come_together_are_shifted_as_each_alone(seed, counts):
    random = np.random.default_rng(seed)
    apart = [random.normal(random.normal(0, 9, (2, 1)), 3, (2, num)) for num in counts]
    together = common_shifts(np.concatenate(apart, axis=1), np.array(counts))
    assert together == [common_shift(each) if each.size else (0.0, 0.0) for each in apart]


def panned(seed: int, num_frames: int = 30, max_px: float = 25.0) -> list[Detections]:
    """Eight people on two rows before a camera that turns, each second at another speed."""
    random = np.random.default_rng(seed)
    feet = np.array([(400 + 90 * (n % 4), 200 + 200 * (n // 4)) for n in range(8)], dtype=float)
    frames, speed = [], np.zeros(2)
    for n in range(num_frames):
        if n % 5 == 4:
            speed = random.uniform(-max_px, max_px, 2)
        feet += speed
        places = feet + random.normal(0, 0.5, (8, 2))
        frames.append(detections([(x, y) for x, y in places.tolist()], size=(40, 90)))
    return frames


def num_identities(tracker: Tracker, frames: list[Detections]) -> int:
    seen: set[int] = set()
    for n, found in enumerate(frames):
        seen |= set(tracker.update(found, n / 5).track_id.tolist())
    return len(seen)


def unsteadied(config: TrackerConfig) -> TrackerConfig:
    return replace(config, rounds=tuple(replace(r, steadies=False) for r in config.rounds))


def test_people_before_a_camera_that_turns_change_identities_less_often():
    config = config_of("bytetrack")
    steadied = [num_identities(Tracker(config), panned(seed)) for seed in range(8)]
    plain = [num_identities(Tracker(unsteadied(config)), panned(seed)) for seed in range(8)]
    assert sum(steadied) < sum(plain)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_streams_whose_cameras_turn_do_not_move_each_other(seed):
    films = [panned(seed, 12), panned(seed + 1, 12, max_px=4.0), panned(seed + 2, 12, 0.0)]
    alone, together = [Tracker() for _ in films], [Tracker() for _ in films]
    for n, found in enumerate(zip(*films, strict=True)):
        expected = [one.update(own, n / 5) for one, own in zip(alone, found, strict=True)]
        frames = [(tracker, own, n / 5) for tracker, own in zip(together, found, strict=True)]
        for tracked, own in zip(Tracker.update_all(frames), expected, strict=True):
            assert tracked.track_id.tolist() == own.track_id.tolist()
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(other.state()["table"], one.state()["table"], rtol=1e-6)


def street(seed: int, num_frames: int, num: int = 6) -> list[Detections]:
    """People who walk, each at a pace of their own, before a camera that stands still."""
    random = np.random.default_rng(seed)
    feet, pace = random.uniform(80, 560, (num, 2)), random.uniform(-3, 3, (num, 2))
    places = [feet + n * pace for n in range(num_frames)]
    return [detections([(x, y) for x, y in each.tolist()], size=(30, 70)) for each in places]


def are_apart(one: Detections, other: Detections) -> bool:
    """Whether nobody stands by chance where somebody of the other scene stood."""
    apart = np.abs(one.xyxy[:, None] - other.xyxy)[..., :2]
    return not (apart < (15, 35)).all(axis=2).any()


@pytest.mark.parametrize("fps", [6, 10, 25])
def test_nobody_goes_on_in_a_picture_of_another_scene(fps):
    """But for one cut in a hundred at most, that chance makes look as if the camera had turned."""
    num_cuts = num_missed = 0
    for seed in range(400):
        tracker, before = Tracker(), set()
        one, other = street(seed, 8), street(seed + 1, 3)
        if not are_apart(one[-1], other[0]):
            continue
        for n, found in enumerate(one):
            before |= set(tracker.update(found, n / fps).track_id.tolist())
        after = [
            tracker.update(found, (8 + n) / fps).track_id.tolist() for n, found in enumerate(other)
        ]
        assert before
        assert after[-1]
        num_cuts += 1
        num_missed += not before.isdisjoint(track for tracks in after for track in tracks)
    assert num_cuts > 200
    assert num_missed <= num_cuts / 100


def test_a_cut_of_one_stream_ends_no_track_of_another():
    films = [street(1, 8) + street(2, 2), street(3, 10)]
    trackers = [Tracker(), Tracker()]
    for n, found in enumerate(zip(*films, strict=True)):
        frames = [(each, own, n / 10) for each, own in zip(trackers, found, strict=True)]
        Tracker.update_all(frames)
        ended = [each.ended for each in trackers]
        assert [len(each) > 0 for each in ended] == [n == 8, False]


def test_who_steps_into_a_street_cuts_nothing():
    tracker = Tracker()
    for n, (few, more) in enumerate(zip(street(4, 9), street(5, 9), strict=True)):
        joined = detections([], size=(30, 70)) if n < 6 else more
        both = Detections(
            *(np.concatenate([getattr(few, f), getattr(joined, f)]) for f in FIELDS),
        )
        tracker.update(both, n / 10)
        assert not tracker.ended
    assert len(tracker) == 12


def test_a_camera_that_is_pushed_keeps_its_tracks():
    tracker = Tracker()
    for n, found in enumerate(street(6, 10)):
        pushed = replace(found, xyxy=found.xyxy + (14 if n >= 6 else 0))
        tracker.update(pushed, n / 10)
    assert len(tracker) == 6


def idf1(sequence: mot_metrics.Sequence, config: TrackerConfig) -> float:
    tracker, tracks = Tracker(config), {}
    for n, found in enumerate(sequence.detections):
        tracks[n + 1] = tracker.update(found, n / sequence.fps)
    return mot_metrics.score(sequence, tracks).idf1


@pytest.mark.data
@pytest.mark.skipif(not MOT.exists(), reason="needs ../shared/data/mot")
def test_a_camera_that_is_carried_through_a_street_costs_fewer_identities():
    sequence = mot_metrics.read_sequence(MOT / "MOT17/MOT17-10", "det/det_frcnn.txt")
    config = config_of("bytetrack")
    assert idf1(sequence, config) >= idf1(sequence, unsteadied(config)) + 5
