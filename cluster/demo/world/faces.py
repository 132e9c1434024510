"""What bodies are made of: faces in three dimensions, with colours and lights.

A body is in its own coordinates: x ahead, y left, z up, in metres, the origin on the ground under
its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cluster.demo.world.geometry import Floats

Colour = tuple[float, float, float]
Glow = Literal["", "head", "tail"]
Vertex = tuple[float, float, float]

GLASS: Colour = (38.0, 48.0, 60.0)
TYRE: Colour = (26.0, 26.0, 28.0)
HEAD: Colour = (255.0, 244.0, 214.0)
TAIL: Colour = (205.0, 22.0, 24.0)

PAINTS: tuple[Colour, ...] = (
    (232, 232, 230),
    (188, 190, 194),
    (116, 120, 126),
    (44, 46, 52),
    (168, 28, 34),
    (28, 62, 138),
    (38, 98, 162),
    (24, 88, 60),
    (214, 178, 40),
    (206, 104, 34),
    (112, 70, 48),
    (104, 150, 168),
    (205, 196, 170),
)


@dataclass(frozen=True, slots=True)
class Face:
    """A convex polygon.

    Attributes:
        vertices: Corners, counter-clockwise seen from outside, shape ``[K, 3]``.
        colour: RGB 0..255 in full light.
        glow: What kind of lamp it is, empty for none.
        both_sides: True for faces that are seen from behind too.
    """

    vertices: Floats
    colour: Colour
    glow: Glow = ""
    both_sides: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Faces that are drawn together; parts of a body are drawn far to near around ``x_m``."""

    x_m: float
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A vehicle: its parts, and the points that bound its outline."""

    parts: tuple[Part, ...]
    outline: Floats


def face_of(vertices: list[Vertex], colour: Colour, glow: Glow = "", both: bool = False) -> Face:
    """Return the face with these corners."""
    return Face(np.array(vertices, dtype=np.float64), colour, glow, both)


def frustum(
    low: tuple[float, float, float, float],
    high: tuple[float, float, float, float],
    z: tuple[float, float],
    colour: Colour,
    top: Colour | None = None,
) -> list[Face]:
    """Return a box that may taper: (x1, x2, half width 1, half width 2) below and above.

    The half widths belong to the rear (x1) and the front (x2).
    """
    (a1, a2, aw1, aw2), (b1, b2, bw1, bw2), (z1, z2) = low, high, z
    rear = [(a1, aw1, z1), (a1, -aw1, z1), (b1, -bw1, z2), (b1, bw1, z2)]
    front = [(a2, -aw2, z1), (a2, aw2, z1), (b2, bw2, z2), (b2, -bw2, z2)]
    left = [(a2, aw2, z1), (a1, aw1, z1), (b1, bw1, z2), (b2, bw2, z2)]
    right = [(a1, -aw1, z1), (a2, -aw2, z1), (b2, -bw2, z2), (b1, -bw1, z2)]
    roof = [(b1, bw1, z2), (b1, -bw1, z2), (b2, -bw2, z2), (b2, bw2, z2)]
    sides = [face_of(v, colour) for v in (rear, front, left, right)]
    return [*sides, face_of(roof, top or colour)]


def inset(face: Face, colour: Colour, low: float, high: float, side: float, out: float) -> Face:
    """Return a pane on a four-cornered face, between heights 0..1, ``side`` from its edges."""
    a, b, c, d = face.vertices
    middle = face.vertices.sum(axis=0) / 4.0

    def at(u: float, w: float) -> Floats:
        bottom, top = a + (b - a) * u, d + (c - d) * u
        point: Floats = bottom + (top - bottom) * w
        return point

    corners = np.stack([at(side, low), at(1 - side, low), at(1 - side, high), at(side, high)])
    outwards = middle * np.array([1.0, 1.0, 0.0])
    reach = np.sqrt((outwards * outwards).sum())
    return Face(corners + outwards / max(float(reach), 1e-6) * out, colour)


def wheel(x: float, y: float, radius: float, *, both: bool = False) -> list[Face]:
    """Return a wheel at the side ``y``, an octagon with a hub."""
    unit = ((1, 0), (0.707, 0.707), (0, 1), (-0.707, 0.707))
    ring = (*unit, *((-c, -s) for c, s in unit))
    turn = ring if y <= 0 else ring[::-1]
    sides = [face_of([(x + c * radius, y, radius + s * radius) for c, s in turn], TYRE, both=both)]
    hub = [(x + c * radius * 0.5, y * 1.005, radius + s * radius * 0.5) for c, s in turn]
    return [*sides, face_of(hub, (128.0, 130.0, 134.0), both=both)]


def lamps(x: float, half: float, z: tuple[float, float], reach: float, glow: Glow) -> list[Face]:
    """Return a pair of lamps on the front (x > 0) or the rear."""
    colour = HEAD if glow == "head" else TAIL
    faces = []
    for y1, y2 in ((half - reach, half), (-half, -half + reach)):
        quad = [(x, y1, z[0]), (x, y2, z[0]), (x, y2, z[1]), (x, y1, z[1])]
        faces.append(face_of(quad if x > 0 else quad[::-1], colour, glow))
    return faces


def plate(x: float, z: float) -> Face:
    """Return a number plate on the front (x > 0) or the rear."""
    quad = [(x, -0.26, z), (x, 0.26, z), (x, 0.26, z + 0.12), (x, -0.26, z + 0.12)]
    return face_of(quad if x > 0 else quad[::-1], (226.0, 222.0, 190.0))
