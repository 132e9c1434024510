"""The bodies of objects: faces in three dimensions, with colours and lights.

A body is in its own coordinates: x ahead, y left, z up, in metres, the origin on the ground under
its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cluster.demo.world.geometry import Floats
from cluster.demo.world.scenario import CAR, LORRY, MOTORCYCLE

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


def _face(vertices: list[Vertex], colour: Colour, glow: Glow = "", both: bool = False) -> Face:
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
    sides = [_face(v, colour) for v in (rear, front, left, right)]
    return [*sides, _face(roof, top or colour)]


def inset(face: Face, colour: Colour, low: float, high: float, side: float, out: float) -> Face:
    """Return a pane on a four-cornered face, between heights 0..1, ``side`` from its edges."""
    a, b, c, d = face.vertices
    middle = face.vertices.sum(axis=0) / 4.0

    def at(u: float, w: float) -> Floats:
        bottom, top = a + (b - a) * u, d + (c - d) * u
        return bottom + (top - bottom) * w

    corners = np.stack([at(side, low), at(1 - side, low), at(1 - side, high), at(side, high)])
    outwards = middle * np.array([1.0, 1.0, 0.0])
    reach = np.sqrt((outwards * outwards).sum())
    return Face(corners + outwards / max(float(reach), 1e-6) * out, colour)


def wheel(x: float, y: float, radius: float, *, both: bool = False) -> list[Face]:
    """Return a wheel at the side ``y``, an octagon with a hub."""
    unit = ((1, 0), (0.707, 0.707), (0, 1), (-0.707, 0.707))
    ring = (*unit, *((-c, -s) for c, s in unit))
    turn = ring if y <= 0 else ring[::-1]
    sides = [_face([(x + c * radius, y, radius + s * radius) for c, s in turn], TYRE, both=both)]
    hub = [(x + c * radius * 0.5, y * 1.005, radius + s * radius * 0.5) for c, s in turn]
    return [*sides, _face(hub, (128.0, 130.0, 134.0), both=both)]


def _lamps(x: float, half: float, z: tuple[float, float], reach: float, glow: Glow) -> list[Face]:
    """Return a pair of lamps on the front (x > 0) or the rear."""
    colour = HEAD if glow == "head" else TAIL
    faces = []
    for y1, y2 in ((half - reach, half), (-half, -half + reach)):
        quad = [(x, y1, z[0]), (x, y2, z[0]), (x, y2, z[1]), (x, y1, z[1])]
        faces.append(_face(quad if x > 0 else quad[::-1], colour, glow))
    return faces


def _plate(x: float, z: float) -> Face:
    quad = [(x, -0.26, z), (x, 0.26, z), (x, 0.26, z + 0.12), (x, -0.26, z + 0.12)]
    return _face(quad if x > 0 else quad[::-1], (226.0, 222.0, 190.0))


def car(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a car: saloon, hatchback or estate, by chance."""
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    kind = float(rng.random())
    half, hw, waist = length / 2, width / 2, 0.56 * height
    rear = {0: -half + 0.62, 1: -half + 0.06}[int(kind > 0.4)]
    front = half - (0.24 + 0.04 * float(rng.random())) * length
    slope = 0.12 if kind > 0.75 else 0.5
    body = frustum(
        (-half, half, hw * 0.97, hw * 0.93),
        (-half + 0.05, half - 0.12, hw, hw * 0.95),
        (0.2, waist),
        paint,
    )
    sill = frustum(
        (-half, half, hw, hw * 0.96), (-half, half, hw, hw * 0.96), (0.16, 0.3), (34, 34, 36)
    )[:4]
    wheels = [
        face
        for x in (-0.3 * length, 0.31 * length)
        for y in (hw + 0.01, -hw - 0.01)
        for face in wheel(x, y, 0.32)
    ]
    lights = [
        *_lamps(half + 0.01, hw * 0.9, (waist - 0.3, waist - 0.1), 0.42, "head"),
        *_lamps(-half - 0.01, hw * 0.94, (waist - 0.32, waist - 0.08), 0.36, "tail"),
        _plate(half + 0.01, 0.36),
        _plate(-half - 0.01, 0.42),
    ]
    cabin = frustum(
        (rear, front, hw * 0.95, hw * 0.92),
        (rear + slope, front - 0.72, hw * 0.76, hw * 0.74),
        (waist, height),
        paint,
    )
    panes = [inset(cabin[i], GLASS, 0.08, 0.9, 0.06, 0.005) for i in range(4)]
    faces = (*sill, *body, *wheels, *lights, *cabin, *panes)
    return Body((Part(0.0, faces),), _outline(body, cabin, sill))


def lorry(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a lorry with a box body; cab and box each have their colour."""
    cab_paint = PAINTS[int(rng.integers(len(PAINTS)))]
    box_paint = PAINTS[int(rng.integers(len(PAINTS)))] if rng.random() < 0.5 else (226, 226, 222)
    accent = PAINTS[int(rng.integers(len(PAINTS)))]
    half, hw = length / 2, width / 2
    split = half - 1.9
    top = min(2.55, height - 0.3)
    cab = frustum(
        (split + 0.12, half, hw * 0.95, hw * 0.95),
        (split + 0.12, half - 0.18, hw * 0.93, hw * 0.9),
        (0.42, top),
        cab_paint,
    )
    panes = [
        inset(cab[1], GLASS, 0.5, 0.92, 0.07, 0.01),
        inset(cab[2], GLASS, 0.5, 0.88, 0.25, 0.01),
        inset(cab[3], GLASS, 0.5, 0.88, 0.25, 0.01),
    ]
    chassis = frustum(
        (-half, split, hw * 0.9, hw * 0.9),
        (-half, split, hw * 0.9, hw * 0.9),
        (0.45, 0.9),
        (44,) * 3,
    )
    box = frustum((-half, split, hw, hw), (-half, split, hw, hw), (0.9, height), box_paint)
    bands = [inset(box[i], accent, 0.12, 0.3, 0.0, 0.01) for i in (2, 3)]
    door = inset(box[0], tuple(c * 0.8 for c in box_paint), 0.04, 0.95, 0.06, 0.01)  # type: ignore[arg-type]
    rear_wheels = [
        face
        for x in (-half + 1.2, -half + 2.25)
        for y in (hw * 0.97, -hw * 0.97)
        for face in wheel(x, y, 0.47)
    ]
    front_wheels = [f for y in (hw * 0.97, -hw * 0.97) for f in wheel(half - 1.0, y, 0.47)]
    head = [*_lamps(half + 0.01, hw * 0.86, (0.6, 0.86), 0.36, "head"), _plate(half + 0.01, 0.45)]
    tail = [*_lamps(-half - 0.01, hw * 0.9, (0.56, 0.84), 0.32, "tail"), _plate(-half - 0.01, 0.5)]
    return Body(
        (
            Part(-0.95, (*chassis, *rear_wheels, *tail, *box, *bands, door)),
            Part(half - 0.9, (*cab, *front_wheels, *panes, *head)),
        ),
        _outline(cab, box, chassis),
    )


def motorcycle(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a motorcycle with its rider."""
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    jacket = PAINTS[int(rng.integers(len(PAINTS)))]
    helmet = PAINTS[int(rng.integers(len(PAINTS)))]
    half, hw = length / 2, width / 2
    wheels = [f for x in (-half + 0.33, half - 0.33) for f in wheel(x, 0.0, 0.33, both=True)]
    tyres = [
        *frustum(
            (half - 0.62, half, 0.07, 0.07), (half - 0.6, half, 0.07, 0.07), (0.04, 0.62), TYRE
        ),
        *frustum(
            (-half, -half + 0.6, 0.08, 0.08), (-half, -half + 0.6, 0.08, 0.08), (0.04, 0.6), TYRE
        ),
    ]
    frame = frustum(
        (-half + 0.15, half - 0.35, 0.15, 0.13),
        (-half + 0.05, half - 0.5, 0.17, 0.15),
        (0.42, 0.86),
        paint,
    )
    bars = frustum(
        (half - 0.72, half - 0.62, hw, hw), (half - 0.74, half - 0.64, hw, hw), (0.98, 1.06), TYRE
    )
    legs = frustum((-0.3, 0.25, 0.3, 0.26), (-0.35, 0.2, 0.26, 0.22), (0.36, 0.9), (40, 42, 54))
    torso = frustum(
        (-0.38, 0.02, 0.22, 0.22), (-0.22, 0.16, 0.27, 0.25), (0.86, height - 0.3), jacket
    )
    head = frustum(
        (-0.12, 0.2, 0.13, 0.13), (-0.08, 0.14, 0.1, 0.1), (height - 0.29, height), helmet
    )
    visor = inset(head[1], GLASS, 0.25, 0.75, 0.1, 0.01)
    lights = [
        _face(
            [
                (half - 0.3, y, z)
                for y, z in ((-0.11, 0.74), (0.11, 0.74), (0.11, 0.95), (-0.11, 0.95))
            ],
            HEAD,
            "head",
        ),
        _face(
            [(-half + 0.03, y, z) for y, z in ((0.1, 0.66), (-0.1, 0.66), (-0.1, 0.8), (0.1, 0.8))],
            TAIL,
            "tail",
        ),
    ]
    faces = (*tyres, *wheels, *frame, *legs, *lights, *bars, *torso, *head, visor)
    return Body((Part(0.0, faces),), _outline(frame, torso, head, tyres))


def vehicle(class_id: int, size: tuple[float, float, float], rng: np.random.Generator) -> Body:
    """Return the body of a vehicle of a class and size (length, width, height)."""
    build = {CAR: car, LORRY: lorry, MOTORCYCLE: motorcycle}[class_id]
    return build(*size, rng)


def _outline(*groups: list[Face]) -> Floats:
    return np.unique(np.concatenate([f.vertices for g in groups for f in g]), axis=0)
