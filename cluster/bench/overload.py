"""More cameras than the engine can serve, for real: our policy and a plain queue, one by one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

from actors.specs import CLASS_DEFAULTS, QosClass
from cluster.bench.e2e import await_all, percentiles, rate_fps, sum_drops
from cluster.client import ApiClient
from cluster.config import SightlineConfig
from cluster.demo.clips import demo_clips, demo_scenarios
from cluster.demo.feeds import Feed, world_feeds
from cluster.demo.rtsp.process import ServedCamera
from cluster.demo.streaming import Stats, is_balanced, serve_cameras, settle, statistics, submit
from cluster.embedded import free_port
from cluster.errors import UnavailableError
from cluster.local import LocalCluster

OVERLOAD = 1.4
NUM_MORE = 10
MAX_MOVED = 1.2
_MORE_CLASSES = (QosClass.NORMAL, QosClass.LOW)
_POLICIES = ("fifo", "qos")
_NUM_FILMS = 4
_WARM_UP_S = 8.0
_CAPACITY_S = 10.0

Report = Callable[[str], None]


def measure_overload(
    *, num_cameras: int, fps: int, max_fps: float, seconds: float, report: Report
) -> dict[str, Any]:
    """Ask 1.4 times of what the engine can do, with a plain queue and with ours; then add cameras.

    The queue comes first: without a degrade ladder it shows what the engine does at most, and from
    that follows the rate that every camera asks for in both parts.

    Args:
        num_cameras: RTSP cameras, 640x360, of all classes in turn; they share four films.
        fps: Of each camera.
        max_fps: Inferences a second and camera while the cameras start.
        seconds: Length of each of the four parts that are measured.
        report: Told what is being measured.

    Returns:
        Under ``policies`` what each did, before and after the cameras were added; ``checks``.

    Raises:
        UnavailableError: if the cameras together send too little; says how many it takes.
    """
    report("drawing the films")
    films = demo_clips(demo_scenarios(min(_NUM_FILMS, num_cameras), fps), lambda _done, _all: None)
    feeds = overload_feeds(world_feeds(films), num_cameras)
    rate: float | None = None
    policies: dict[str, Any] = {}
    with serve_cameras(feeds) as cameras:
        for policy in _POLICIES:
            bench = _Bench(policy, feeds, num_cameras, cameras, report)
            policies[policy] = bench.run(max_fps, rate, seconds)
            rate = policies[policy]["max_fps"]
    return {
        "cameras": num_cameras,
        "more_cameras": NUM_MORE,
        "fps": fps,
        "max_fps": rate,
        "capacity_fps": policies["fifo"]["capacity_fps"],
        "policies": policies,
        "checks": judge(policies["qos"]),
    }


def overload_feeds(films: Sequence[Feed], num_cameras: int) -> list[Feed]:
    """Cameras of all classes in turn, and at the end those that are added, normal and low."""
    classes = [c for c, _ in zip(cycle(QosClass), range(num_cameras), strict=False)]
    classes += [c for c, _ in zip(cycle(_MORE_CLASSES), range(NUM_MORE), strict=False)]
    return [
        replace(films[i % len(films)], name=f"cam{i:03d}", qos_class=qos_class.value)
        for i, qos_class in enumerate(classes)
    ]


def overload_fps(capacity_fps: float, num_cameras: int, fps: float) -> float:
    """Inferences a second that each camera must ask for so that together they ask too much.

    Args:
        capacity_fps: What the engine infers at most.
        num_cameras: How many ask.
        fps: What each of them sends.

    Raises:
        UnavailableError: if they send less than that.
    """
    wanted = round(OVERLOAD * capacity_fps / num_cameras, 2)
    if wanted > fps:
        raise UnavailableError(
            f"{num_cameras} cameras at {fps:.1f} frames/s do not overload an engine that infers "
            f"{capacity_fps:.1f}: give --cameras {math.ceil(OVERLOAD * capacity_fps / fps)} or more"
        )
    return wanted


class _Bench:
    """One policy on a fresh system."""

    def __init__(
        self,
        policy: str,
        feeds: Sequence[Feed],
        num_cameras: int,
        cameras: Mapping[str, ServedCamera],
        report: Report,
    ) -> None:
        self._policy = policy
        self._feeds = feeds[:num_cameras]
        self._more = feeds[num_cameras:]
        self._cameras = cameras
        self._report: Report = lambda text: report(f"{policy}: {text}")

    def run(self, max_fps: float, rate: float | None, seconds: float) -> dict[str, Any]:
        """Start, find the rate if it is not given, measure, add cameras, measure, end."""
        config = SightlineConfig.model_validate(
            {"api": {"port": free_port()}, "pipelines": {"default": {"policy": self._policy}}}
        )
        with (
            LocalCluster(config, report=self._report) as cluster,
            cluster.client() as api,
        ):
            self._report("starting the cameras")
            submit(api, self._feeds, self._cameras, max_fps)
            await_all(api, self._feeds)
            capacity_fps = None
            if rate is None:
                capacity_fps, decoded_fps = self._saturate(api)
                num_cameras = len(self._feeds)
                rate = overload_fps(capacity_fps, num_cameras, decoded_fps / num_cameras)
            self._ask(api, rate)
            return {
                "max_fps": rate,
                "capacity_fps": capacity_fps,
                **self._watch(api, rate, seconds),
            }

    def _watch(self, api: ApiClient, rate: float, seconds: float) -> dict[str, Any]:
        everything = [*self._feeds, *self._more]
        self._report(f"{len(self._feeds)} cameras ask for {rate:g} a second each, {seconds:.0f} s")
        before = _span(api, self._feeds, rate, seconds)
        self._report(f"{len(self._more)} cameras more, {seconds:.0f} s")
        submit(api, self._more, self._cameras, rate)
        await_all(api, self._more)
        time.sleep(_WARM_UP_S)
        after = _span(api, everything, rate, seconds)
        ladder = [slot["ladder"]["name"] for slot in api.get("/v1/slots")["slots"]]
        final = settle(api, everything)
        return {
            "before": before,
            "after": after,
            "critical_p99_ratio": critical_p99_ratio(before, after),
            "ladder": ladder,
            "ledger_balanced": all(is_balanced(stats) for stats in final),
            "dropped": sum_drops(final),
        }

    def _saturate(self, api: ApiClient) -> tuple[float, float]:
        """Frames a second that are inferred and decoded when every camera asks for all it has."""
        self._report("saturating the engine")
        self._ask(api, None)
        first = statistics(api, self._feeds)
        time.sleep(_CAPACITY_S)
        last = statistics(api, self._feeds)
        return round(rate_fps(first, last, "inferred"), 2), rate_fps(first, last, "decoded")

    def _ask(self, api: ApiClient, rate: float | None) -> None:
        for feed in self._feeds:
            qos = {"class": feed.qos_class, "min_fps": floor_fps(feed.qos_class, rate)}
            api.patch(f"/v1/streams/{feed.name}", {"max_fps": rate, "qos": qos})
        time.sleep(_WARM_UP_S)


def floor_fps(qos_class: str, rate: float | None) -> float:
    """A class's usual floor, but at most half of what is asked for, so that something can give."""
    usual_fps = CLASS_DEFAULTS[QosClass(qos_class)].min_fps
    return usual_fps if rate is None else min(usual_fps, rate / 2)


def _span(api: ApiClient, feeds: Sequence[Feed], rate: float, seconds: float) -> dict[str, Any]:
    first = statistics(api, feeds)
    time.sleep(seconds)
    return span_figures(first, statistics(api, feeds), rate)


def span_figures(first: Sequence[Stats], last: Sequence[Stats], rate: float) -> dict[str, Any]:
    """What happened between two looks at the statistics of the same streams.

    Args:
        first: Statistics of each stream at the start.
        last: And at the end, in the same order.
        rate: Inferences a second that each stream asked for.

    Returns:
        ``decoded_fps``, ``inferred_fps``, ``load`` (asked over inferred), and ``classes`` and
        ``streams`` with latencies, rates and floors.
    """
    inferred_fps = rate_fps(first, last, "inferred")
    streams = [_stream_figures(a, b) for a, b in zip(first, last, strict=True)]
    return {
        "decoded_fps": round(rate_fps(first, last, "decoded"), 2),
        "inferred_fps": round(inferred_fps, 2),
        "load": round(rate * len(last) / inferred_fps, 3),
        "classes": _class_figures(first, last, streams),
        "streams": streams,
    }


def _stream_figures(first: Stats, last: Stats) -> dict[str, Any]:
    span_s = last["updated_at"] - first["updated_at"]
    num_inferred, floor_fps = last["inferred"] - first["inferred"], last["qos"]["min_fps"]
    return {
        "id": last["id"],
        "class": last["qos"]["class"],
        "inferred_fps": round(num_inferred / span_s, 3),
        "on_time_fps": round((last["on_time"] - first["on_time"]) / span_s, 3),
        "floor_fps": floor_fps,
        "is_below_floor": num_inferred + 1 < floor_fps * span_s,  # one frame for the span's ends
        "degrade_step": last["degrade_step"],
    }


def _class_figures(
    first: Sequence[Stats], last: Sequence[Stats], streams: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    found = {}
    for qos_class in QosClass:
        own = [i for i, s in enumerate(streams) if s["class"] == qos_class.value]
        if not own:
            continue
        inferred_fps = sum(streams[i]["inferred_fps"] for i in own)
        on_time_fps = sum(streams[i]["on_time_fps"] for i in own)
        found[qos_class.value] = {
            "num_streams": len(own),
            "deadline_ms": last[own[0]]["qos"]["deadline_ms"],
            "latency_ms": percentiles([first[i] for i in own], [last[i] for i in own]),
            "inferred_fps": round(inferred_fps, 2),
            "on_time_of_inferred": round(on_time_fps / inferred_fps, 4) if inferred_fps else None,
            "lowest_fps": min(streams[i]["inferred_fps"] for i in own),
            "floor_fps": max(streams[i]["floor_fps"] for i in own),
            "num_below_floor": sum(streams[i]["is_below_floor"] for i in own),
        }
    return found


def critical_p99_ratio(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """How much adding cameras moved the p99 of class critical; 1.0 is not at all."""
    first, second = (span["classes"]["critical"]["latency_ms"]["p99"] for span in (before, after))
    return round(float(second / first), 3)


def judge(ours: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is claimed of our policy, held against its figures."""
    spans = [ours["before"], ours["after"]]
    critical = [span["classes"]["critical"] for span in spans]
    p99s = [each["latency_ms"]["p99"] for each in critical]
    deadline_ms = critical[0]["deadline_ms"]
    below = [s["id"] for s in spans[0]["streams"] if s["is_below_floor"]]
    ratio = ours["critical_p99_ratio"]
    return [
        _check(
            f"p99 of critical is under its deadline of {deadline_ms:g} ms",
            p99s,
            max(p99s) <= deadline_ms,
        ),
        _check("every stream gets at least its floor", below, not below),
        _check("the ledger is balanced", ours["dropped"], ours["ledger_balanced"]),
        _check(
            f"{NUM_MORE} cameras more move the p99 of critical by at most 20 %",
            ratio,
            ratio <= MAX_MOVED,
        ),
    ]


def _check(claim: str, figures: Any, holds: bool) -> dict[str, Any]:
    return {"claim": claim, "holds": holds, "figures": figures}
