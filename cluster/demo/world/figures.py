"""Drawing of vehicles from their bodies, and what every drawing of an object is made for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cluster.demo.world.bodies import vehicle
from cluster.demo.world.faces import Body, Colour, Face
from cluster.demo.world.geometry import Camera, Floats
from cluster.demo.world.light import Light
from cluster.demo.world.raster import Glare, Layer, Sprite, faces_camera, halo, hull

SWINGS = 8
_HALO: dict[str, Colour] = {"head": (190.0, 176.0, 136.0), "tail": (150.0, 18.0, 14.0)}
_POOL: Colour = (84.0, 78.0, 56.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a figure is drawn for: a camera, a picture size and a light."""

    camera: Camera
    width: int
    height: int
    light: Light

    def project(self, points: Floats) -> Floats:
        """Return the pixels of world points ``[..., 3]``."""
        return self.camera.project(points, self.width, self.height)[0]

    def scale(self, x: float, y: float, z: float = 0.0) -> float:
        """Return the pixels that a metre has at a place."""
        _, depth = self.camera.project(np.array([x, y, z]), self.width, self.height)
        return self.camera.focal * self.width / float(depth)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a figure stands: place, unit heading, the swing of its legs, local brightness."""

    x_m: float
    y_m: float
    heading: tuple[float, float]
    swing: int = 0
    level: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn figure: the sprite, and at night its beam on the road and the halos of its lamps."""

    sprite: Sprite
    beam: Glare | None = None
    halos: tuple[Glare, ...] = ()


class VehicleFigure:
    """Draws one vehicle."""

    def __init__(
        self, class_id: int, size: tuple[float, float, float], rng: np.random.Generator
    ) -> None:
        self._body: Body = vehicle(class_id, size, rng)
        self._size = size
        faces = [face for part in self._body.parts for face in part.faces]
        self._vertices = np.concatenate([face.vertices for face in faces])
        self._normals = np.array([_normal(face) for face in faces])
        self.outline = self._body.outline

    def draw(self, pose: Pose, stage: Stage) -> Drawing:
        """Draw the vehicle in a pose."""
        pixels = stage.project(_placed(self._vertices, pose))
        levels = stage.light.shade(_turned(self._normals, pose)) * pose.level
        shadow = self._shadow(pose, stage, 1.0)
        layer = Layer.around(np.concatenate([pixels, shadow]), 3.0)
        if stage.light.shadow > 0:
            layer.polygon(shadow, (8, 10, 16), stage.light.shadow, soft_px=2.5, solid=False)
        contact = self._shadow(pose, stage, 0.0)
        layer.polygon(contact, (6, 7, 9), 0.5, soft_px=3.0, solid=False)
        lamps = self._draw_faces(layer, pixels, levels, pose, stage)
        beam, halos = self._lights(lamps, pose, stage) if stage.light.lamps else (None, ())
        return Drawing(layer.sprite(), beam, halos)

    def _draw_faces(
        self, layer: Layer, pixels: Floats, levels: Floats, pose: Pose, stage: Stage
    ) -> list[tuple[float, float, str]]:
        """Draw the faces that are seen, far parts first; returns the lamps among them."""
        lamps: list[tuple[float, float, str]] = []
        for part, first_face, first_vertex in self._parts_far_first(pose, stage):
            at = first_vertex
            for i, face in enumerate(part):
                corners = pixels[at : at + len(face.vertices)]
                at += len(face.vertices)
                if not face.both_sides and not faces_camera(corners):
                    continue
                lit = face.glow and stage.light.lamps
                level = 1.0 if lit else float(levels[first_face + i])
                colour = face.colour if lit else stage.light.tinted(face.colour, level)
                layer.polygon(corners, colour)
                if lit:
                    centre = corners.sum(axis=0) / len(corners)
                    lamps.append((float(centre[0]), float(centre[1]), face.glow))
        return lamps

    def _parts_far_first(self, pose: Pose, stage: Stage) -> list[tuple[tuple[Face, ...], int, int]]:
        parts, face, vertex = [], 0, 0
        for part in self._body.parts:
            x = pose.x_m + pose.heading[0] * part.x_m - stage.camera.x_m
            y = pose.y_m + pose.heading[1] * part.x_m - stage.camera.y_m
            parts.append((x * x + y * y, part.faces, face, vertex))
            face += len(part.faces)
            vertex += sum(len(f.vertices) for f in part.faces)
        parts.sort(key=lambda entry: -entry[0])
        return [(faces, f, v) for _, faces, f, v in parts]

    def _shadow(self, pose: Pose, stage: Stage, reach: float) -> Floats:
        """Return the outline on the ground of the shadow, or of the footprint for reach 0."""
        length, width, height = self._size
        a, b = length / 2 * 0.98, width / 2
        foot = np.array([(-a, -b, 0.0), (a, -b, 0.0), (a, b, 0.0), (-a, b, 0.0)])
        ground = _placed(foot, pose)
        sun = stage.light.sun
        away = np.array([-sun[0] / sun[2], -sun[1] / sun[2], 0.0]) * (height * 0.85 * reach)
        return hull(stage.project(np.concatenate([ground, ground + away])))

    def _lights(
        self, lamps: list[tuple[float, float, str]], pose: Pose, stage: Stage
    ) -> tuple[Glare, tuple[Glare, ...]]:
        """Return the pool of light on the road ahead, and the halos of the lamps that are seen."""
        front, half = self._size[0] / 2, self._size[1] * 0.9
        pool = [(front, half), (front + 7, half), (front + 7, -half), (front, -half)]
        corners = stage.project(_placed(np.array([(x, y, 0.0) for x, y in pool]), pose))
        low, high = corners.min(axis=0), corners.max(axis=0)
        centre = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
        radius = min(float(high[0] - low[0]) * 0.6, 140.0), min(float(high[1] - low[1]) * 0.6, 70.0)
        scale = stage.scale(pose.x_m, pose.y_m)
        halos = []
        for x, y, glow in lamps:
            reach = (0.75 if glow == "head" else 0.55) * scale + 2.0
            halos.append(halo((x, y), (reach, reach), _HALO[glow]))
        return halo(centre, radius, _POOL), tuple(halos)


def _normal(face: Face) -> Floats:
    a, b, c = face.vertices[0], face.vertices[1], face.vertices[2]
    u, v = b - a, c - b
    cross = np.array(
        [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    )
    normal: Floats = cross / max(float(np.sqrt((cross * cross).sum())), 1e-9)
    return normal


def _turned(vectors: Floats, pose: Pose) -> Floats:
    hx, hy = pose.heading
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([hx * x - hy * y, hy * x + hx * y, vectors[:, 2]], axis=1)


def _placed(points: Floats, pose: Pose) -> Floats:
    placed: Floats = _turned(points, pose) + np.array([pose.x_m, pose.y_m, 0.0])
    return placed
