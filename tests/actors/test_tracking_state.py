"""A tracker that goes on in another process gives the tracks that it would have given here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.tracking import Tracker
from engines.detections import Detections

NUM_FRAMES = 40


def pictures(seed: int) -> list[Detections]:
    """Six objects that drift, hide, change their class and are seen with any confidence."""
    random = np.random.default_rng(seed)
    places, steps = random.uniform(50, 900, (6, 2)), random.uniform(-12, 12, (6, 2))
    frames = []
    for _ in range(NUM_FRAMES):
        places += steps
        seen = random.random(6) > 0.15
        feet = places[seen] + random.normal(0, 1, (int(seen.sum()), 2))
        boxes = np.hstack([feet - np.array([20, 40]), feet + np.array([20, 0])])
        confidence = random.choice([0.2, 0.55, 0.7, 0.9], len(feet))
        frames.append(Detections.of(boxes, confidence, random.integers(0, 3, len(feet))))
    return frames


def follow(tracker: Tracker, frames: list[Detections], first: int = 0) -> list[object]:
    """All that the tracker says of each frame."""
    said: list[object] = []
    for n, found in enumerate(frames, first):
        tracked = tracker.update(found, n / 10)
        births = {k: (b.xyxy.tolist(), b.confidence, b.t_s) for k, b in tracker.births.items()}
        arrays = tracked.xyxy, tracked.confidence, tracked.class_id, tracked.track_id
        said.append(([each.tolist() for each in arrays], births, tracker.ended, len(tracker)))
    return said


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, NUM_FRAMES))
def test_a_restored_tracker_goes_on_exactly(seed, cut):
    frames = pictures(seed)
    whole = follow(Tracker(), frames)
    before, after = Tracker(), Tracker()
    parts = follow(before, frames[:cut])
    after.restore(before.state())
    assert parts + follow(after, frames[cut:], cut) == whole
    assert whole[-1][3] > 0  # type: ignore[index]


@pytest.mark.parametrize(
    "table",
    [np.zeros((5, 2)), np.zeros((40, 2), dtype=np.float32), np.zeros(40), np.full((40, 1), np.nan)],
)
def test_a_table_that_is_no_trackers_is_refused(table):
    with pytest.raises(ValueError, match="tracks"):
        Tracker().restore({"table": table, "num_identities": 2, "t_s": 1.0})


def test_a_state_without_tracks_is_refused():
    with pytest.raises(KeyError, match="table"):
        Tracker().restore({"num_identities": 2, "t_s": 1.0})
