"""Whether a running system mends itself: its actors are killed in turn, and timed from outside.

What counts as a detection that flows is one that has gone through tracker and rules. The counters
are read where the slot keeps them, in shared memory: the API shows them only twice a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.ledger import Ledger
from cluster.bench.claims import Claim, all_hold, at_most, plain
from cluster.bench.e2e import await_all
from cluster.bench.gpu.farm import path_feeds, serve_farm
from cluster.bench.gpu.path import decoders, losses
from cluster.bench.outage import OutageWatch
from cluster.bench.processes import pids_of
from cluster.client import ApiClient
from cluster.config import SightlineConfig
from cluster.demo.clips import demo_clips, demo_scenarios
from cluster.demo.feeds import Feed, job
from cluster.demo.streaming import Stats, is_balanced, settle, statistics
from cluster.embedded import free_port
from cluster.errors import UnavailableError
from cluster.local import LocalCluster
from engines.frames import shared_memory_dir

VICTIMS = {"engine": "EngineActor", "ingest-0": "IngestActor", "analytics-0": "AnalyticsActor"}
"""Actors that are killed, and their classes."""
BEYOND_LOAD_S = 2.0
"""Detections flow again so long after the time that the engine needs to load its plan."""

_NUM_FILMS = 4
_SLOTS_A_CAMERA = 6
_WARM_UP_S = 5.0
_CALM_S = 2.0
_LOOK_EVERY_S = 0.02
_GIVE_UP_S = 120.0
_FREE_TIMEOUT_S = 10.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What to run.

    Attributes:
        num_cameras: In real time: 1080p30 on a GPU, 640x360 at 25 fps on the CPU.
        device: ``cuda`` or ``cpu``.
        max_fps: Inferences a second and camera; None for all frames.
        pipeline: Fields of the pipeline.
        spares: Whether spare processes wait; None for what suits the device.
    """

    num_cameras: int
    device: str
    max_fps: float | None
    pipeline: Mapping[str, Any]
    spares: bool | None = None


@dataclass(frozen=True, slots=True)
class _System:
    """What runs, and how to ask it."""

    api: ApiClient
    feeds: Sequence[Feed]
    report: Report

    def slot(self) -> dict[str, Any]:
        slots = self.api.get("/v1/slots")["slots"]
        if len(slots) != 1:
            raise UnavailableError(f"{len(slots)} slots are alive where one is measured")
        return dict(slots[0])

    def actor(self, name: str) -> dict[str, Any]:
        """Of the slot; ``pid``, ``starts``, ``ready`` and for ingest ``free_slots``."""
        return next(dict(a) for a in self.actors() if a["name"] == name)

    def actors(self) -> list[dict[str, Any]]:
        """All of the slot, spares too."""
        return list(self.slot()["details"]["actors"])


def measure_recovery(plan: RecoveryPlan, report: Report) -> dict[str, Any]:
    """Watch cameras, kill an actor, wait until all is well, kill the next.

    Args:
        plan: What to run.
        report: Told what is going on.

    Returns:
        ``kills``, one a victim: ``process_s`` is from the kill to its new process, ``first_s`` and
        ``all_s`` to the detections; the ledger and the slots of the pool at the end; ``claims``.

    Raises:
        UnavailableError: if the cameras do not start at all.
    """
    report("drawing the films")
    feeds = path_feeds(_films(plan), plan.num_cameras)
    with _running(plan, feeds, report) as system:
        free_before = _free_slots(system)
        began = _start(system, plan)
        ledger = _counted(system)
        kills = [_kill(system, ledger, victim) for victim in VICTIMS]
        final = settle(system.api, feeds)
        leaked = _leaked(system, free_before)
    found = {
        "cameras": plan.num_cameras,
        "device": plan.device,
        "spares": plan.spares,
        "model": began["model"],
        "decoders": began["decoders"],
        "first_load_s": began["load_s"],
        "kills": kills,
        "ledger_balanced": all(is_balanced(stats) for stats in final),
        "num_unbalanced": sum(not is_balanced(stats) for stats in final),
        "leaked_slots": leaked,
    }
    claims = claims_of(found)
    return {**found, "claims": plain(claims), "holds": all_hold(claims)}


def claims_of(found: Mapping[str, Any]) -> list[Claim]:
    """What is promised, held against the figures of ``measure_recovery``."""
    kills = {kill["victim"]: kill for kill in found["kills"]}
    engine = kills["engine"]
    load_s = engine["load_s"]
    limit_s = None if load_s is None else load_s + BEYOND_LOAD_S
    claims = [
        at_most(
            "after engine, detections of all streams flow again within the time to load the plan, "
            f"{load_s} s, and {BEYOND_LOAD_S:g} s",
            _gap_s(engine),
            limit_s,
        )
    ]
    for name in ("engine", "analytics-0"):
        text = f"cameras that are opened again after {name}: none"
        claims.append(at_most(text, kills[name]["num_reopened"], 0))
    for name, kill in kills.items():
        gap_s = _gap_s(kill)
        text = f"all streams flow again after {name}, s"
        claims.append(Claim(text, gap_s, gap_s is not None))
    num_unbalanced, leaked = found["num_unbalanced"], found["leaked_slots"]
    claims.append(at_most("streams whose ledger does not balance: none", num_unbalanced, 0))
    claims.append(Claim("slots of the pool that are not free again: none", leaked, not leaked))
    return claims


def _gap_s(kill: Mapping[str, Any]) -> float | None:
    """How long until all streams flowed again; 0 where none stopped, None where some never did."""
    return 0.0 if kill["num_silent"] == 0 else kill["all_s"]


def _films(plan: RecoveryPlan) -> list[Path]:
    num = min(_NUM_FILMS, plan.num_cameras)
    if plan.device == "cuda":
        from cluster.bench.gpu.films import large_films

        return large_films(num, "libx264", 4_000_000)
    return [path for path, _ in demo_clips(demo_scenarios(num), lambda _done, _all: None)]


@contextlib.contextmanager
def _running(plan: RecoveryPlan, feeds: Sequence[Feed], report: Report) -> Iterator[_System]:
    """The system, its cameras on the air, none of them watched yet."""
    config = SightlineConfig.model_validate(
        {
            "api": {"port": free_port()},
            "slots": {
                "device": plan.device,
                "max_streams": max(64, plan.num_cameras),
                "spares": plan.spares,
            },
            "pool": {"num_slots": max(128, _SLOTS_A_CAMERA * plan.num_cameras)},
            "pipelines": {"default": dict(plan.pipeline)},
        }
    )
    with (
        serve_farm(feeds) as farm,
        LocalCluster(config, report=report) as cluster,
        cluster.client() as api,
    ):
        served = [
            Feed(each.name, each.clip, farm.cameras[each.name].url, each.qos_class, each.rules)
            for each in feeds
        ]
        yield _System(api, served, report)


def _start(system: _System, plan: RecoveryPlan) -> dict[str, Any]:
    """Watch all cameras; what runs them."""
    system.report(f"{plan.num_cameras} cameras: starting")
    for feed in system.feeds:
        # Number 0 sends over TCP: what UDP loses on loopback would not be ours to count.
        system.api.post("/v1/streams", job(feed, 0, feed.url, plan.max_fps))
    try:
        await_all(system.api, system.feeds)
    except TimeoutError as error:
        raise UnavailableError(f"{plan.num_cameras} cameras: {error}: try fewer") from error
    time.sleep(_WARM_UP_S)
    slot = system.slot()
    used = decoders(statistics(system.api, system.feeds))
    return {"model": slot["model"], "load_s": slot["details"]["load_s"], "decoders": used}


def _counted(system: _System) -> Callable[[], list[int]]:
    """Reads how many frames of each stream were analysed so far."""
    (path,) = Path(shared_memory_dir()).glob(f"sightline-{system.slot()['name']}-ledger-*")
    ledger = Ledger.attach(str(path))
    rows = [ledger.row(number) for number in range(ledger.num_rows)]
    used = [row for row in rows if row.read().decoded]
    if len(used) != len(system.feeds):
        raise UnavailableError(f"{len(used)} streams are counted, {len(system.feeds)} are watched")
    return lambda: [row.read().analysed for row in used]


def _kill(system: _System, counts: Callable[[], list[int]], victim: str) -> dict[str, Any]:
    """Kill one actor and follow the streams until all are well, or it takes too long."""
    before, actor = statistics(system.api, system.feeds), system.actor(victim)
    system.report(f"kill -9 of {victim}, process {actor['pid']}")
    known = pids_of(VICTIMS[victim])
    watch = OutageWatch(counts(), time.monotonic())
    os.kill(actor["pid"], signal.SIGKILL)
    killed_at = now = time.monotonic()
    process_s = None
    while now - killed_at < _GIVE_UP_S:
        time.sleep(_LOOK_EVERY_S)
        now = time.monotonic()
        watch.note(counts(), now)
        if process_s is None and pids_of(VICTIMS[victim]) - known:
            process_s = round(now - killed_at, 3)
        if watch.calm_s(now) >= _CALM_S and _is_back(system.actors(), actor):
            break
    after = statistics(system.api, system.feeds)
    outage = asdict(watch.outage(now))
    system.report(f"{victim}: {outage}")
    return {
        "victim": victim,
        **outage,
        "process_s": process_s,
        "load_s": _rounded(system.slot()["details"]["load_s"]) if victim == "engine" else None,
        "num_reopened": num_reopened(before, after),
        "dropped": losses(before, after),
    }


def _is_back(actors: Sequence[Mapping[str, Any]], before: Mapping[str, Any]) -> bool:
    """Whether another process has the place of one, and all others and spares are there too."""
    now = next(actor for actor in actors if actor["name"] == before["name"])
    return bool(now["starts"] > before["starts"] and all(actor["ready"] for actor in actors))


def num_reopened(before: Sequence[Stats], after: Sequence[Stats]) -> int:
    """Cameras whose session is another one than before; one that is gone counts as well."""
    sessions = {stats["id"]: stats["session"] for stats in after}
    return sum(sessions.get(stats["id"]) != stats["session"] for stats in before)


def _free_slots(system: _System) -> dict[str, int]:
    """Free slots of each ingest actor while no camera is watched, once all have some."""
    deadline = time.monotonic() + _FREE_TIMEOUT_S
    while not all((free := _free_slots_now(system)).values()):
        if time.monotonic() > deadline:
            raise UnavailableError(f"the ingest actors did not get slots of the pool: {free}")
        time.sleep(0.1)
    return free


def _leaked(system: _System, before: Mapping[str, int]) -> dict[str, int]:
    """Slots that are not free again, by ingest actor; their words come twice a second."""
    deadline = time.monotonic() + _FREE_TIMEOUT_S
    while True:
        free = _free_slots_now(system)
        missing = {name: n - free.get(name, 0) for name, n in before.items() if free.get(name) != n}
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.1)


def _free_slots_now(system: _System) -> dict[str, int]:
    holders = [actor for actor in system.actors() if actor.get("free_slots") is not None]
    return {actor["name"]: actor["free_slots"] for actor in holders}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
