"""Where each object is in each frame: its pose on the ground and its box in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cluster.demo.world.agents import Agent, at_steps
from cluster.demo.world.figures import SWINGS, Pose, Stage, VehicleFigure
from cluster.demo.world.geometry import Floats
from cluster.demo.world.network import Network
from cluster.demo.world.pedestrians import PedestrianFigure
from cluster.demo.world.scenario import PEDESTRIAN, Scenario
from cluster.demo.world.traffic import STEP_S, WARMUP_STEPS

_NEAREST_M = 2.5
_STRIDES = 0.62  # full swings of the legs for each metre walked
_FAR_PX = 36.0
_STEP = 0.12  # how far feet are from the middle, in heights, for most of a stride


@dataclass(frozen=True, slots=True)
class Track:
    """An object over the frames ``first`` to ``first + len(boxes) - 1``.

    Attributes:
        agent: Who it is.
        figure: Draws it.
        first: First frame in which it is in the world.
        places: Ground position, ``[F, 2]``.
        headings: Unit heading, ``[F, 2]``.
        travelled: Way along the route in metres, ``[F]``.
        speeds: Metres a second, ``[F]``.
        boxes: Box of the whole object, unclipped, ``[F, 4]``.
        clipped: The same within the picture, ``[F, 4]``.
        seen: True where at least two by two pixels of the box are in the picture, ``[F]``.
    """

    agent: Agent
    figure: VehicleFigure | PedestrianFigure
    first: int
    places: Floats
    headings: Floats
    travelled: Floats
    speeds: Floats
    boxes: Floats
    clipped: Floats
    seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    def pose(self, frame: int) -> Pose:
        """Return how to draw it in a frame, in full light; far legs swing in coarser steps."""
        i = frame - self.first
        swing = 0
        if self.agent.class_id == PEDESTRIAN:
            coarse = 2 if self.boxes[i, 3] - self.boxes[i, 1] < _FAR_PX else 1
            swing = int(self.travelled[i] * _STRIDES * SWINGS / coarse) * coarse % SWINGS
        heading = float(self.headings[i, 0]), float(self.headings[i, 1])
        return Pose(float(self.places[i, 0]), float(self.places[i, 1]), heading, swing)

    def inside_share(self) -> Floats:
        """Return the share of each box that is in the picture, ``[F]``."""
        whole, part = (
            self.boxes[:, 2:] - self.boxes[:, :2],
            self.clipped[:, 2:] - self.clipped[:, :2],
        )
        share: Floats = part[:, 0] * part[:, 1] / (whole[:, 0] * whole[:, 1])
        return share

    def anchors(self) -> Floats:
        """Return the bottom centres of the clipped boxes, in pixels, ``[F, 2]``."""
        across = (self.clipped[:, 0] + self.clipped[:, 2]) / 2
        return np.stack([across, self.clipped[:, 3]], axis=1)


def make_track(
    agent: Agent, network: Network, scenario: Scenario, stage: Stage, seed: int
) -> Track | None:
    """Return an agent's track, or None if it is never in the picture."""
    steps = WARMUP_STEPS + np.arange(scenario.num_frames) / (scenario.fps * STEP_S)
    present = np.nonzero((steps >= agent.birth) & (steps <= agent.birth + len(agent.log) - 1))[0]
    if not len(present):
        return None
    travelled, speeds = at_steps(agent, steps[present])
    places, headings = network.lines[agent.route].at(travelled)
    rng = np.random.Generator(np.random.PCG64([seed, agent.identity]))
    size = agent.length_m, agent.width_m, agent.height_m
    figure: VehicleFigure | PedestrianFigure
    if agent.class_id == PEDESTRIAN:
        figure = PedestrianFigure(agent.height_m, rng)
        points = _upright(places, headings, agent.height_m, stage)
    else:
        figure = VehicleFigure(agent.class_id, size, rng)
        points = _turned(figure.outline, places, headings)
    boxes, near = _bounds(points, stage)
    limits = np.array([stage.width, stage.height, stage.width, stage.height], dtype=np.float64)
    clipped = np.clip(boxes, 0.0, limits)
    size_px = clipped[:, 2:] - clipped[:, :2]
    seen = (size_px.min(axis=1) >= 2.0) & ~near
    if not seen.any():
        return None
    return Track(
        agent, figure, int(present[0]), places, headings, travelled, speeds, boxes, clipped, seen
    )


def _bounds(
    points: Floats, stage: Stage
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Return boxes of points ``[F, V, 3]``, and where they come too near the camera."""
    pixels, depth = stage.camera.project(points, stage.width, stage.height)
    boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    return boxes, depth.min(axis=1) < _NEAREST_M


def _turned(outline: Floats, places: Floats, headings: Floats) -> Floats:
    hx, hy = headings[:, None, 0], headings[:, None, 1]
    x = places[:, None, 0] + hx * outline[None, :, 0] - hy * outline[None, :, 1]
    y = places[:, None, 1] + hy * outline[None, :, 0] + hx * outline[None, :, 1]
    return np.stack([x, y, np.broadcast_to(outline[None, :, 2], x.shape)], axis=2)


def _upright(places: Floats, headings: Floats, height_m: float, stage: Stage) -> Floats:
    """Return points that bound a walking person: wider when seen from the side, feet apart."""
    right, _, _ = stage.camera.axes()
    across = np.abs(headings[:, 0] * right[0] + headings[:, 1] * right[1])
    half = (0.23 + 0.1 * across)[:, None] * np.array([right[0], right[1]])
    step = headings * (_STEP * height_m)
    corners = [(places - half, height_m), (places + half, height_m), (places - half, 0.0)]
    corners += [(places + half, 0.0), (places + step, 0.0), (places - step, 0.0)]
    points = np.empty((len(places), len(corners), 3))
    for i, (ground, z) in enumerate(corners):
        points[:, i, :2], points[:, i, 2] = ground, z
    return points
