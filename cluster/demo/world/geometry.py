"""Plane and camera geometry of the synthetic world, in operations that give the same bits anywhere.

Only ``+ - * /`` and square roots are used on arrays (IEEE 754 defines their results); sines and
cosines are rounded, so that the last bit of a platform's maths library never reaches a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]

NEAR_M = 0.5
_DIGITS = 9


def sine(angle_rad: float) -> float:
    """Return the sine, rounded to nine digits."""
    return round(math.sin(angle_rad), _DIGITS)


def cosine(angle_rad: float) -> float:
    """Return the cosine, rounded to nine digits."""
    return round(math.cos(angle_rad), _DIGITS)


def length(x: Floats, y: Floats) -> Floats:
    """Return the Euclidean length of vectors, element by element."""
    return np.sqrt(x * x + y * y)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera over the ground plane z = 0; x is right, y is away, z is up, in metres.

    Attributes:
        x_m: Position.
        y_m: Position.
        z_m: Height over the ground.
        yaw_deg: Turn to the right of the y axis.
        pitch_deg: Tilt down from the horizon.
        focal: Focal length in units of the picture's width.
    """

    x_m: float
    y_m: float
    z_m: float
    yaw_deg: float
    pitch_deg: float
    focal: float

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Return the unit vectors right, up and forward in world coordinates."""
        return _axes(self.yaw_deg, self.pitch_deg)

    def project(self, points: Floats, width: int, height: int) -> tuple[Floats, Floats]:
        """Project world points to pixels.

        Args:
            points: World points, shape ``[..., 3]``.
            width: Picture width in pixels.
            height: Picture height in pixels.

        Returns:
            Pixels ``[..., 2]`` and depth along the view ``[...]`` in metres, at least ``NEAR_M``.
        """
        dx, dy, dz = points[..., 0] - self.x_m, points[..., 1] - self.y_m, points[..., 2] - self.z_m
        across, rise, depth = (dx * a[0] + dy * a[1] + dz * a[2] for a in self.axes())
        depth = np.maximum(depth, NEAR_M)
        scale = self.focal * width / depth
        pixels = np.empty((*depth.shape, 2))
        pixels[..., 0] = width / 2 + across * scale
        pixels[..., 1] = height / 2 - rise * scale
        return pixels, depth

    def ground(self, width: int, height: int, samples: int = 1) -> tuple[Floats, Floats, Floats]:
        """Return where each pixel meets the ground: x, y and distance, ``inf`` over the horizon.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.
            samples: Samples a pixel along each axis.

        Returns:
            Three arrays of shape ``[height * samples, width * samples]``.
        """
        right, up, forward = self.axes()
        u = (np.arange(width * samples) + 0.5) / samples - width / 2
        v = height / 2 - (np.arange(height * samples) + 0.5) / samples
        across = (u / (self.focal * width))[None, :]
        rise = (v / (self.focal * width))[:, None]
        ray = [forward[i] + across * right[i] + rise * up[i] for i in range(3)]
        below = ray[2] < -1e-4
        reach = np.where(below, self.z_m / np.where(below, -ray[2], 1.0), np.inf)
        x = np.where(below, self.x_m + ray[0] * np.where(below, reach, 0.0), 0.0)
        y = np.where(below, self.y_m + ray[1] * np.where(below, reach, 0.0), 0.0)
        return x, y, reach

    def normalised(self, points: Sequence[Point], aspect: float = 16 / 9) -> tuple[Point, ...]:
        """Project ground points to picture coordinates 0..1, rounded to four digits."""
        world = np.array([(x, y, 0.0) for x, y in points])
        height = 9000
        width = round(height * aspect)
        pixels, _ = self.project(world, width, height)
        return tuple((round(float(u) / width, 4), round(float(v) / height, 4)) for u, v in pixels)


@lru_cache(maxsize=64)
def _axes(yaw_deg: float, pitch_deg: float) -> tuple[Floats, Floats, Floats]:
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    sy, cy, sp, cp = sine(yaw), cosine(yaw), sine(pitch), cosine(pitch)
    right = np.array([cy, -sy, 0.0])
    up = np.array([sy * sp, cy * sp, cp])
    forward = np.array([sy * cp, cy * cp, -sp])
    return right, up, forward


def inside(polygon: Sequence[Point], x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Tell which points lie in a polygon (even-odd rule); arrays of any one shape."""
    result = np.zeros(np.shape(x), dtype=bool)
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y1 == y2:
            continue
        spans = (y1 > y) != (y2 > y)
        result ^= spans & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return result


def border_distance(corners: Floats, points: Floats) -> Floats:
    """Return how far points ``[N, 2]`` are from the border of a polygon with corners ``[M, 2]``."""
    edges = np.roll(corners, -1, axis=0) - corners
    away = points[:, None] - corners
    along = (away * edges).sum(axis=2) / np.maximum((edges * edges).sum(axis=1), 1e-12)
    away = away - along.clip(0.0, 1.0)[:, :, None] * edges
    distance: Floats = np.sqrt((away * away).sum(axis=2)).min(axis=1)
    return distance


class Polyline:
    """A path on the ground, resampled every half metre, addressed by arc length."""

    STEP_M = 0.5

    def __init__(self, points: Sequence[Point]) -> None:
        corners = np.array(points, dtype=np.float64)
        steps = np.diff(corners, axis=0)
        reach = np.concatenate([[0.0], np.cumsum(length(steps[:, 0], steps[:, 1]))])
        num = int(reach[-1] / self.STEP_M)
        self.length_m = num * self.STEP_M
        at = np.arange(num + 1) * self.STEP_M
        index = np.clip(np.searchsorted(reach, at, side="right") - 1, 0, len(steps) - 1)
        part = ((at - reach[index]) / (reach[index + 1] - reach[index]))[:, None]
        self.points = corners[index] + part * steps[index]
        ahead = np.diff(self.points, axis=0, append=2 * self.points[-1:] - self.points[-2:-1])
        self.headings = ahead / length(ahead[:, 0], ahead[:, 1])[:, None]

    def at(self, s_m: Floats) -> tuple[Floats, Floats]:
        """Return positions and unit headings at arc lengths, each of shape ``[N, 2]``."""
        scaled = np.clip(s_m / self.STEP_M, 0.0, len(self.points) - 1.001)
        index = scaled.astype(np.int64)
        part = (scaled - index)[:, None]
        position = self.points[index] + part * (self.points[index + 1] - self.points[index])
        heading = self.headings[index] + part * (self.headings[index + 1] - self.headings[index])
        return position, heading / length(heading[:, 0], heading[:, 1])[:, None]

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Return arc length and distance of this path's sample nearest to each of ``[N, 2]``."""
        dx = points[:, None, 0] - self.points[None, :, 0]
        dy = points[:, None, 1] - self.points[None, :, 1]
        squared = dx * dx + dy * dy
        index = squared.argmin(axis=1)
        return index * self.STEP_M, np.sqrt(squared[np.arange(len(points)), index])


def rounded(points: Sequence[Point], radius_m: float, steps: int = 8) -> tuple[Point, ...]:
    """Round the inner corners of a polyline with quadratic Bezier curves."""
    result = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, radius_m), _towards(corner, after, radius_m)
        for i in range(steps + 1):
            t = i / steps
            a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
            result.append(
                (
                    a * start[0] + b * corner[0] + c * end[0],
                    a * start[1] + b * corner[1] + c * end[1],
                )
            )
    return (*result, points[-1])


def _towards(origin: Point, target: Point, distance: float) -> Point:
    dx, dy = target[0] - origin[0], target[1] - origin[1]
    ratio = distance / math.sqrt(dx * dx + dy * dy)
    return origin[0] + dx * ratio, origin[1] + dy * ratio
