"""``bench failover``: let each failure happen some times, and see what the streams had of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cluster.bench.claims import all_hold, plain
from cluster.bench.deployment import Deployment, Report, deployed
from cluster.bench.detections import longest_silence, longest_silence_s
from cluster.bench.e2e import await_all
from cluster.bench.failover.answers import AnswerWatch
from cluster.bench.failover.arrivals import Arrivals
from cluster.bench.failover.failures import FAILURES, Failure
from cluster.bench.failover.figures import (
    NEVER_S,
    above_calm,
    claims_of,
    gaps_of,
    missing_runs,
    row_of,
)
from cluster.bench.failover.tally import longest_way_back_s
from cluster.bench.watching import WatchProcess
from cluster.config import LeaseConfig
from cluster.runtime import RECOVERY_ENVIRONMENT

_CALM_S = 4.0
_LOOK_EVERY_S = 0.2
_GIVE_UP_S = 150.0
_NUM_SPARES = 3

Run = Mapping[str, Any]
Keep = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class FailoverPlan:
    """What to run.

    Attributes:
        failures: Names of ``FAILURES``.
        times: How often each.
        num_machines: With a slot each, besides the head.
        num_cameras: In real time, 640x360 at 25 pictures a second.
        max_fps: Inferences a second and camera.
    """

    failures: Sequence[str] = tuple(FAILURES)
    times: int = 5
    num_machines: int = 3
    num_cameras: int = 6
    max_fps: float = 4.0


def measure_failover(
    plan: FailoverPlan, report: Report, runs: Sequence[Run] = (), keep: Keep = lambda _: None
) -> dict[str, Any]:
    """Watch cameras on several machines, and let what is planned happen, one after the other.

    Args:
        plan: What to run.
        report: Told what is going on.
        runs: Of an earlier call with the same cameras and machines; only what is missing happens.
        keep: Given what has been found after each failure, as it is returned at the end.

    Returns:
        ``rows``, one a failure; ``runs``, one each time; the settings that decide; ``claims``.

    Raises:
        UnavailableError: The cluster does not start.
    """
    known = list(runs)
    missing = missing_runs(plan.failures, plan.times, known)
    if missing:
        with deployed(plan.num_machines, plan.num_cameras, report) as system:
            for found in _runs(system, plan, missing):
                known.append(found)
                keep(_found(plan, known))
    return _found(plan, known)


def _found(plan: FailoverPlan, runs: Sequence[Run]) -> dict[str, Any]:
    names = [name for name in FAILURES if any(run["failure"] == name for run in runs)]
    rows = [row_of(name, [run for run in runs if run["failure"] == name]) for name in names]
    claims = claims_of(rows)
    return {
        "machines": plan.num_machines,
        "cameras": plan.num_cameras,
        "max_fps": plan.max_fps,
        "settings": {"lease_ttl_s": LeaseConfig().ttl_s, **RECOVERY_ENVIRONMENT},
        "rows": rows,
        "runs": list(runs),
        "claims": plain(claims),
        "holds": all_hold(claims),
    }


def _runs(system: Deployment, plan: FailoverPlan, names: Sequence[str]) -> Iterator[Run]:
    system.report(f"{plan.num_cameras} cameras: starting")
    watch = WatchProcess([feed.name for feed in system.feeds], os.getpid())
    answers = AnswerWatch(system.api.url)
    arrivals = Arrivals(system.redis.url, f"{system.config.redis.prefix}:events")
    try:
        for feed in system.feeds:
            system.watch(feed, plan.max_fps)
        await_all(system.api, system.feeds)
        bench = _Bench(system, watch, answers, arrivals)
        for name in names:
            yield bench.let_happen(FAILURES[name])
    finally:
        watch.close()
        answers.close()
        arrivals.close()


class _Bench:
    """Lets failures happen to a deployment, and looks on."""

    def __init__(
        self,
        system: Deployment,
        watch: WatchProcess,
        answers: AnswerWatch,
        arrivals: Arrivals,
    ) -> None:
        self._system = system
        self._watch = watch
        self._answers = answers
        self._arrivals = arrivals
        self._streams = [feed.name for feed in system.feeds]

    def let_happen(self, failure: Failure) -> Run:
        """Wait for calm, strike, mend, wait until all is as before."""
        system = self._system
        self._await_whole()
        calm_since = time.monotonic() - _CALM_S
        holders = system.holders()
        events = self._arrivals.settled(lambda: self._watch.num_events)
        num_arrived = len(self._arrivals.all)
        strike = failure.aim(system)
        system.report(f"{failure.name}: killing {failure.what}, with {len(strike.hit)} streams")
        num_skipped = system.skipped(set(self._streams) - strike.hit)
        load, struck_at = os.getloadavg()[0], time.monotonic()
        strike.kill()
        strike.mend()
        whole_at = self._await_whole()
        until = time.monotonic()
        gaps = self._gaps(struck_at, until)
        calm_max_s = round(max(self._gaps(calm_since, struck_at).values()), 3)
        after = system.holders()
        moved = {s for s, slot in holders.items() if after.get(s) != slot} - strike.hit
        news = self._arrivals.settled(lambda: self._watch.num_events, events.num_lost).since(events)
        apart = gaps_of(gaps, strike.hit, moved)
        others = [s for s in self._streams if s not in strike.hit | moved]
        found = {
            "failure": failure.name,
            "num_hit": len(strike.hit),
            "num_moved": len(moved),
            **apart,
            "calm_max_s": calm_max_s,
            "others_more_s": above_calm(apart["others_max_s"], calm_max_s),
            "others_at_s": self._longest_at_s(others, struck_at, until),
            "others_skipped": max(0, system.skipped(others) - num_skipped),
            **asdict(news),
            "back_s": longest_way_back_s(self._arrivals.all[num_arrived:]),
            "api_s": round(longest_silence_s(self._answers.seen_at(), struck_at, until), 3),
            "whole_s": None if whole_at is None else round(whole_at - struck_at, 1),
            "load": load,
        }
        system.report(f"{failure.name}: {found}")
        return found

    def _gaps(self, since: float, until: float) -> Mapping[str, float]:
        return {s: longest_silence_s(self._watch.seen_at(s), since, until) for s in self._streams}

    def _longest_at_s(self, streams: Sequence[str], since: float, until: float) -> float | None:
        """How long after a moment the longest silence of these began."""
        found = [longest_silence(self._watch.seen_at(s), since, until) for s in streams]
        return round(max(found)[1] - since, 1) if found else None

    def _await_whole(self) -> float | None:
        """Wait until all slots are ready and all streams have had detections for a while.

        Returns:
            When that began; None where it takes too long.
        """
        now = since = time.monotonic()
        deadline = now + _GIVE_UP_S
        while now < deadline:
            if not self._is_complete():
                since = time.monotonic()
            now = time.monotonic()
            if max(self._gaps(max(since, now - _CALM_S), now).values()) > NEVER_S:
                since = max(since, now - NEVER_S)
            if now - since >= _CALM_S:
                return since
            time.sleep(_LOOK_EVERY_S)
        return None

    def _is_complete(self) -> bool:
        """Whether all slots are ready, with their spares, and have all streams."""
        slots = self._system.config.slots
        ready = {slot["name"] for slot in self._system.ready_slots() if _has_spares(slot)}
        held = {s for s, slot in self._system.holders().items() if slot in ready}
        return len(ready) >= slots.num and held >= set(self._streams)


def _has_spares(slot: Mapping[str, Any]) -> bool:
    """A process that has died is replaced at once only where a spare waits."""
    actors = slot["details"]["actors"]
    spares = [actor for actor in actors if actor["name"].endswith("-spare")]
    return len(spares) >= _NUM_SPARES and all(actor["ready"] for actor in actors)
