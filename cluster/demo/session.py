"""The demo from start to end: films, cameras, cluster, streams, a live table, a report."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from cluster.client import ApiClient
from cluster.config import PipelineSpec, SightlineConfig
from cluster.demo.feeds import Feed
from cluster.demo.report import build_report
from cluster.demo.streaming import serve_cameras, settle, statistics, submit
from cluster.demo.table import render
from cluster.demo.watch import EventWatch
from cluster.embedded import free_port, is_free
from cluster.local import LocalCluster
from cluster.stopping import Stop

_REFRESH_S = 0.5


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked of the demo.

    Attributes:
        seconds: How long to watch; None goes on until Ctrl-C.
        max_fps: Frames a second that each stream may have inferred.
        model: ONNX file or ModelSpec; None for the detector that ships.
        port: Port of the API; None takes 8000, or a free one where that is taken.
    """

    seconds: float | None = None
    max_fps: float = 10.0
    model: Path | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of the system while it ran.

    Attributes:
        began: Wall clock of the process's start, set-up set aside.
        submitted: Wall clock of the first stream job.
        span: Wall clock from the last stream's first detections to the end.
        first_event: Wall clock of the first event; None where there was none.
        streams: Last statistics of each stream, after its camera was closed.
        events: All events.
    """

    began: float
    submitted: float
    span: tuple[float, float]
    first_event: float | None
    streams: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]


def run_demo(
    feeds: Sequence[Feed], options: DemoOptions, console: Console, setup_s: float
) -> dict[str, Any]:
    """Watch the feeds until the time is over or Ctrl-C; returns the report.

    Args:
        feeds: What to watch.
        options: How.
        console: Where the table is shown.
        setup_s: Seconds that the films took, which the report sets aside.
    """
    began = process_start() + setup_s
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Stop())
        status = stack.enter_context(console.status("starting the cameras"))
        cameras = stack.enter_context(serve_cameras(feeds))
        cluster = stack.enter_context(LocalCluster(_config(options), report=status.update))
        stop.take_signals()
        status.stop()
        api = stack.enter_context(cluster.client())
        watch = EventWatch(cluster.client())
        stack.callback(watch.close)
        submitted = time.time()
        submit(api, feeds, cameras, options.max_fps)
        span = _show(api, feeds, watch, options.seconds, stop, console)
        streams = settle(api, feeds)
        seen = Watched(began, submitted, span, watch.first_at, streams, watch.events())
    return build_report(feeds, cameras, seen, setup_s)


def process_start() -> float:
    """Wall clock at which this process was started, seconds since 1970."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def _config(options: DemoOptions) -> SightlineConfig:
    port = options.port
    if port is None:
        port = 8000 if is_free(8000) else free_port()
    settings: dict[str, Any] = {"api": {"port": port}}
    if options.model is not None:
        settings["pipelines"] = {"default": PipelineSpec(model=str(options.model))}
    return SightlineConfig.model_validate(settings)


def _show(
    api: ApiClient,
    feeds: Sequence[Feed],
    watch: EventWatch,
    seconds: float | None,
    stop: Stop,
    console: Console,
) -> tuple[float, float]:
    """Refresh the table until the end; returns the span in which all streams were watched."""
    began = time.time()
    all_running = began
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while not stop.wait(_REFRESH_S):
            streams = statistics(api, feeds)
            if any(stream["inferred"] == 0 for stream in streams):
                all_running = time.time()
            elapsed = time.time() - began
            live.update(render(feeds, streams, watch, api.url, elapsed), refresh=True)
            if seconds is not None and elapsed >= seconds:
                break
    return all_running, time.time()
