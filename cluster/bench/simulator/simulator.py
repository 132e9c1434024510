"""What ten thousand cameras on a hundred slots ask of the registry, and how slots come and go.

Everything that decides is the shipped code, against a real server; cameras and engines are not
there. Slots share a few processes of this machine, where each of theirs would have a machine of its
own, so times are longer here than there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median
from typing import Any

from cluster.bench.claims import all_hold, plain
from cluster.bench.simulator.cameras import camera, claim_costs_ms, server_cpu_s
from cluster.bench.simulator.host import Host
from cluster.bench.simulator.paper import Note, names
from cluster.bench.simulator.promises import claims_of
from cluster.bench.simulator.timeline import Timeline
from cluster.embedded import EmbeddedRedis
from cluster.errors import UnavailableError
from cluster.registry import Registry
from cluster.registry.store import connect
from cluster.slot.worker import PLACE_AT_MOST_EVERY_S

_CAMERAS_A_ROUND = 500
_LOOK_EVERY_S = 0.02
_GIVE_UP_S = 600.0

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
    claims = claims_of(figures)
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
        found: dict[str, Any] = {"placed": self._placing()}
        for host in self._hosts:
            host.go()
        found["rest"] = self._resting()
        found["died"] = self._dying()
        found["joined"] = self._joining()
        found["left"] = self._leaving()
        self._take_notes()
        found["streams_with_two_owners"] = self._timeline.num_overlaps(self._dead)
        found["unowned_at_the_end"] = self._num_free()
        return found

    def _placing(self) -> dict[str, Any]:
        """Cameras come faster than slots can look, so thousands wait.

        In a round each slot looks once. They would do so side by side, on machines of their own, so
        a round takes as long as the slowest of them, and what the server had to do for all. What it
        takes to add the cameras counts as no time: some are there before each round.
        """
        self._start(0, self._plan.num_slots)
        self._round()  # they know of each other
        self._report(f"adding {self._plan.num_cameras} cameras, and placing them")
        virtual_s, num_rounds, began = 0.0, 0, time.monotonic()
        cameras = iter(range(self._plan.num_cameras))
        while (some := list(islice(cameras, _CAMERAS_A_ROUND))) or self._num_free() > 0:
            if time.monotonic() - began > _GIVE_UP_S:
                raise UnavailableError(f"{self._num_free()} streams have no owner")
            for number in some:
                self._registry.streams.create(camera(number))
            virtual_s += self._round()
            num_rounds += 1
        counts = [n for host in self._hosts for n in host.counts().values()]
        self._report(f"all placed after {num_rounds} rounds, {virtual_s:.1f} s")
        return {
            "placed_s": round(virtual_s, 2),
            "rounds": num_rounds,
            "real_s": round(time.monotonic() - began, 1),
            "least_streams": min(counts),
            "most_streams": max(counts),
        }

    def _round(self) -> float:
        """Let every slot look once; virtual seconds."""
        before_s = server_cpu_s(self._redis)
        slowest_s = max(spent_s for host in self._hosts for spent_s in host.round())
        return max(slowest_s + server_cpu_s(self._redis) - before_s, PLACE_AT_MOST_EVERY_S)

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
        self._await_owners()
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

    def _await_owners(self) -> None:
        """Until no stream is free, and every lease is alive."""
        deadline = time.monotonic() + _GIVE_UP_S
        while self._num_free() > 0 or self._num_owned() < self._plan.num_cameras:
            if time.monotonic() > deadline:
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
        return {
            "commands": info["total_commands_processed"],
            "cpu_s": info["used_cpu_user"] + info["used_cpu_sys"],
            "in_bytes": info["total_net_input_bytes"],
            "out_bytes": info["total_net_output_bytes"],
            "host_cpu_s": sum(host.cpu_s() for host in self._hosts),
        }
