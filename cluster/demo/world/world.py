"""A world: the pictures of a scenario, and all that is true of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.demo.world.agents import Agent
from cluster.demo.world.collisions import first_collision
from cluster.demo.world.figures import Stage
from cluster.demo.world.geometry import Floats, Polyline, inside
from cluster.demo.world.happenings import events
from cluster.demo.world.layout import Route, View
from cluster.demo.world.light import Light
from cluster.demo.world.network import Network
from cluster.demo.world.painter import MIN_HEIGHT_PX, Painter, open_frame
from cluster.demo.world.raster import Bytes
from cluster.demo.world.scenario import Scenario
from cluster.demo.world.seen import Seen
from cluster.demo.world.signals import SignalPlan
from cluster.demo.world.tracks import Track, make_track
from cluster.demo.world.traffic import (
    PARKED_S,
    STEP_S,
    WARMUP_STEPS,
    Incidents,
    Simulation,
)
from cluster.demo.world.truth import FrameTruth, Truth, TruthEvent
from cluster.demo.world.views import VIEWS

FIRST_EVENT_S = 2.5
MIN_CROSSINGS_HZ = 0.33
_MAX_ATTEMPTS = 40
# What decides which traffic is taken; what else happens in it is told besides.
_SCRIPTED = {"line_cross", "zone_enter", "zone_exit", "wrong_way", "illegal_parking"}
_WARMUP_S = WARMUP_STEPS * STEP_S
Shares = tuple[NDArray[np.intp], list[dict[int, float]]]  # painted frames; identity to share
_NETWORKS: dict[str, Network] = {}


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt at the traffic: its number, agents and tracks."""

    attempt: int
    agents: list[Agent]
    tracks: list[Track]


class World:
    """The world of a scenario. Iterating yields ``(rgb uint8 [H, W, 3], FrameTruth)``.

    Traffic is drawn again, with the next random numbers, until it has no collision, its first
    crossing comes early and the scripted incidents fit into the clip.

    Raises:
        ValueError: If the scenario names a view that does not exist.
    """

    def __init__(self, scenario: Scenario) -> None:
        if scenario.view not in VIEWS:
            raise ValueError(f"scenario view {scenario.view!r}: use one of {', '.join(VIEWS)}")
        self.scenario = scenario
        self.view: View = VIEWS[scenario.view]
        rng = np.random.Generator(np.random.PCG64([scenario.seed, 0]))
        light = Light.of(scenario.time_of_day, rng)
        self._stage = Stage(self.view.camera, scenario.width, scenario.height, light)
        self._network = _network(self.view)
        self._run = self._best_run()
        self._truth: Truth | None = None

    def __iter__(self) -> Iterator[tuple[Bytes, FrameTruth]]:
        return self.pictures()

    def pictures(self, every: int = 1) -> Iterator[tuple[Bytes, FrameTruth]]:
        """Yield one frame of so many, as a detector sees them that does not look at all.

        The truth then has these frames. Its events have the times of the whole clip: between two
        frames, what is visible of an object is taken to change evenly.
        """
        painter = Painter(
            self.scenario, self.view, self._stage, self._run.tracks, self.scenario.seed
        )
        frames: list[FrameTruth] = []
        for rgb, frame in painter.frames(every):
            frames.append(frame)
            yield rgb, frame
        self._truth = Truth(self.scenario, tuple(frames), self._events(frames))

    def truth(self) -> Truth:
        """Return the truth; paints the whole clip first where nobody has iterated to its end."""
        if self._truth is None:
            for _ in self:
                pass
        assert self._truth is not None  # noqa: S101
        return self._truth

    def open_truth(self) -> Truth:
        """Return the truth of the same traffic where nothing hides anything; paints nothing."""
        scenario, tracks = self.scenario, self._run.tracks
        frames = tuple(open_frame(scenario, tracks, i) for i in range(scenario.num_frames))
        return Truth(scenario, frames, self._events_of(tracks, None))

    def collision(self) -> tuple[int, int, int] | None:
        """Return step and identities of two vehicles that overlap on the ground, or None."""
        return first_collision(self._run.agents, self._network, self._num_steps + WARMUP_STEPS)

    @property
    def _num_steps(self) -> int:
        return int(self.scenario.duration_s / STEP_S) + 3

    def _best_run(self) -> _Run:
        """Return the first run that is as wanted, or else the last one without a collision."""
        spare: _Run | None = None
        for attempt in range(_MAX_ATTEMPTS):
            run = self._attempt(attempt)
            length = self._num_steps + WARMUP_STEPS
            if first_collision(run.agents, self._network, length) is not None:
                continue
            spare = run
            if self._as_wanted(run):
                return run
        if spare is None:
            raise RuntimeError(
                f"{self.scenario}: {_MAX_ATTEMPTS} attempts all had collisions; lower the density"
            )
        return spare

    def _attempt(self, attempt: int) -> _Run:
        rng = np.random.Generator(np.random.PCG64([self.scenario.seed, 3, attempt]))
        signals, incidents = self._plan(rng)
        simulation = Simulation(self._network, self.view, signals, rng, self.scenario.density)
        agents = simulation.run(self._num_steps, incidents)
        made = (
            make_track(a, self._network, self.scenario, self._stage, self.scenario.seed)
            for a in agents
        )
        return _Run(attempt, agents, [track for track in made if track is not None])

    def _plan(self, rng: np.random.Generator) -> tuple[SignalPlan, Incidents]:
        """Draw when the scripted incidents happen, and set the signals to let them happen."""
        duration = self.scenario.duration_s
        parked_s = 2.0 + max(duration - PARKED_S - 9.5, 0.0) * float(rng.random())
        into_green_s, first_try = 6.5 + 1.5 * float(rng.random()), float(rng.random())
        park, wrong = self._route(self.view.parking), self._route(self.view.wrong_way)
        at_line_s = _WARMUP_S + parked_s - self._lead_s(park, self.view.parking_m)
        signals = SignalPlan(self.view.phases, 0.0).shifted(park.group, at_line_s - into_green_s)
        target_m = self._wrong_way_m()
        wanted_s = _WARMUP_S + duration * (0.1 + 0.5 * first_try) - self._lead_s(wrong, target_m)
        green_s = signals.next_green_s(wrong.group, wanted_s, 3.0)
        return signals, Incidents(
            wrong_way=_start(wrong, target_m, green_s) if duration >= 8.0 else -1,
            parking=_start(park, self.view.parking_m, at_line_s)
            if duration >= PARKED_S + 6.0
            else -1,
        )

    def _lead_s(self, route: Route, target_m: float) -> float:
        """Return how long a car needs to a place on its route, from the stop line if it has one."""
        return 1.15 * (target_m - (route.stop_m if route.group else 0.0)) / route.speed_mps + 0.5

    def _route(self, name: str) -> Route:
        return next(route for route in self.view.routes if route.name == name)

    def _wrong_way_m(self) -> float:
        """Return how far the wrong-way car drives until it is in its lane's zone."""
        index = [route.name for route in self.view.routes].index(self.view.wrong_way)
        zone = next(zone for zone in self.view.zones if zone.kind == "lane")
        ground = self._network.lines[index].points
        points = np.concatenate([ground, np.zeros((len(ground), 1))], axis=1)
        at = self._stage.project(points) / np.array([self.scenario.width, self.scenario.height])
        return int(np.argmax(inside(zone.polygon, at[:, 0], at[:, 1]))) * Polyline.STEP_M

    def _as_wanted(self, run: _Run) -> bool:
        told = self._events_of(run.tracks, None)
        found = [e for e in told if not e.ignore and e.type in _SCRIPTED]
        kinds = [e.type for e in found]
        if self.scenario.duration_s < 2 * FIRST_EVENT_S:
            return True
        if not found or found[0].t_s > FIRST_EVENT_S:
            return False
        if kinds.count("line_cross") < MIN_CROSSINGS_HZ * (self.scenario.duration_s - 2.0):
            return False
        if self.scenario.duration_s >= 8.0 and "wrong_way" not in kinds:
            return False
        return self.scenario.duration_s < PARKED_S + 6.0 or "illegal_parking" in kinds

    def _events(self, frames: list[FrameTruth]) -> tuple[TruthEvent, ...]:
        return self._events_of(self._run.tracks, _shares(frames))

    def _events_of(self, tracks: list[Track], shares: Shares | None) -> tuple[TruthEvent, ...]:
        """Tell the events; without what is visible, all that is in the picture is taken to be."""
        routes, seen = self._network.routes, []
        for track in tracks:
            share = track.inside_share() if shares is None else _share(track, shares)
            seen.append(Seen.of(track, routes[track.agent.route].name, share, MIN_HEIGHT_PX))
        return events(self.scenario, self.view, seen)


def _shares(frames: list[FrameTruth]) -> Shares:
    by_frame = [
        dict(zip(frame.identity.tolist(), frame.visible.tolist(), strict=True)) for frame in frames
    ]
    return np.array([frame.index for frame in frames]), by_frame


def _share(track: Track, shares: Shares) -> Floats:
    """Return what is visible of an object in each of its frames."""
    painted, by_frame = shares
    values = [visible.get(track.agent.identity, 0.0) for visible in by_frame]
    return np.interp(track.first + np.arange(len(track.boxes)), painted, values)


def _start(route: Route, target_m: float, at_line_s: float) -> int:
    """Return the step at which a car must start to pass its stop line, or arrive, in time."""
    way_m = route.stop_m if route.group else 0.0
    return max(0, int((at_line_s - 1.08 * way_m / route.speed_mps) / STEP_S))


def _network(view: View) -> Network:
    if view.name not in _NETWORKS:
        _NETWORKS[view.name] = Network.of(view)
    return _NETWORKS[view.name]
