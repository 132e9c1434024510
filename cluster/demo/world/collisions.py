"""Whether vehicles of a run ever overlap on the ground."""

from __future__ import annotations

import itertools

import numpy as np

from cluster.demo.world.agents import Agent
from cluster.demo.world.geometry import Floats
from cluster.demo.world.network import Network

_EVERY = 2  # steps between the moments that are looked at


def first_collision(
    agents: list[Agent], network: Network, num_steps: int
) -> tuple[int, int, int] | None:
    """Return step and identities of the first overlap of two vehicles' footprints, or None."""
    drivers = [a for a in agents if network.routes[a.route].kind == "drive"]
    moments = np.arange(0, num_steps, _EVERY)
    places = np.full((len(drivers), len(moments), 4), np.inf)
    for row, agent in zip(places, drivers, strict=True):
        present = (moments >= agent.birth) & (moments < agent.birth + len(agent.log))
        s = np.array([agent.log[m - agent.birth][0] for m in moments[present]])
        if len(s):
            row[present] = np.concatenate(network.lines[agent.route].at(s), axis=1)
    for i, j in itertools.combinations(range(len(drivers)), 2):
        hit = _overlaps(drivers[i], drivers[j], places[i], places[j])
        if hit is not None:
            return int(moments[hit]), drivers[i].identity, drivers[j].identity
    return None


def _overlaps(one: Agent, two: Agent, a: Floats, b: Floats) -> int | None:
    """Return the first moment at which two vehicles overlap, by separating axes."""
    both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
    rows = np.nonzero(both)[0]
    if not len(rows):
        return None
    gap = b[rows, :2] - a[rows, :2]
    reach = (one.length_m + two.length_m) / 2 + 1.5
    rows = rows[gap[:, 0] * gap[:, 0] + gap[:, 1] * gap[:, 1] < reach * reach]
    if not len(rows):
        return None
    gap = b[rows, :2] - a[rows, :2]
    apart = np.zeros(len(rows), bool)
    for axis in _axes(a[rows, 2:]) + _axes(b[rows, 2:]):
        distance = np.abs(gap[:, 0] * axis[:, 0] + gap[:, 1] * axis[:, 1])
        apart |= distance > _half(one, a[rows, 2:], axis) + _half(two, b[rows, 2:], axis)
    hits = rows[~apart]
    return int(hits[0]) if len(hits) else None


def _axes(heading: Floats) -> list[Floats]:
    return [heading, np.stack([-heading[:, 1], heading[:, 0]], axis=1)]


def _half(agent: Agent, heading: Floats, axis: Floats) -> Floats:
    """Return half the extent of a footprint along an axis."""
    along = np.abs(heading[:, 0] * axis[:, 0] + heading[:, 1] * axis[:, 1])
    across = np.abs(heading[:, 0] * axis[:, 1] - heading[:, 1] * axis[:, 0])
    return along * agent.length_m / 2 + across * agent.width_m / 2
