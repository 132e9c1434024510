"""Traffic on a view's routes: a microscopic simulation at 10 steps a second.

Vehicles keep their distance by the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000),
obey the signals and slow down in bends; pedestrians use the same model with other numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cluster.demo.world.agents import MANNERS, Agent, draw_size
from cluster.demo.world.geometry import Polyline
from cluster.demo.world.layout import Route, View
from cluster.demo.world.network import Network
from cluster.demo.world.scenario import CAR, LORRY, MOTORCYCLE, PEDESTRIAN
from cluster.demo.world.signals import SignalPlan

STEP_S = 0.1
WARMUP_STEPS = 200
PARKED_S = 10.0
_SIGHT_M = 60.0
_CREEP_MPS = 0.3  # who brakes to less than this stands
_START_MPS2 = 0.4  # who stands starts only when there is room for this
_CLEARING_S = 13.0


@dataclass(frozen=True, slots=True)
class Incidents:
    """When the scripted things happen, in steps; negative for never."""

    wrong_way: int
    parking: int


class Simulation:
    """Runs a view's traffic; one instance makes one run."""

    def __init__(
        self,
        network: Network,
        view: View,
        signals: SignalPlan,
        rng: np.random.Generator,
        density: float,
    ) -> None:
        self._net = network
        self._view = view
        self._signals = signals
        self._rng = rng
        self._density = density
        self._index = {route.name: i for i, route in enumerate(network.routes)}
        self._wrong = self._index[view.wrong_way]
        self._clears = {self._index[name] for name in view.clears}
        self._next = [self._wait(i) * float(rng.random()) for i in range(len(network.routes))]
        self._active: list[Agent] = []
        self.agents: list[Agent] = []

    def run(self, num_steps: int, incidents: Incidents) -> list[Agent]:
        """Simulate warm-up and clip; returns every agent there was, in order of identity."""
        pending = {"wrong": incidents.wrong_way, "park": incidents.parking}
        self._populate(self._closed(0, pending))
        for step in range(WARMUP_STEPS + num_steps):
            self._arrivals(step, self._closed(step, pending))
            self._incidents(step, pending)
            self._advance(step)
        return self.agents

    def _closed(self, step: int, pending: dict[str, int]) -> set[int]:
        """Return the routes that nobody enters now, so that an incident finds its way free.

        These are the lane of the wrong-way drive, until it is over, and the approaches where a
        queue at the signals would delay an incident.
        """
        closed: set[int] = set()
        wrong, park = pending["wrong"], pending["park"]
        lead = (_CLEARING_S + self._signals.cycle_s) / STEP_S
        if 0 <= wrong <= step + lead or any(a.route == self._wrong for a in self._active):
            closed |= self._clears
        if 0 <= wrong <= step + _CLEARING_S / STEP_S:
            closed |= self._same_approach(self._wrong)
        if park >= 0:
            closed |= self._same_approach(self._index[self._view.parking])
        return closed

    def _same_approach(self, incident: int) -> set[int]:
        """Return the routes that share the first metres and the signals of an incident's."""
        own = self._net.routes[incident]
        return {
            i
            for i, route in enumerate(self._net.routes)
            if own.group and route.points[0] == own.points[0]
        }

    def _wait(self, route: int) -> float:
        rate = self._net.routes[route].rate_hz * self._density
        return (0.35 + 1.3 * float(self._rng.random())) / rate if rate > 0 else math.inf

    def _populate(self, closed: set[int]) -> None:
        """Put agents along the routes, before the stop lines, so that the world starts full."""
        for i, route in enumerate(self._net.routes):
            if route.rate_hz <= 0 or i in closed:
                continue
            end = route.stop_m - 12.0 if route.group else self._net.lines[i].length_m - 5.0
            s = route.speed_mps * self._wait(i) * float(self._rng.random())
            while s < end:
                if all(self._apart(other, i, s) for other in self._active):
                    self._enter(i, self._draw_class(route), s, 0)
                s += max(2.0 if route.kind == "walk" else 16.0, route.speed_mps * self._wait(i))

    def _arrivals(self, step: int, closed: set[int]) -> None:
        for i, route in enumerate(self._net.routes):
            if step * STEP_S < self._next[i] or i in closed:
                continue
            if all(self._apart(other, i, 0.0) for other in self._active):
                self._enter(i, self._draw_class(route), 0.0, step)
                self._next[i] = step * STEP_S + self._wait(i)

    def _incidents(self, step: int, pending: dict[str, int]) -> None:
        if 0 <= pending["wrong"] <= step and not any(
            a.route in self._clears and self._ahead_of_wrong(a) for a in self._active
        ):
            route = self._wrong
            if all(self._apart(other, route, 0.0) for other in self._active):
                self._enter(route, CAR, 0.0, step)
                pending["wrong"] = -1
        if 0 <= pending["park"] <= step:
            route = self._index[self._view.parking]
            if all(self._apart(other, route, 0.0) for other in self._active):
                agent = self._enter(route, CAR, 0.0, step)
                agent.rest_m = self._view.parking_m
                agent.rest_until = -1
                pending["park"] = -1

    def _ahead_of_wrong(self, agent: Agent) -> bool:
        """Tell whether an agent still has to leave the way of the wrong-way car."""
        own = self._net.tables[self._wrong].get(agent.route)
        if own is None:
            return False
        return own[self._sample(agent)][1] < 10.0

    def _draw_class(self, route: Route) -> int:
        if route.kind == "walk":
            return PEDESTRIAN
        pick = float(self._rng.random())
        return CAR if pick < 0.62 else LORRY if pick < 0.79 else MOTORCYCLE

    def _enter(self, route: int, class_id: int, s: float, step: int) -> Agent:
        u = [float(self._rng.random()) for _ in range(5)]
        size = draw_size(class_id, u)
        speed = self._net.routes[route].speed_mps * (0.85 + 0.3 * u[3])
        slow = (0, 0)
        if u[4] < 0.15 and class_id != PEDESTRIAN:
            start = step + int(20 + 700 * u[4])
            slow = (start, start + 25)
        v = min(speed, self._net.limits[route][int(s / Polyline.STEP_M)])
        agent = Agent(len(self.agents) + 1, class_id, route, *size, speed, s, v, step, slow)
        self._active.append(agent)
        self.agents.append(agent)
        return agent

    def _sample(self, agent: Agent) -> int:
        return int(agent.s_m / Polyline.STEP_M)

    def _apart(self, other: Agent, route: int, s: float) -> bool:
        """Tell whether an agent may enter a route at ``s`` with another one around."""
        table = self._net.tables[route].get(other.route)
        if table is None:
            return True
        at, distance = table[self._sample(other)]
        free = 18.0 if s == 0.0 else 8.0  # who arrives at speed must be able to brake
        room = 1.5 if other.class_id == PEDESTRIAN else free + other.length_m / 2
        return distance > 3.0 or abs(at - s) > room

    def _advance(self, step: int) -> None:
        going = self._signals.going(step * STEP_S)
        moves = [self._accelerate(agent, step, going) for agent in self._active]
        staying = []
        for agent, (s, v) in zip(self._active, moves, strict=True):
            agent.log.append((agent.s_m, agent.v_mps))
            agent.s_m, agent.v_mps = s, v
            if s < self._net.lines[agent.route].length_m - 1.0:
                staying.append(agent)
        self._active = staying

    def _accelerate(self, agent: Agent, step: int, going: frozenset[str]) -> tuple[float, float]:
        """Return the agent's next place and speed."""
        if agent.rest_m and self._rests(agent, step) and agent.rest_until > 0:
            return agent.s_m, 0.0
        manner = MANNERS[agent.class_id]
        limit = min(agent.speed_mps, self._net.limits[agent.route][self._sample(agent)])
        if agent.slow[0] <= step < agent.slow[1]:
            limit *= 0.5
        v = agent.v_mps
        accel = manner.accel * (1.0 - (v / limit) * (v / limit) * (v / limit) * (v / limit))
        for gap, speed, rest in self._hindrances(agent, step, going):
            wanted = rest + max(
                0.0,
                v * manner.headway_s
                + v * (v - speed) / (2 * math.sqrt(manner.accel * manner.brake)),
            )
            ratio = wanted / max(gap, 0.1)
            accel = min(accel, manner.accel * (1.0 - ratio * ratio))
        accel = min(max(accel, -7.0), manner.accel)
        after = max(0.0, v + accel * STEP_S)
        if after < _CREEP_MPS and accel < _START_MPS2:
            after = 0.0
        return round(agent.s_m + (v + after) / 2 * STEP_S, 6), round(after, 6)

    def _hindrances(
        self, agent: Agent, step: int, going: frozenset[str]
    ) -> list[tuple[float, float, float]]:
        """Return gap, speed and gap wanted at rest for whatever is ahead of an agent."""
        found = []
        manner = MANNERS[agent.class_id]
        for other in self._active:
            seen = self._gap(agent, other) if other is not agent else None
            if seen is not None:
                found.append((seen, other.v_mps, manner.gap_m))
        route = self._net.routes[agent.route]
        front = agent.s_m + agent.length_m / 2
        if route.group and route.group not in going:
            gap = route.stop_m - front
            if gap > -0.3 and agent.v_mps * agent.v_mps / (2 * 3.2) < gap + 0.5:
                found.append((gap + 0.5, 0.0, 0.8))
        if agent.rest_m and self._rests(agent, step):
            found.append((max(agent.rest_m - front, 0.0) + 0.5, 0.0, 0.5))
        return found

    def _rests(self, agent: Agent, step: int) -> bool:
        """Tell whether the parking car still heads for its place or stands there."""
        if agent.rest_until < 0:
            if agent.v_mps < 0.05 and agent.rest_m - agent.s_m - agent.length_m / 2 < 1.5:
                agent.rest_until = step + round((PARKED_S + 1.0) / STEP_S)
            return True
        if step < agent.rest_until:
            return True
        return not all(self._lets_out(agent, other) for other in self._active)

    def _lets_out(self, agent: Agent, other: Agent) -> bool:
        table = self._net.tables[agent.route].get(other.route)
        if other is agent or table is None or agent.v_mps > 0.5:
            return True
        at, distance = table[self._sample(other)]
        return distance > 4.5 or not -32.0 < at - agent.s_m < 14.0

    def _gap(self, agent: Agent, other: Agent) -> float | None:
        """Return the free way to another agent if it is on this one's path, else None."""
        table = self._net.tables[agent.route].get(other.route)
        if table is None:
            return None
        at, distance = table[self._sample(other)]
        ahead = at - agent.s_m
        if other.route == agent.route:
            ahead, distance = other.s_m - agent.s_m, 0.0
        if not 0 < ahead < _SIGHT_M or distance > (agent.width_m + other.width_m) / 2 + 0.4:
            return None
        return ahead - (agent.length_m + other.length_m) / 2
