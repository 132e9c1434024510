"""The bench of events: recordings last, replays are the same to the byte, figures say what is."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from cluster.bench.events.figures import TYPES, Tally, judge
from cluster.bench.events.film import Film
from cluster.bench.events.noise import with_noise
from cluster.bench.events.recording import Recording
from cluster.bench.events.replay import digest, replay
from cluster.demo.scoring import Score
from cluster.demo.world import Scenario, Truth, World
from engines.detections import Detections

EVERY = 4


@pytest.fixture(scope="module")
def recording() -> Recording:
    """A street in which nothing hides anything, and a detector that never errs."""
    scenario = Scenario(seed=21, view="street", fps=24, duration_s=20.0)
    truth = World(scenario).open_truth()
    frames = truth.frames[::EVERY]
    found = [Detections.of(f.xyxy, np.full(len(f), 0.9), f.class_id) for f in frames]
    return Recording(Truth(scenario, frames, truth.events), tuple(found))


def test_a_recording_comes_out_of_its_file_as_it_went_in(recording, tmp_path):
    recording.save(tmp_path / "film.json")
    loaded = Recording.load(tmp_path / "film.json")
    assert loaded.truth == recording.truth
    assert [len(found) for found in loaded.found] == [len(found) for found in recording.found]
    assert digest(loaded) == digest(loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["film.json"]


def test_a_replay_is_the_same_to_the_byte_in_every_process(recording, tmp_path):
    path = tmp_path / "film.json"
    recording.save(path)
    command = [sys.executable, "-m", "cluster.bench.events.replay", str(path)]
    printed = [
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    assert printed == [digest(Recording.load(path))] * 2


def test_noise_misses_moves_and_invents_boxes_and_is_the_same_each_time(recording):
    noisy, again = with_noise(recording.truth), with_noise(recording.truth)
    for one, other in zip(noisy, again, strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
    num_true = sum(int((~frame.ignore).sum()) for frame in recording.truth.frames)
    num_sure = sum(int((found.confidence > 0.7).sum()) for found in noisy)
    assert 0.9 * num_true < num_sure < num_true
    assert any((found.xyxy != true.xyxy[: len(found)]).any() for found, true in _pairs(recording))


def _pairs(recording: Recording):
    return zip(with_noise(recording.truth), recording.found, strict=True)


def test_events_from_true_boxes_are_right_and_none_is_said_twice(recording):
    judged = judge(recording)
    tallies = [judged.tallies["detector", type_] for type_ in ("line_cross", "zone_enter")]
    total = sum(tallies, Tally())
    assert total.score.num_true > 5
    assert total.score.recall == total.score.precision == 1.0
    assert judged.num_same_id == 0
    assert judged.num_events >= len(replay(recording, "detector"))
    assert set(type_ for _, type_ in judged.tallies) <= set(TYPES)


def test_a_tally_says_how_far_off_the_times_were():
    tally = Tally(Score(4, 4, 3, 3), 1, (0.1, -0.2, 0.0, 0.5))
    found = tally.to_dict()
    assert (found["precision"], found["recall"], found["num_repeated"]) == (0.75, 0.75, 1)
    assert (found["off_p50_s"], found["off_max_s"]) == (0.15, 0.5)


def test_the_detector_that_ships_looks_at_a_film_once(tmp_path):
    film = Film(20_004, "day", 2, 1.0)
    path = film.record(tmp_path)
    written = path.stat().st_mtime_ns
    recording = Recording.load(film.record(tmp_path))
    assert path.stat().st_mtime_ns == written
    assert [frame.index for frame in recording.truth.frames] == [0, 12]
    assert all(len(found) for found in recording.found)
