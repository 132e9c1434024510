"""What a frame with twenty objects costs each tracker, in one run, by turns."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from actors.analytics.tracking import Tracker
from cluster.bench.tracking.contestants import Contestant
from cluster.bench.tracking.sequences import Rows
from engines.detections import Detections

NUM_OBJECTS = 20
NUM_STREAMS = 8
_NUM_FRAMES, _NUM_ROUNDS, _WARM_UP = 150, 5, 30
_FPS = 15
_HALF_PX = np.array([20.0, 50.0])


def drive(seed: int) -> list[Rows]:
    """Frames of a street: twenty objects that go straight on, some of them missed or unsure."""
    random = np.random.default_rng(seed)
    start = random.uniform((50, 50), (1800, 1000), (NUM_OBJECTS, 2))
    speed = random.uniform(-60, 60, (NUM_OBJECTS, 2))
    frames = []
    for n in range(_NUM_FRAMES):
        centre = start + speed * n / _FPS + random.normal(0, 1, (NUM_OBJECTS, 2))
        confidence = np.clip(random.normal(0.8, 0.15, NUM_OBJECTS), 0.1, 1)
        rows = np.column_stack([centre - _HALF_PX, centre + _HALF_PX, confidence])
        frames.append(rows[random.random(NUM_OBJECTS) > 0.03])
    return frames


def measure_cost(contestants: Sequence[Contestant]) -> dict[str, float]:
    """Median CPU time of a frame, microseconds; trackers take turns, so load meets all alike.

    Each frame comes in several rounds, and the shortest counts: a machine that does other work
    besides takes up to twice as long over the same instructions.

    Our default comes twice: alone, and with the frames of ``NUM_STREAMS`` streams in one call, as a
    shard calls it.
    """
    frames = drive(1)
    spent: dict[str, list[list[float]]] = {each.name: [] for each in contestants}
    together = f"bytetrack, {NUM_STREAMS} streams at once"
    spent[together] = []
    for _ in range(_NUM_ROUNDS):
        for each in contestants:
            spent[each.name].append(_time_alone(each, frames))
        spent[together].append(_time_together())
    return {name: float(np.median(np.min(rounds, axis=0))) for name, rounds in spent.items()}


def _time_alone(contestant: Contestant, frames: Sequence[Rows]) -> list[float]:
    follow, spent_us = contestant.begin(), []
    for n, rows in enumerate(frames):
        begin = time.thread_time()
        follow(rows, n / _FPS)
        spent_us.append(1e6 * (time.thread_time() - begin))
    return spent_us[_WARM_UP:]


def _time_together() -> list[float]:
    trackers = [Tracker() for _ in range(NUM_STREAMS)]
    films = [[_detections(rows) for rows in drive(seed)] for seed in range(NUM_STREAMS)]
    spent_us = []
    for n, found in enumerate(zip(*films, strict=True)):
        frames = [(tracker, each, n / _FPS) for tracker, each in zip(trackers, found, strict=True)]
        begin = time.thread_time()
        Tracker.update_all(frames)
        spent_us.append(1e6 * (time.thread_time() - begin) / NUM_STREAMS)
    return spent_us[_WARM_UP:]


def _detections(rows: Rows) -> Detections:
    return Detections.of(rows[:, :4], rows[:, 4], np.zeros(len(rows)))
