"""(c) The whole path: cameras in real time to events, more and more of them until it fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cluster.bench.e2e import await_all, percentiles, rate_fps
from cluster.bench.gpu.farm import Farm, path_feeds, serve_farm
from cluster.bench.gpu.films import FPS
from cluster.bench.gpu.stages import Slot, stage_latencies
from cluster.bench.gpu.usage import GpuGauges, busy_cores, cpu_times, cpu_us_a_frame, spent
from cluster.client import ApiClient
from cluster.config import SightlineConfig
from cluster.demo.feeds import Feed, job
from cluster.demo.streaming import Stats, is_balanced, settle, statistics
from cluster.embedded import free_port
from cluster.local import LocalCluster

_SLOTS_A_CAMERA = 6
_IDLE_S = 2.5
_WARM_UP_S = 8.0
_MIN_DECODED = 0.98
"""Less than so much of what the cameras send means that frames were lost before the decoder."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PathPlan:
    """What to run.

    Attributes:
        first: Cameras at the start.
        step: How many are added each time; None measures the first number only.
        max_cameras: Where to end at the latest.
        seconds: For each number of cameras, after the warm-up.
        max_p95_ms: The path has failed where it takes longer, arrival to detections.
        slots: The section ``slots`` of the configuration.
        pipeline: Fields of the pipeline.
    """

    first: int
    step: int | None
    max_cameras: int
    seconds: float
    max_p95_ms: float
    slots: Mapping[str, Any]
    pipeline: Mapping[str, Any]

    @property
    def num_feeds(self) -> int:
        """Cameras that are served from the start."""
        return self.first if self.step is None else max(self.first, self.max_cameras)


def measure_path(films: Sequence[Path], plan: PathPlan, report: Report) -> dict[str, Any]:
    """Add cameras until frames are lost, or detections come too late.

    Args:
        films: The cameras share them.
        plan: What to run.
        report: Told what is being measured.

    Returns:
        ``steps``, one a number of cameras; ``best``, the last of them that held; the ledger;
        GPU memory before the first camera, of one more, and of each with what all need.
    """
    feeds = path_feeds(films, plan.num_feeds)
    with (
        serve_farm(feeds) as farm,
        LocalCluster(_config(plan), report=report) as cluster,
        cluster.client() as api,
    ):
        idle_mb = _memory_mb()
        steps = _raise(api, feeds, farm, plan, report)
        opened = {stream["id"] for stream in api.get("/v1/streams")["streams"]}
        final = settle(api, [feed for feed in feeds if feed.name in opened])
    held = [step for step in steps if step["holds"]]
    return {
        "steps": steps,
        "best": held[-1] if held else None,
        "idle_mb": idle_mb,
        "mb_a_stream": mb_a_stream(steps),
        "mb_a_stream_with_contexts": mb_with_contexts(steps, idle_mb),
        "ledger_balanced": all(is_balanced(stats) for stats in final),
    }


def judge(step: Mapping[str, Any], max_p95_ms: float) -> bool:
    """Whether so many cameras are served: no frame lost, detections in time."""
    is_whole = step["decoded_fps"] >= _MIN_DECODED * step["cameras"] * FPS
    return is_whole and not step["lost"] and step["latency_ms"]["p95"] <= max_p95_ms


def mb_a_stream(steps: Sequence[Mapping[str, Any]]) -> float | None:
    """GPU memory that a camera more takes; None where only one number of cameras was measured."""
    known = [(s["cameras"], s["gpu"]["memory_mb"]) for s in steps if "memory_mb" in s["gpu"]]
    if len(known) < 2:
        return None
    (few, low), (many, high) = known[0], known[-1]
    slope: float = (high - low) / (many - few)
    return round(slope, 1)


def mb_with_contexts(steps: Sequence[Mapping[str, Any]], idle_mb: float | None) -> float | None:
    """GPU memory that cameras take, each, with the context of each process that decodes them."""
    known = [(s["cameras"], s["gpu"]["memory_mb"]) for s in steps if "memory_mb" in s["gpu"]]
    if not known or idle_mb is None:
        return None
    num_cameras, memory_mb = known[-1]
    each: float = (memory_mb - idle_mb) / num_cameras
    return round(each, 1)


def _config(plan: PathPlan) -> SightlineConfig:
    return SightlineConfig.model_validate(
        {
            "api": {"port": free_port()},
            # The benchmark itself says what runs with MPS, and starts it.
            "slots": {
                "device": "cuda",
                "max_streams": plan.num_feeds,
                "mps": False,
                **plan.slots,
            },
            "pool": {"num_slots": _SLOTS_A_CAMERA * plan.num_feeds},
            "pipelines": {"default": plan.pipeline},
        }
    )


def _raise(
    api: ApiClient, feeds: Sequence[Feed], farm: Farm, plan: PathPlan, report: Report
) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    num_cameras, wanted = 0, plan.first
    while num_cameras < len(feeds):
        for feed in feeds[num_cameras:wanted]:
            # Number 0 sends over TCP: what UDP loses on loopback would not be ours to count.
            api.post("/v1/streams", job(feed, 0, farm.cameras[feed.name].url, None))
        num_cameras = min(wanted, len(feeds))
        wanted = num_cameras + (plan.step or 0)
        report(f"{num_cameras} cameras: starting")
        try:
            await_all(api, feeds[:num_cameras])
        except TimeoutError as error:
            report(f"{num_cameras} cameras: {error}")
            break
        time.sleep(_WARM_UP_S)
        step = _measure(api, feeds[:num_cameras], farm, plan.seconds, report)
        steps.append({**step, "holds": judge(step, plan.max_p95_ms)})
        report(f"{num_cameras} cameras: {step['inferred_fps']} frames/s, {step['latency_ms']}")
        if not steps[-1]["holds"]:
            break
    return steps


def _measure(
    api: ApiClient, feeds: Sequence[Feed], farm: Farm, seconds: float, report: Report
) -> dict[str, Any]:
    """Between two looks at the counts, which take time of what is measured, nothing is asked."""
    before, slot_before = statistics(api, feeds), _slot(api)
    report(f"{len(feeds)} cameras, {seconds:.0f} s")
    cpu, began = cpu_times(os.getpid(), farm.pids), time.monotonic()
    with GpuGauges() as gauges:
        time.sleep(seconds)
    used, elapsed_s = cpu_times(os.getpid(), farm.pids), time.monotonic() - began
    after, slot = statistics(api, feeds), _slot(api)
    num_inferred = rate_fps(before, after, "inferred") * elapsed_s
    names = {actor["pid"]: actor["name"] for actor in slot["details"]["actors"]}
    cpu_spent = spent(cpu, used)
    return {
        "cameras": len(feeds),
        "seconds": round(elapsed_s, 1),
        "decoded_fps": round(rate_fps(before, after, "decoded"), 1),
        "inferred_fps": round(rate_fps(before, after, "inferred"), 1),
        "latency_ms": percentiles(before, after),
        "cameras_p95_ms": of_cameras(before, after),
        "stages_ms": stage_latencies(slot_before, slot),
        "lost": losses(before, after),
        "cpu_us": cpu_us_a_frame(cpu_spent, names, num_inferred),
        "busy_cores": busy_cores(cpu_spent, names, elapsed_s),
        "gpu": gauges.medians,
        "engine": {k: slot[k] for k in ("batch_ms", "batch_fill", "utilisation", "batch_counts")},
        "decoders": decoders(after),
    }


def _memory_mb() -> float | None:
    with GpuGauges() as gauges:
        time.sleep(_IDLE_S)
    return gauges.medians.get("memory_mb")


def _slot(api: ApiClient) -> Slot:
    slot: Slot = api.get("/v1/slots")["slots"][0]
    return slot


def of_cameras(before: Sequence[Stats], after: Sequence[Stats]) -> dict[str, float]:
    """The p95 of single cameras, milliseconds: far apart where a process or a decoder lags."""
    found = [
        percentiles([a], [b])["p95"]
        for a, b in zip(before, after, strict=True)
        if b["inferred"] > a["inferred"]
    ]
    if not found:
        return {}
    return {"least": min(found), "median": round(median(found), 2), "most": max(found)}


def losses(before: Sequence[Stats], after: Sequence[Stats]) -> dict[str, int]:
    """Frames that were dropped in between, by reason, and packets that were refused."""
    found: dict[str, int] = {}
    for a, b in zip(before, after, strict=True):
        for reason, num in b["dropped"].items():
            found[reason] = found.get(reason, 0) + num - a["dropped"].get(reason, 0)
        found["refused"] = found.get("refused", 0) + b["decode_errors"] - a["decode_errors"]
    return {reason: num for reason, num in found.items() if num}


def decoders(streams: Sequence[Stats]) -> dict[str, int]:
    """How many streams each decoder has, with the reason where it is not the GPU's."""
    found: dict[str, int] = {}
    for stats in streams:
        source = stats["source"] or {"decoder": "none", "fallback": ""}
        name = ": ".join(filter(None, (source["decoder"], source["fallback"])))
        found[name] = found.get(name, 0) + 1
    return found
