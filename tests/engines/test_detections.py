"""Detections as values: how they cross a process."""

from __future__ import annotations

import pickle

import numpy as np

from engines.detections import Detections


def test_detections_cross_a_process_unchanged() -> None:
    before = Detections.of(
        np.arange(12).reshape(3, 4), np.array([0.9, 0.8, 0.7]), np.array([2, 1, 0]), np.arange(3)
    )
    for detections in (before, Detections.empty()):
        after = pickle.loads(pickle.dumps(detections))
        for name in ("xyxy", "confidence", "class_id", "track_id"):
            np.testing.assert_array_equal(getattr(after, name), getattr(detections, name))
            assert getattr(after, name).dtype == getattr(detections, name).dtype
