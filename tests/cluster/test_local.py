"""What a Sightline of one machine starts before its Ray: the server, and where events wait."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cluster.config import SightlineConfig
from cluster.local import LocalCluster
from cluster.slot.plan import redis_sink


def started(config: SightlineConfig, data_dir: Path | None, stack: contextlib.ExitStack) -> Path:
    """Start the server; returns where events wait for it."""
    cluster = LocalCluster(config, data_dir=data_dir)
    cluster._start_redis(stack)
    return redis_sink(cluster.config).spool_dir


def test_without_a_data_folder_the_events_that_wait_go_with_the_cluster() -> None:
    with contextlib.ExitStack() as stack:
        spool = started(SightlineConfig(), None, stack)
        (spool / "redis-sightline").mkdir()
    assert not spool.exists()


def test_with_a_data_folder_they_wait_beside_it_over_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            assert started(SightlineConfig(), tmp_path / "valkey", stack) == tmp_path / "spool"


def test_they_wait_where_the_configuration_says(tmp_path: Path) -> None:
    config = SightlineConfig.model_validate({"redis": {"spool_dir": tmp_path}})
    with contextlib.ExitStack() as stack:
        assert started(config, None, stack) == tmp_path
