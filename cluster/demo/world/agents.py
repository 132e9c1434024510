"""Who moves in a world: vehicles and pedestrians, with their size, their manner and their log."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cluster.demo.world.geometry import Floats
from cluster.demo.world.scenario import CAR, LORRY, MOTORCYCLE, PEDESTRIAN


@dataclass(frozen=True, slots=True)
class Manner:
    """How a class moves: acceleration and comfortable braking, time headway, gap at rest."""

    accel: float
    brake: float
    headway_s: float
    gap_m: float


MANNERS = {
    CAR: Manner(1.9, 2.6, 1.2, 2.0),
    LORRY: Manner(1.3, 2.2, 1.4, 2.4),
    MOTORCYCLE: Manner(2.4, 2.8, 1.2, 2.0),
    PEDESTRIAN: Manner(1.0, 2.0, 0.4, 0.7),
}


@dataclass(slots=True, eq=False)
class Agent:
    """One vehicle or pedestrian, with the log of where it was at each step since ``birth``."""

    identity: int
    class_id: int
    route: int
    length_m: float
    width_m: float
    height_m: float
    speed_mps: float
    s_m: float
    v_mps: float
    birth: int
    slow: tuple[int, int] = (0, 0)
    rest_m: float = 0.0
    rest_until: int = 0
    log: list[tuple[float, float]] = field(default_factory=list)


def draw_size(class_id: int, u: list[float]) -> tuple[float, float, float]:
    """Return length, width and height of an object of a class, from uniform numbers."""
    if class_id == CAR:
        return round(3.7 + 1.1 * u[0], 3), round(1.7 + 0.2 * u[1], 3), round(1.42 + 0.3 * u[2], 3)
    if class_id == LORRY:
        return round(6.2 + 3.0 * u[0], 3), round(2.2 + 0.25 * u[1], 3), round(2.9 + 0.6 * u[2], 3)
    if class_id == MOTORCYCLE:
        return round(2.0 + 0.3 * u[0], 3), round(0.75 + 0.1 * u[1], 3), round(1.6 + 0.15 * u[2], 3)
    return 0.5, 0.5, round(1.55 + 0.35 * u[2], 3)


def at_steps(agent: Agent, steps: Floats) -> tuple[Floats, Floats]:
    """Return arc length and speed of an agent at fractional steps within its log."""
    log = np.array(agent.log)
    local = np.clip(steps - agent.birth, 0.0, len(log) - 1.0)
    index = np.minimum(local.astype(np.int64), max(len(log) - 2, 0))
    after = np.minimum(index + 1, len(log) - 1)
    part = (local - index)[:, None]
    values = log[index] + part * (log[after] - log[index])
    return values[:, 0], values[:, 1]
