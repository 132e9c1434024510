"""What ten thousand cameras on a hundred slots ask of the registry, and how slots come and go.

Everything that decides is the shipped code, against a real server; cameras and engines are not
there. Slots share a few processes of this machine, where each of theirs would have a machine of its
own, so times are longer here than there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from cluster.bench.claims import all_hold, at_most, plain
from cluster.bench.simulator.cameras import camera, claim_costs_ms
from cluster.bench.simulator.host import Host
from cluster.bench.simulator.paper import Note, names
from cluster.bench.simulator.timeline import Timeline
from cluster.embedded import EmbeddedRedis
from cluster.errors import UnavailableError
from cluster.registry import Registry
from cluster.registry.store import connect

PLACED_WITHIN_S = 10.0
CLAIM_AT_MOST_MS = 1.0
GROWTH_AT_MOST = 2.0

_LOOK_EVERY_S = 0.02
_GIVE_UP_S = 120.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SimulatorPlan:
    """What to simulate.

    Attributes:
        num_cameras: Streams, of all classes.
        num_slots: Slots of 256 streams at most.
        num_hosts: Processes that share them.
        ttl_s: Life of a lease.
        publish_every_s: How often a slot writes the status of its streams; real ones do so twice a
            second.
        calm_s: Streams have come to rest when none has moved for so long.
    """

    num_cameras: int = 10_000
    num_slots: int = 100
    num_hosts: int = 2
    ttl_s: float = 5.0
    publish_every_s: float = 10.0
    calm_s: float = 5.0


def simulate(plan: SimulatorPlan, report: Report) -> dict[str, Any]:
    """Add cameras, then let a slot die, another join and another leave.

    Returns:
        Times in seconds, streams that moved, what the server had to do, and ``claims``.

    Raises:
        UnavailableError: if the streams are not placed at all.
    """
    with EmbeddedRedis() as server:
        costs = claim_costs_ms(server.url, plan.num_cameras, report)
        hosts = [Host(server.url, plan.ttl_s, plan.publish_every_s) for _ in range(plan.num_hosts)]
        try:
            found = _Simulation(plan, server.url, hosts, report).run()
        finally:
            for host in hosts:
                host.stop()
    figures = {**asdict(plan), "claim_ms": costs, **found}
    claims = _claims(plan, figures)
    return {**figures, "claims": plain(claims), "holds": all_hold(claims)}


class _Simulation:
    def __init__(
        self, plan: SimulatorPlan, url: str, hosts: Sequence[Host], report: Report
    ) -> None:
        self._plan = plan
        self._hosts = hosts
        self._report = report
        self._redis: Any = connect(url)
        self._registry = Registry.open(url, max_streams=plan.num_cameras)
        self._timeline = Timeline()
        self._home: dict[str, Host] = {}
        self._dead: set[str] = set()

    def run(self) -> dict[str, Any]:
        self._start(0, self._plan.num_slots)
        time.sleep(1.0)
        found: dict[str, Any] = {"placed": self._placing(), "rest": self._resting()}
        found["died"] = self._dying()
        found["joined"] = self._joining()
        found["left"] = self._leaving()
        self._take_notes()
        found["streams_with_two_owners"] = self._timeline.num_overlaps(self._dead)
        found["unowned_at_the_end"] = self._num_free()
        return found

    def _placing(self) -> dict[str, Any]:
        self._report(f"adding {self._plan.num_cameras} cameras")
        began = time.monotonic()
        for number in range(self._plan.num_cameras):
            self._registry.streams.create(camera(number))
        added_s = time.monotonic() - began
        placed_s = self._await_owners(began)
        counts = [n for host in self._hosts for n in host.counts().values()]
        self._report(f"added in {added_s:.1f} s, all placed after {placed_s:.1f} s")
        return {
            "added_s": round(added_s, 2),
            "placed_s": round(placed_s, 2),
            "after_the_last_s": round(placed_s - added_s, 2),
            "least_streams": min(counts),
            "most_streams": max(counts),
        }

    def _resting(self) -> dict[str, Any]:
        """What the server and the slots do while nothing happens."""
        self._report("nothing happens")
        self._take_notes()
        time.sleep(self._plan.calm_s)
        before, began = self._load(), time.monotonic()
        time.sleep(self._plan.calm_s)
        after, passed_s = self._load(), time.monotonic() - began
        rates = {name: (after[name] - before[name]) / passed_s for name in after}
        num_slots = self._plan.num_slots
        return {
            "commands_s": round(rates["commands"]),
            "redis_cpu": round(rates["cpu_s"], 3),
            "in_kb_s": round(rates["in_bytes"] / 1e3, 1),
            "out_kb_s": round(rates["out_bytes"] / 1e3, 1),
            "commands_a_slot_s": round(rates["commands"] / num_slots, 2),
            "slot_cpu_ms_s": round(1e3 * rates["host_cpu_s"] / num_slots, 2),
            "streams_moved": self._moved(),
        }

    def _dying(self) -> dict[str, Any]:
        slot = next(iter(self._home))
        died_at = self._home.pop(slot).kill(slot)
        self._dead.add(slot)
        self._take_notes()
        hit = self._timeline.held_by(slot)
        self._report(f"{slot} dies with {len(hit)} streams")
        self._await_heirs(hit, died_at)
        gaps = self._timeline.gaps_s(hit, died_at)
        others = self._timeline.moved_since(died_at) - hit
        self._report(f"they have owners again after {max(gaps):.1f} s")
        return {
            "streams": len(hit),
            "median_gap_s": round(median(gaps), 2),
            "longest_gap_s": round(max(gaps), 2),
            "others_moved": len(others),
        }

    def _joining(self) -> dict[str, Any]:
        self._settle()
        began = time.monotonic()
        (slot,) = self._start(self._plan.num_slots, 1)
        self._report(f"{slot} joins")
        self._settle()
        return {"slot_has": self._home[slot].counts()[slot], **self._moves(began)}

    def _leaving(self) -> dict[str, Any]:
        slot = next(iter(self._home))
        num = self._home[slot].counts()[slot]
        began = self._home[slot].drain(slot)
        self._report(f"{slot} leaves")
        while slot in self._home[slot].counts():
            if time.monotonic() - began > _GIVE_UP_S:
                raise UnavailableError(f"{slot} could not give its streams away")
            time.sleep(_LOOK_EVERY_S)
        left_s = time.monotonic() - began
        del self._home[slot]
        self._await_owners(began)
        return {"streams": num, "left_s": round(left_s, 2), **self._moves(began)}

    def _moves(self, since: float) -> dict[str, Any]:
        self._take_notes()
        moved = self._timeline.moved_since(since)
        gaps = self._timeline.gaps_s(moved, since)
        return {
            "streams_moved": len(moved),
            "with_state": self._timeline.num_with_state(since),
            "median_gap_s": round(median(gaps), 3) if gaps else None,
            "longest_gap_s": round(max(gaps), 3) if gaps else None,
        }

    def _start(self, first: int, num: int) -> list[str]:
        started = list(names(first, num))
        for number, host in enumerate(self._hosts):
            own = started[number :: len(self._hosts)]
            host.start(own)
            self._home |= dict.fromkeys(own, host)
        return started

    def _await_heirs(self, streams: Collection[str], since: float) -> None:
        """Until some slot has opened each of these streams."""
        while not self._timeline.moved_since(since).issuperset(streams):
            if time.monotonic() - since > _GIVE_UP_S:
                raise UnavailableError(f"{self._num_free()} streams have no owner")
            time.sleep(_LOOK_EVERY_S)
            self._take_notes()

    def _await_owners(self, since: float) -> float:
        """Until no stream is free, and every lease is alive; how long after ``since``."""
        while True:
            now = time.monotonic()
            if self._num_free() == 0 and self._num_owned() == self._plan.num_cameras:
                return now - since
            if now - since > _GIVE_UP_S:
                raise UnavailableError(f"{self._num_free()} streams have no owner")
            time.sleep(_LOOK_EVERY_S)

    def _settle(self) -> None:
        """Until no stream has moved for a while."""
        calm_since = time.monotonic()
        deadline = calm_since + _GIVE_UP_S
        while time.monotonic() - calm_since < self._plan.calm_s and time.monotonic() < deadline:
            time.sleep(0.2)
            if self._take_notes():
                calm_since = time.monotonic()

    def _moved(self) -> int:
        return len({note.stream for note in self._take_notes() if note.is_open})

    def _take_notes(self) -> list[Note]:
        notes = [note for host in self._hosts for note in host.notes()]
        self._timeline.add(notes)
        return notes

    def _num_free(self) -> int:
        return int(self._redis.zcard("sightline:free"))

    def _num_owned(self) -> int:
        """Leases whose end lies ahead, by the clock of the server."""
        seconds, micros = self._redis.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return int(self._redis.zcount("sightline:expiry", now_ms, "+inf"))

    def _load(self) -> dict[str, float]:
        info = self._redis.info("all")
        hosts = Counter[str]()
        for host in self._hosts:
            hosts.update(host.cost())
        return {
            "commands": info["total_commands_processed"],
            "cpu_s": info["used_cpu_user"] + info["used_cpu_sys"],
            "in_bytes": info["total_net_input_bytes"],
            "out_bytes": info["total_net_output_bytes"],
            "host_cpu_s": hosts["cpu_s"],
        }


def _claims(plan: SimulatorPlan, found: dict[str, Any]) -> list[Any]:
    costs = list(found["claim_ms"].values())
    died = found["died"]
    num = f"{plan.num_cameras} cameras"
    return [
        at_most(
            f"{num} have an owner within {PLACED_WITHIN_S:g} s of being added",
            found["placed"]["after_the_last_s"],
            PLACED_WITHIN_S,
        ),
        at_most(
            "a lost slot's streams have owners again within the time of a lease, and the second in "
            "which slots look",
            died["longest_gap_s"],
            plan.ttl_s + 1.0,
        ),
        at_most("streams of others that its death moved: none", died["others_moved"], 0),
        at_most(f"a claim takes at most {CLAIM_AT_MOST_MS:g} ms of the server", max(costs), 1.0),
        at_most(
            f"with 100 times the cameras a claim takes at most {GROWTH_AT_MOST:g} times as long",
            round(costs[-1] / costs[0], 2),
            GROWTH_AT_MOST,
        ),
        at_most(
            "streams that two slots had with valid leases: none",
            found["streams_with_two_owners"],
            0,
        ),
        at_most("streams without an owner at the end: none", found["unowned_at_the_end"], 0),
        at_most("streams that move while nothing happens: none", found["rest"]["streams_moved"], 0),
    ]
