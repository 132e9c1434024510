"""A whole Sightline with four real cameras, started once for all tests that need it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from cluster.client import ApiClient
from cluster.demo.rtsp import Clip, RunningCameraServer
from cluster.local import LocalCluster

CAMERAS = ("cam0", "cam1", "cam2", "cam3")
FAULTY, OTHERS = CAMERAS[0], CAMERAS[1:]

Stats = dict[str, Any]


@dataclass(frozen=True)
class System:
    """What runs, and how to ask it."""

    cluster: LocalCluster
    api: ApiClient
    server: RunningCameraServer
    clip: Clip
    small_clip: Clip
    token: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request as ``curl`` would send it, with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = self.cluster.api_url + path
        return httpx.request(method, url, headers=headers, timeout=20, trust_env=False, **options)

    def stats(self, stream: str) -> Stats:
        return dict(self.api.get(f"/v1/streams/{stream}/stats"))

    def pid(self, actor: str) -> int:
        (slot,) = self.api.get("/v1/slots")["slots"]
        return int(next(a["pid"] for a in slot["details"]["actors"] if a["name"] == actor))

    def await_actor(self, actor: str, timeout_s: float = 60.0) -> None:
        """Wait until an actor of the slot answers: those that are started last take a while."""
        deadline = time.monotonic() + timeout_s
        while True:
            (slot,) = self.api.get("/v1/slots")["slots"]
            known = {each["name"]: each["ready"] for each in slot["details"]["actors"]}
            if known.get(actor):
                return
            assert time.monotonic() < deadline, f"no {actor} within {timeout_s} s: {known}"
            time.sleep(0.1)

    def kill(self, actor: str) -> int:
        pid = self.pid(actor)
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_stats(
        self, stream: str, holds: Callable[[Stats], bool], timeout_s: float = 20.0
    ) -> Stats:
        """The stream's statistics as soon as they are as they should be."""
        deadline = time.monotonic() + timeout_s
        while not holds(stats := self.stats(stream)):
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {stats}"
            time.sleep(0.05)
        return stats

    def await_more_frames(self, stream: str, timeout_s: float = 20.0) -> Stats:
        """Wait until frames that are decoded from now on were inferred and analysed."""
        before = self.stats(stream)
        return self.await_stats(
            stream,
            lambda s: (
                s["state"] == "running"
                and s["analysed"] > before["analysed"] + 1
                and s["decoded"] > before["decoded"] + 10
            ),
            timeout_s,
        )


def stream_job(system: System, stream: str, **fields: Any) -> dict[str, Any]:
    """A job that costs little and whose frames have time."""
    rules = [{"kind": "line", "name": "middle", "points": [[0.0, 0.5], [1.0, 0.5]]}]
    return {
        "id": stream,
        "url": system.server.url(stream),
        "max_fps": 4,
        "qos": {"class": "low", "deadline_ms": 4000},
        "rules": rules,
        **fields,
    }
