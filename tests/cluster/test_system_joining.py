"""``sightline up --address`` against a Ray that runs Sightline already."""

from __future__ import annotations

import subprocess
import sys

import pytest
import ray

from tests.cluster.cluster_files import CONFIGS
from tests.cluster.system import CAMERAS, System

pytestmark = pytest.mark.ray


def test_a_second_sightline_is_refused_and_the_first_runs_on(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_REDIS_URL", system.cluster.redis_url)
    monkeypatch.setenv("SIGHTLINE_ADMIN_SHA256", "0" * 64)
    command = [sys.executable, "-m", "cluster.cli", "up"]
    command += ["--address", ray.get_runtime_context().gcs_address]
    command += ["--config", str(CONFIGS / "clusters" / "sightline.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 1, result
    assert "runs on this Ray already" in " ".join(result.stderr.split())
    system.await_more_frames(CAMERAS[0])
