"""What all tests share: one real Sightline, started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.config import SightlineConfig
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.world import Scenario, render_clip
from cluster.embedded import free_port
from cluster.local import LocalCluster
from cluster.runtime import prepare_environment
from cluster.security.finding import token_of_file
from tests.cluster.system import CAMERAS, System, stream_job
from tests.standstill import pytest_runtest_protocol

__all__ = ["pytest_runtest_protocol"]

prepare_environment()  # some tests import Ray long before the first one starts it

CONFIG = {
    "cameras": {"open_timeout_s": 2.0, "read_timeout_s": 1.5},
    "slots": {
        "device": "cpu",
        "max_streams": 16,
        "spares": True,
        "num_cpus": 0.5,
        "far_ingest": {"num": 1, "num_cpus": 0.1, "max_width": 320, "max_height": 180},
    },
    "lease": {"ttl_s": 10},
}


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a Sightline of these tests makes its tokens, and its clients find them."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, state_home: Path) -> Iterator[System]:
    """Four cameras, watched."""
    folder = tmp_path_factory.mktemp("clips")
    clip = _clip(folder / "street.mp4", 640, 360)
    small_clip = _clip(folder / "small.mp4", 320, 180)
    config = SightlineConfig.model_validate({**CONFIG, "api": {"port": free_port()}})
    with (
        RunningCameraServer([Camera(name, clip) for name in CAMERAS]) as server,
        LocalCluster(config) as cluster,
        cluster.client() as api,
    ):
        token = token_of_file(state_home / "sightline" / "tokens")
        system = System(cluster, api, server, clip, small_clip, token)
        for camera in CAMERAS:
            api.post("/v1/streams", stream_job(system, camera))
        yield system


def _clip(path: Path, width: int, height: int) -> Clip:
    render_clip(Scenario(seed=5, view="bridge", width=width, height=height, duration_s=8), path)
    return Clip.open(path)
