"""The failures: who is killed, whose streams that hits, and what is started again from outside."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.bench.deployment import Deployment
from cluster.bench.processes import descendants, pids_of
from cluster.errors import UnavailableError
from cluster.slot.leftovers import slot_pid

HEAD_AWAY_S = 10.0
REDIS_AWAY_S = 60.0
_BACK_WITHIN_S = 30.0

Mend = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Strike:
    """A failure that has been aimed.

    Attributes:
        hit: Streams that it hits.
        kill: Lets it happen.
        mend: What people or machines do afterwards; all else mends itself.
    """

    hit: frozenset[str]
    kill: Mend
    mend: Mend = lambda: None


@dataclass(frozen=True, slots=True)
class Failure:
    """One kind of failure.

    Attributes:
        name: As the command takes it.
        what: In words.
        limit_s: Longest gap of the streams that it hits; None where it hits none.
        aim: Chooses the victim.
    """

    name: str
    what: str
    limit_s: float | None
    aim: Callable[[Deployment], Strike]


def _actor(name: str) -> Callable[[Deployment], Strike]:
    def aim(system: Deployment) -> Strike:
        slot, streams = _busiest(system)
        pid = next(a["pid"] for a in slot["details"]["actors"] if a["name"] == name)
        return Strike(streams, lambda: os.kill(pid, signal.SIGKILL))

    return aim


def _slot(system: Deployment) -> Strike:
    slot, streams = _busiest(system)
    pid = _replica(slot)
    return Strike(streams, lambda: os.kill(pid, signal.SIGKILL))


def _machine(system: Deployment) -> Strike:
    slot, streams = _busiest(system)
    name = system.machines.machine_of(_replica(slot))
    return Strike(streams, lambda: system.machines.kill(name), system.machines.add)


def _of_serve(title: str) -> Callable[[Deployment], Strike]:
    def aim(system: Deployment) -> Strike:
        deadline = time.monotonic() + _BACK_WITHIN_S
        while len(found := pids_of(title) & descendants(os.getpid())) != 1:
            if time.monotonic() > deadline:
                raise UnavailableError(f"{len(found)} processes are {title} where one is killed")
            time.sleep(0.1)  # the one that was killed last is just being started again
        (pid,) = found
        return Strike(frozenset(), lambda: os.kill(pid, signal.SIGKILL))

    return aim


def _head(system: Deployment) -> Strike:
    def mend() -> None:
        time.sleep(HEAD_AWAY_S)
        system.machines.start_head()

    return Strike(frozenset(), system.machines.kill_head, mend)


def _redis(system: Deployment) -> Strike:
    def mend() -> None:
        time.sleep(REDIS_AWAY_S)
        system.redis.start()

    return Strike(frozenset(), system.redis.kill, mend)


def _busiest(system: Deployment) -> tuple[dict[str, Any], frozenset[str]]:
    """The ready slot with the most streams, and these."""
    holders = system.holders()
    num = Counter(holders.values())
    slots = system.ready_slots()
    if not slots:
        raise UnavailableError("no slot is ready")
    slot = max(slots, key=lambda slot: (num[slot["name"]], slot["name"]))
    return slot, frozenset(s for s, holder in holders.items() if holder == slot["name"])


def _replica(slot: dict[str, Any]) -> int:
    return slot_pid(f"sightline-{slot['name']}-")


FAILURES = {
    failure.name: failure
    for failure in (
        Failure("ingest", "ingest actor", 3.0, _actor("ingest-0")),
        Failure("engine", "engine actor", 3.0, _actor("engine")),
        Failure("analytics", "analytics actor", 3.0, _actor("analytics-0")),
        Failure("slot", "slot replica", 6.0, _slot),
        Failure("machine", "machine: raylet and all its processes", 12.0, _machine),
        Failure("controller", "Serve's controller", None, _of_serve("ServeController")),
        Failure("proxy", "Serve's HTTP proxy", None, _of_serve("ProxyActor")),
        Failure("head", f"head, away for {HEAD_AWAY_S:g} s and its start", None, _head),
        Failure("redis", f"the registry's Redis, away for {REDIS_AWAY_S:g} s", None, _redis),
    )
}
