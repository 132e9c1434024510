"""``bench cluster``: from one camera to ten and back, while slots come and go with them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.bench.claims import all_hold, plain
from cluster.bench.deployment import Deployment, Report, deployed
from cluster.bench.detections import longest_silence_s
from cluster.bench.scaling.figures import claims_of, percentiles_s, placement_of
from cluster.bench.scaling.history import History
from cluster.bench.watching import WatchProcess
from cluster.demo.feeds import Feed
from cluster.errors import UnavailableError

_LOOK_EVERY_S = 0.2
_GIVE_UP_S = 150.0
_CALM_S = 5.0
_HEADROOM = 0.8


@dataclass(frozen=True, slots=True)
class ScalingPlan:
    """What to run.

    Attributes:
        num_cameras: At the most, 640x360 at 25 pictures a second.
        num_machines: That can have a slot each.
        streams_a_slot: A slot can hold no more; it is planned to four fifths.
        max_fps: Inferences a second and camera.
        num_warm: Cameras that are added one after the other to a slot that runs.
        downscale_delay_s: Fewer slots must do for so long.
    """

    num_cameras: int = 10
    num_machines: int = 3
    streams_a_slot: int = 5
    max_fps: float = 4.0
    num_warm: int = 10
    downscale_delay_s: float = 10.0

    @property
    def num_wanted(self) -> int:
        """Slots for all cameras."""
        planned = self.streams_a_slot * _HEADROOM
        return min(self.num_machines, -int(-self.num_cameras // planned))


def measure_scaling(plan: ScalingPlan, report: Report) -> dict[str, Any]:
    """Watch one camera, add some one by one, then all, once more all, then keep only the first.

    Args:
        plan: What to run.
        report: Told what is going on.

    Returns:
        ``warm``, ``up``, ``together`` and ``down``; ``placement``, by slot; ``claims``.

    Raises:
        UnavailableError: The cluster does not start, or slots or detections do not come.
    """
    settings = {
        "slots": {"num": 1, "max_streams": plan.streams_a_slot, "spares": False},
        "autoscaling": {
            "min_slots": 1,
            "max_slots": plan.num_machines,
            "headroom": _HEADROOM,
            "downscale_delay_s": plan.downscale_delay_s,
        },
    }
    with deployed(plan.num_machines, plan.num_cameras, report, **settings) as system:
        watch = WatchProcess([feed.name for feed in system.feeds], os.getpid())
        try:
            found = _Bench(system, watch, plan).run()
        finally:
            watch.close()
    claims = claims_of(found)
    return {**found, "claims": plain(claims), "holds": all_hold(claims)}


class _Bench:
    """The parts of the measurement, in order."""

    def __init__(self, system: Deployment, watch: WatchProcess, plan: ScalingPlan) -> None:
        self._system = system
        self._watch = watch
        self._plan = plan
        self._history = History(system)

    def run(self) -> dict[str, Any]:
        plan, (first, *rest) = self._plan, self._system.feeds
        self._first_detection_s(first)
        warm = [self._on_a_warm_slot(rest[n % len(rest)]) for n in range(plan.num_warm)]
        self._system.report(f"warm: {percentiles_s(warm)}")
        up = self._up(rest)
        self._system.report(f"up: {up}")
        placement = placement_of(self._system.ready_slots(), self._system.machines.nodes())
        together = self._together(rest)
        self._system.report(f"together: {together}")
        down = self._down(first, rest)
        self._system.report(f"down: {down}")
        return {
            "cameras": plan.num_cameras,
            "machines": plan.num_machines,
            "max_fps": plan.max_fps,
            "warm": {"first_detection_s": percentiles_s(warm), "all_s": warm},
            "up": up,
            "together": together,
            "down": down,
            "placement": placement,
            "dropped": self._history.dropped,
            "load": os.getloadavg()[0],
        }

    def _up(self, feeds: Sequence[Feed]) -> dict[str, Any]:
        began = time.monotonic()
        num_moves = self._history.num_moves
        for feed in feeds:
            self._system.watch(feed, self._plan.max_fps)
        slots_s = self._await_slots(self._plan.num_wanted, began)
        streams = [feed.name for feed in feeds]
        self._until(lambda: all(self._since(s, began) for s in streams), "detections of all")
        self._calm()
        first = [self._since(stream, began)[0] - began for stream in streams]
        return {
            "slots": len(self._system.ready_slots()),
            "slots_s": round(slots_s, 1),
            "first_detection_s": percentiles_s(first),
            "all_s": sorted(round(s, 2) for s in first),
            "running_slot_s": percentiles_s(sorted(first)[: self._plan.streams_a_slot - 1]),
            "num_moved": self._history.num_moves - num_moves,
            "longest_silence_s": self._longest_silence_s(streams, began),
        }

    def _together(self, feeds: Sequence[Feed]) -> dict[str, Any]:
        """The same cameras once more, all at once, on slots that run now."""
        self._delete(feeds)
        slots = len(self._system.ready_slots())
        posted = {}
        for feed in feeds:
            posted[feed.name] = time.monotonic()
            self._system.watch(feed, self._plan.max_fps)
        self._until(
            lambda: all(self._since(stream, at) for stream, at in posted.items()),
            "detections of all",
        )
        first = [self._since(stream, at)[0] - at for stream, at in posted.items()]
        return {
            "slots": slots,
            "first_detection_s": percentiles_s(first),
            "all_s": sorted(round(s, 2) for s in first),
        }

    def _down(self, first: Feed, rest: Sequence[Feed]) -> dict[str, Any]:
        began = time.monotonic()
        num_moves = self._history.num_moves
        for feed in rest:
            self._system.api.delete(f"/v1/streams/{feed.name}")
        slots_s = self._await_slots(1, began)
        self._calm()
        return {
            "slots": len(self._system.slots()),
            "slots_s": round(slots_s, 1),
            "num_moved": self._history.num_moves - num_moves,
            "longest_silence_s": self._longest_silence_s([first.name], began),
        }

    def _on_a_warm_slot(self, feed: Feed) -> float:
        found = self._first_detection_s(feed)
        self._delete([feed])
        return found

    def _delete(self, feeds: Sequence[Feed]) -> None:
        names = {feed.name for feed in feeds}
        for name in names:
            self._system.api.delete(f"/v1/streams/{name}")
        self._until(lambda: not names & self._system.holders().keys(), "the end of streams")
        for name in names:
            self._history.forget(name)

    def _first_detection_s(self, feed: Feed) -> float:
        """From before the POST to the first frame that went through model, tracker and rules."""
        posted = time.monotonic()
        self._system.watch(feed, self._plan.max_fps)
        self._until(lambda: bool(self._since(feed.name, posted)), f"a detection of {feed.name}")
        return round(self._since(feed.name, posted)[0] - posted, 3)

    def _await_slots(self, num: int, began: float) -> float:
        """Seconds until exactly so many are there, all ready."""
        self._until(
            lambda: len(self._system.slots()) == len(self._system.ready_slots()) == num,
            f"{num} slots",
        )
        return time.monotonic() - began

    def _since(self, stream: str, moment: float) -> list[float]:
        return [at for at in self._watch.seen_at(stream) if at >= moment]

    def _longest_silence_s(self, streams: Sequence[str], began: float) -> float:
        """Of streams, from their first detection of a time on."""
        now = time.monotonic()
        return round(
            max(
                longest_silence_s(seen, seen[0], now)
                for stream in streams
                if (seen := self._since(stream, began))
            ),
            3,
        )

    def _calm(self) -> None:
        """Streams may move once slots have come or gone."""
        deadline = time.monotonic() + _CALM_S
        while time.monotonic() < deadline:
            self._history.look()
            time.sleep(_LOOK_EVERY_S)

    def _until(self, holds: Any, what: str) -> None:
        deadline = time.monotonic() + _GIVE_UP_S
        while not holds():
            if time.monotonic() > deadline:
                raise UnavailableError(f"{what} did not come in {_GIVE_UP_S:.0f} s")
            self._history.look()
            time.sleep(_LOOK_EVERY_S)
