"""The whole path under load: real cameras, real inference, latency; and against a plain loop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cluster.bench.plain import plain_loop
from cluster.client import ApiClient
from cluster.config import PipelineSpec, SightlineConfig
from cluster.demo.clips import demo_clips, demo_scenarios
from cluster.demo.feeds import Feed, world_feeds
from cluster.demo.rtsp.process import ServedCamera
from cluster.demo.streaming import (
    Stats,
    is_balanced,
    serve_cameras,
    settle,
    statistics,
    submit,
)
from cluster.embedded import free_port
from cluster.local import LocalCluster
from cluster.models import resolve_model

_NUM_FILMS = 4
_WARM_UP_S = 5.0
_MAX_GROWTH = 3
_LEFT_OVER = 0.9
"""The engine is saturated where it infers less than so much of what is decoded."""

Report = Callable[[str], None]


def measure_e2e(
    *, num_cameras: int, fps: int, max_fps: float, seconds: float, report: Report
) -> dict[str, Any]:
    """Watch cameras in real time, then with no limit on inference, then run the plain loop.

    Where the cameras without a limit offer less than the engine can take, more are added.

    Args:
        num_cameras: RTSP cameras, 640x360; they share four films.
        fps: Of each camera.
        max_fps: Inferences a second and camera in the first part.
        seconds: Length of the first part; the others take half.
        report: Told what is being measured.

    Returns:
        ``realtime`` and ``saturated`` with frames a second and latency in ms, ``plain`` with frames
        a second, and ``saturated_over_plain``.
    """
    report("drawing the films")
    films = demo_clips(demo_scenarios(min(_NUM_FILMS, num_cameras), fps), lambda _done, _all: None)
    feeds = _feeds(world_feeds(films), num_cameras * _MAX_GROWTH)
    ours = _watch(feeds, num_cameras, max_fps, seconds, report)
    report("plain loop")
    saturated = ours["saturated"]
    plain = plain_loop(
        [path for path, _ in films],
        resolve_model(PipelineSpec()),
        seconds=seconds / 2,
        decoded_per_inferred=saturated["decoded_fps"] / saturated["inferred_fps"],
    )
    return {
        "cameras": num_cameras,
        "fps": fps,
        "max_fps": max_fps,
        **ours,
        "plain": plain,
        "saturated_over_plain": round(saturated["inferred_fps"] / plain["inferred_fps"], 3),
    }


def _watch(
    feeds: Sequence[Feed], num_cameras: int, max_fps: float, seconds: float, report: Report
) -> dict[str, Any]:
    """Both parts that need the cluster: in real time, then without a limit."""
    config = SightlineConfig.model_validate({"api": {"port": free_port()}})
    with (
        serve_cameras(feeds) as cameras,
        LocalCluster(config, report=report) as cluster,
        cluster.client() as api,
    ):
        report("warming up")
        first = feeds[:num_cameras]
        submit(api, first, cameras, max_fps)
        await_all(api, first)
        time.sleep(_WARM_UP_S)
        report(f"{num_cameras} cameras in real time, {seconds:.0f} s")
        realtime = _span(api, first, seconds)
        final = settle(api, first)
        report("saturating the engine")
        for feed in first:
            api.patch(f"/v1/streams/{feed.name}", {"enabled": True, "max_fps": None})
        saturated = _saturate(api, feeds, cameras, num_cameras, seconds / 2)
    return {
        "realtime": realtime,
        "ledger_balanced": all(is_balanced(stats) for stats in final),
        "dropped": sum_drops(final),
        "saturated": saturated,
    }


def _feeds(films: Sequence[Feed], num_cameras: int) -> list[Feed]:
    return [
        replace(films[i % len(films)], name=f"cam{i:03d}", qos_class="normal")
        for i in range(num_cameras)
    ]


def await_all(api: ApiClient, feeds: Sequence[Feed]) -> None:
    """Wait until a frame of each camera was inferred; TimeoutError after a minute says of what."""
    deadline = time.monotonic() + 60.0
    waiting = list(feeds)  # who runs is not asked again: answers take processor time, too
    while missing := [s for s in statistics(api, waiting) if not s["inferred"]]:
        ids = {s["id"] for s in missing}
        waiting = [feed for feed in waiting if feed.name in ids]
        if time.monotonic() > deadline:
            found = Counter(f"{s['state']}: {s['reason'] or 'no frame inferred'}" for s in missing)
            what = "; ".join(f"{num} {text}" for text, num in found.most_common(3))
            raise TimeoutError(
                f"{len(missing)} of {len(feeds)} cameras do not run after 60 s: {what}"
            )
        time.sleep(0.2)


def _span(api: ApiClient, feeds: Sequence[Feed], seconds: float) -> dict[str, Any]:
    """Frames a second and latency over a span; counts carry their own time."""
    before = statistics(api, feeds)
    time.sleep(seconds)
    after = statistics(api, feeds)
    rates = {
        f"{key}_fps": round(rate_fps(before, after, key), 2) for key in ("decoded", "inferred")
    }
    return {**rates, "latency_ms": percentiles(before, after)}


def rate_fps(before: Sequence[Stats], after: Sequence[Stats], key: str) -> float:
    """Frames a second of all streams by a count of theirs; counts carry their own time."""
    return float(
        sum(
            (b[key] - a[key]) / (b["updated_at"] - a["updated_at"])
            for a, b in zip(before, after, strict=True)
        )
    )


def _saturate(
    api: ApiClient,
    feeds: Sequence[Feed],
    cameras: Mapping[str, ServedCamera],
    num_running: int,
    seconds: float,
) -> dict[str, Any]:
    """What goes through when more is offered; half as many cameras are added where it is not."""
    await_all(api, feeds[:num_running])
    time.sleep(_WARM_UP_S)
    figures = {"cameras": num_running, **_span(api, feeds[:num_running], seconds)}
    more = feeds[num_running : num_running + max(1, num_running // 2)]
    if not more or figures["inferred_fps"] < _LEFT_OVER * figures["decoded_fps"]:
        return figures
    submit(api, more, cameras, None)
    return _saturate(api, feeds, cameras, num_running + len(more), seconds)


def percentiles(before: Sequence[Stats], after: Sequence[Stats]) -> dict[str, float]:
    """Of all frames of all cameras that were inferred in between."""
    counts: Counter[float] = Counter()
    for a, b in zip(before, after, strict=True):
        counts.update({float(ms): n for ms, n in b["latency_counts"].items()})
        counts.subtract({float(ms): n for ms, n in a["latency_counts"].items()})
    latencies = np.repeat(list(counts), [max(0, n) for n in counts.values()])
    return {f"p{p}": round(float(np.percentile(latencies, p)), 2) for p in (50, 95, 99)}


def sum_drops(streams: Sequence[Stats]) -> dict[str, int]:
    """Dropped frames of all streams by reason."""
    reasons = streams[0]["dropped"]
    return {reason: sum(s["dropped"][reason] for s in streams) for reason in reasons}
