"""What a Sightline of one machine starts before its Ray: the server, and where events wait."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
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


class SlowStart(BaseHTTPRequestHandler):
    """An API whose slot builds a plan for two questions long."""

    answers: Iterator[tuple[int, dict[str, object]]]

    def do_GET(self) -> None:
        status, document = next(self.answers)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing, on a test's terminal."""


def test_who_waits_for_the_first_model_is_told_that_its_plan_is_built() -> None:
    says = [f"slot-a is starting: building the plan of traffic ({n} s)" for n in (1, 2)]
    starting = [(503, {"errors": [{"field": "slots", "message": message}]}) for message in says]
    answers = [(503, {"no": "problem document"}), *starting, (200, {})]
    handler = type("Handler", (SlowStart,), {"answers": iter(answers)})
    told: list[str] = []
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = SightlineConfig.model_validate({"api": {"port": server.server_port}})
        LocalCluster(config, report=told.append).wait_ready()
        server.shutdown()
    assert told == [f"loading the model: {message}" for message in says]
