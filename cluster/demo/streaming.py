"""Feeds on the air and in the API: cameras served, jobs submitted, counts read, frames settled."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.client import ApiClient
from cluster.demo.clips import cache_dir
from cluster.demo.feeds import Feed, job
from cluster.demo.rtsp import CameraProcess
from cluster.demo.rtsp.process import ServedCamera
from cluster.errors import ClusterError

_SETTLE_TIMEOUT_S = 15.0

Stats = dict[str, Any]


@contextlib.contextmanager
def serve_cameras(feeds: Sequence[Feed]) -> Iterator[Mapping[str, ServedCamera]]:
    """Serve the films as RTSP cameras; somebody else's cameras need nothing."""
    clips = {feed.name: feed.clip for feed in feeds if feed.clip is not None}
    if not clips:
        yield {}
        return
    with CameraProcess(clips, cache_dir=cache_dir()) as process:
        yield process.cameras


def submit(
    api: ApiClient,
    feeds: Sequence[Feed],
    cameras: Mapping[str, ServedCamera],
    max_fps: float | None,
) -> None:
    """Post the stream job of each feed."""
    for number, feed in enumerate(feeds):
        url = cameras[feed.name].url if feed.clip is not None else feed.url
        api.post("/v1/streams", job(feed, number, url, max_fps))


def statistics(api: ApiClient, feeds: Sequence[Feed]) -> list[Stats]:
    """What the API says of each feed's stream; streams that it does not know are left out."""
    found = []
    for feed in feeds:
        with contextlib.suppress(ClusterError):
            found.append(api.get(f"/v1/streams/{feed.name}/stats"))
    return found


def settle(api: ApiClient, feeds: Sequence[Feed]) -> list[Stats]:
    """Close the cameras, wait until every frame has ended, and return the last counts."""
    for feed in feeds:
        api.patch(f"/v1/streams/{feed.name}", {"enabled": False})
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    while not _all_ended(streams := statistics(api, feeds)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return streams


def is_balanced(stats: Stats) -> bool:
    """Every decoded frame ended in exactly one place."""
    ended = stats["inferred"] + sum(stats["dropped"].values())
    return bool(stats["decoded"] == ended)


def _all_ended(streams: list[Stats]) -> bool:
    return all(s["slot"] is None and s["in_flight"] == 0 for s in streams)
