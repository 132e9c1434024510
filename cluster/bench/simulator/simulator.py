"""What ten thousand cameras on a hundred slots ask of the registry, and how slots come and go.

Everything that decides is the shipped code, against a real server; cameras and engines are not
there. Time is virtual (``crowd``), so that a hundred slots need not share the cores of one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from cluster.bench.claims import all_hold, plain
from cluster.bench.simulator.cameras import camera, claim_costs_ms
from cluster.bench.simulator.crowd import Crowd
from cluster.bench.simulator.paper import SELDOM_S, Note, names
from cluster.bench.simulator.promises import claims_of
from cluster.bench.simulator.timeline import Timeline
from cluster.embedded import EmbeddedRedis
from cluster.errors import UnavailableError
from cluster.registry.store import connect

_CAMERAS_AT_ONCE = 500
_ADD_EVERY_S = 0.05
_GIVE_UP_S = 600.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SimulatorPlan:
    """What to simulate.

    Attributes:
        num_cameras: Streams, of all classes.
        num_slots: Slots of 256 streams at most.
        num_deaths: Slots that die, one after another, each at another time after its last renewal.
        ttl_s: ``lease.ttl_s``.
        publish_every_s: How often a slot writes the status of its streams while nothing happens.
        calm_s: Streams have come to rest when none has moved for so long.
    """

    num_cameras: int = 10_000
    num_slots: int = 100
    num_deaths: int = 5
    ttl_s: float = 5.0
    publish_every_s: float = 0.5
    calm_s: float = 5.0


def simulate(plan: SimulatorPlan, report: Report) -> dict[str, Any]:
    """Add cameras, then let some slots die, another join and another leave.

    Returns:
        Times in seconds, streams that moved, what the server had to do, and ``claims``.

    Raises:
        UnavailableError: if the streams are not placed at all.
    """
    with EmbeddedRedis() as server:
        costs = claim_costs_ms(server.url, plan.num_cameras, report)
        crowd = Crowd(server.url, plan.ttl_s)
        try:
            found = _Simulation(plan, server.url, crowd, report).run()
        finally:
            crowd.close()
    figures = {**asdict(plan), "claim_ms": costs, **found}
    claims = claims_of(figures)
    return {**figures, "claims": plain(claims), "holds": all_hold(claims)}


class _Simulation:
    def __init__(self, plan: SimulatorPlan, url: str, crowd: Crowd, report: Report) -> None:
        self._plan = plan
        self._crowd = crowd
        self._report = report
        self._redis: Any = connect(url)
        self._timeline = Timeline()
        self._dead: set[str] = set()

    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = {"placed": self._placing(), "rest": self._resting()}
        found["died"] = self._dying()
        found["joined"] = self._joining()
        found["left"] = self._leaving()
        self._take_notes()
        found["streams_with_two_owners"] = self._timeline.num_overlaps(self._dead)
        found["unowned_at_the_end"] = self._num_free()
        return found

    def _placing(self) -> dict[str, Any]:
        """Cameras come faster than slots can look, so thousands wait."""
        self._crowd.start(list(names(0, self._plan.num_slots)))
        self._crowd.run(2.0)  # they know of each other
        self._report(f"adding {self._plan.num_cameras} cameras, and placing them")
        began, began_real = self._crowd.now, time.monotonic()
        for number in range(self._plan.num_cameras):
            self._crowd.registry.streams.create(camera(number))
            if number % _CAMERAS_AT_ONCE == _CAMERAS_AT_ONCE - 1:
                self._crowd.run(_ADD_EVERY_S)
        self._run_until(lambda: self._num_free() == 0)
        placed_s = self._crowd.now - began
        counts = self._crowd.counts().values()
        self._report(f"all placed after {placed_s:.1f} s")
        return {
            "placed_s": round(placed_s, 2),
            "real_s": round(time.monotonic() - began_real, 1),
            "least_streams": min(counts),
            "most_streams": max(counts),
        }

    def _resting(self) -> dict[str, Any]:
        """What the server and the slots do while nothing happens."""
        self._report("nothing happens")
        self._crowd.run(self._plan.calm_s)
        self._crowd.publish_every(self._plan.publish_every_s)
        self._crowd.run(SELDOM_S)  # by then each slot does
        self._take_notes()
        before = self._load()
        self._crowd.run(self._plan.calm_s)
        after, passed_s = self._load(), self._plan.calm_s
        self._crowd.publish_every(SELDOM_S)
        rates = {name: (after[name] - before[name]) / passed_s for name in after}
        num_slots = self._plan.num_slots
        return {
            "commands_s": round(rates["commands"]),
            "redis_cpu": round(rates["cpu_s"], 3),
            "in_kb_s": round(rates["in_bytes"] / 1e3, 1),
            "out_kb_s": round(rates["out_bytes"] / 1e3, 1),
            "commands_a_slot_s": round(rates["commands"] / num_slots, 2),
            "slot_cpu_ms_s": round(1e3 * rates["slots_cpu_s"] / num_slots, 2),
            "streams_moved": self._moved(),
        }

    def _dying(self) -> dict[str, Any]:
        """One slot dies just after it has renewed its leases, the last when it should again."""
        num, dying = self._plan.num_deaths, list(self._crowd.counts())[: self._plan.num_deaths]
        deaths = [
            self._death(slot, number / max(1, num - 1) * self._plan.ttl_s / 3.1)
            for number, slot in enumerate(dying)
        ]
        gaps = [gap_s for gaps, _ in deaths for gap_s in gaps]
        return {
            "streams": len(gaps),
            "median_gap_s": round(median(gaps), 2),
            "longest_gap_s": round(max(gaps), 2),
            "others_moved": sum(num_others for _, num_others in deaths),
        }

    def _death(self, slot: str, after_renewal_s: float) -> tuple[list[float], int]:
        """How long each of its streams had nobody, and how many streams of others were moved."""
        self._crowd.run(self._plan.calm_s)
        died_at = self._crowd.kill(slot, after_renewal_s)
        self._take_notes()
        self._dead.add(slot)
        hit = self._timeline.held_by(slot)
        waiting = set(hit)
        self._run_until(lambda: self._found_heirs(waiting))
        gaps = self._timeline.gaps_s(hit, died_at)
        self._report(
            f"{slot} dies {after_renewal_s:.2f} s after it renewed {len(hit)} leases: they have "
            f"others again after {min(gaps):.2f} to {max(gaps):.2f} s"
        )
        return gaps, len(self._timeline.moved_since(died_at) - hit)

    def _joining(self) -> dict[str, Any]:
        self._settle()
        began = self._crowd.now
        (slot,) = names(self._plan.num_slots, 1)
        self._crowd.start([slot])
        self._report(f"{slot} joins")
        self._settle()
        return {"slot_has": self._crowd.counts()[slot], **self._moves(began)}

    def _leaving(self) -> dict[str, Any]:
        slot, num = next(iter(self._crowd.counts().items()))
        began = self._crowd.drain(slot)
        self._report(f"{slot} leaves")
        self._run_until(lambda: not self._crowd.has(slot))
        left_s = self._crowd.now - began
        self._run_until(lambda: self._num_free() == 0)
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

    def _run_until(self, has_come: Callable[[], bool]) -> None:
        if not has_come() and not self._crowd.run(_GIVE_UP_S, has_come):
            raise UnavailableError(f"{self._num_free()} streams have no owner")

    def _found_heirs(self, waiting: set[str]) -> bool:
        """Whether other slots have opened all of these, which are taken out as they are."""
        waiting.difference_update(note.stream for note in self._take_notes() if note.is_open)
        return not waiting

    def _settle(self) -> None:
        """Until no stream has moved for a while."""
        deadline = self._crowd.now + _GIVE_UP_S
        self._take_notes()
        while self._crowd.now < deadline:
            self._crowd.run(self._plan.calm_s)
            if not self._take_notes():
                return

    def _moved(self) -> int:
        return len({note.stream for note in self._take_notes() if note.is_open})

    def _take_notes(self) -> list[Note]:
        notes = self._crowd.notes()
        self._timeline.add(notes)
        return notes

    def _num_free(self) -> int:
        return int(self._redis.zcard("sightline:free"))

    def _load(self) -> dict[str, float]:
        info = self._redis.info("all")
        return {
            "commands": info["total_commands_processed"],
            "cpu_s": info["used_cpu_user"] + info["used_cpu_sys"],
            "in_bytes": info["total_net_input_bytes"],
            "out_bytes": info["total_net_output_bytes"],
            "slots_cpu_s": self._crowd.slots_cpu_s,
        }
