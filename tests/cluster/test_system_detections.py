"""What benches of clusters see of a running system from outside."""

from __future__ import annotations

import os

import pytest

from cluster.bench.detections import DetectionWatch
from tests.cluster.system import CAMERAS, System

pytestmark = pytest.mark.ray


def test_detections_of_each_camera_are_seen_in_shared_memory(system: System) -> None:
    watch = DetectionWatch([*CAMERAS, "nobody"], os.getpid())
    try:
        for camera in CAMERAS:
            system.await_more_frames(camera)
        seen = {camera: watch.seen_at(camera) for camera in (*CAMERAS, "nobody")}
    finally:
        watch.close()
    assert all(seen[camera] for camera in CAMERAS), seen
    assert not seen["nobody"]
