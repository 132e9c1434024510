"""Standing things: drawn once, pasted into the background, and again over what passes behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cluster.demo.world.faces import Colour, Face, frustum
from cluster.demo.world.figures import Stage
from cluster.demo.world.geometry import Floats
from cluster.demo.world.layout import Building, View
from cluster.demo.world.raster import Bytes, Layer, Sprite, faces_camera

LAMP_M = 6.5


@dataclass(frozen=True, slots=True)
class Placed:
    """A prop in the picture: its sprite and the row where it stands."""

    sprite: Sprite
    base_px: float


def place_props(view: View, stage: Stage, rng: np.random.Generator) -> list[Placed]:
    """Draw the props that this seed has, far ones first."""
    placed = []
    for prop in view.props:
        there, own = float(rng.random()) < prop.chance, np.random.default_rng(rng.integers(2**62))
        base = stage.project(np.array([[prop.x_m, prop.y_m, 0.0]]))[0]
        if there:
            pen = _Pen(prop.x_m, prop.y_m, stage, own)
            _DRAW[prop.kind](pen)
            placed.append(Placed(pen.layer.sprite(), float(base[1])))
    return sorted(placed, key=lambda p: p.base_px)


def draw_buildings(view: View, stage: Stage, picture: Bytes, rng: np.random.Generator) -> None:
    """Draw the houses into a picture, far ones first."""
    labels = np.zeros(picture.shape[:2], np.uint8)
    far_first = sorted(view.buildings, key=lambda b: -(b.south_m + b.north_m))
    for building in far_first:
        layer = Layer(0, 0, stage.width, stage.height)
        _building(layer, building, stage, rng)
        layer.sprite().paste(picture, labels, 0, (0, 0))


def _building(layer: Layer, house: Building, stage: Stage, rng: np.random.Generator) -> None:
    x, y = (house.west_m + house.east_m) / 2, (house.south_m + house.north_m) / 2
    wide, deep = (house.east_m - house.west_m) / 2, (house.north_m - house.south_m) / 2
    grey = rng.uniform(105, 190)
    wall = tuple(float(grey + d) for d in rng.uniform(-22, 22, 3))
    box = (-wide, wide, deep, deep)
    faces = frustum(box, box, (0.0, house.height_m), (wall[0], wall[1], wall[2]))
    for face in faces:
        world = face.vertices + np.array([x, y, 0.0])
        pixels, depth = stage.camera.project(world, stage.width, stage.height)
        if float(depth.min()) < 2.0 or not faces_camera(pixels):
            continue
        u, v = world[1] - world[0], world[3] - world[0]
        normal = np.array([[u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], 0.0]])
        reach = float(np.sqrt((normal * normal).sum()))
        level = float(stage.light.shade(normal / reach)[0]) if reach > 1e-6 else 0.7
        layer.polygon(pixels, stage.light.tinted(face.colour, level * 0.92))
        if reach > 1e-6:
            _windows(layer, world, stage, level, rng)


def _windows(
    layer: Layer, wall: Floats, stage: Stage, level: float, rng: np.random.Generator
) -> None:
    along, up = wall[1] - wall[0], wall[3] - wall[0]
    columns = max(int(np.sqrt((along * along).sum()) / 3.2), 1)
    floors = max(int(up[2] / 3.0), 1)
    for row in range(floors):
        for column in range(columns):
            u1, u2 = (column + 0.25) / columns, (column + 0.75) / columns
            v1, v2 = (row + 0.3) / floors, (row + 0.78) / floors
            corners = [
                wall[0] + along * u + up * v for u, v in ((u1, v1), (u2, v1), (u2, v2), (u1, v2))
            ]
            lit = stage.light.lamps and float(rng.random()) < 0.3
            colour = (214.0, 178.0, 104.0) if lit else stage.light.tinted((62, 76, 92), level)
            layer.polygon(stage.project(np.array(corners)), colour)


class _Pen:
    """Draws a prop around its foot, in metres: x to the right of the picture, z up."""

    def __init__(self, x: float, y: float, stage: Stage, rng: np.random.Generator) -> None:
        self.x, self.y, self.stage, self.rng = x, y, stage, rng
        self.scale = stage.scale(x, y)
        foot, top = stage.project(np.array([(x, y, 0.0), (x, y, 8.5)]))
        reach = 3.4 * self.scale
        corners = [foot - reach * 0.5, foot + reach * 0.35, top - reach, top + reach]
        self.layer = Layer.around(np.stack(corners), 2.0)
        self.level = stage.light.ambient + 0.5 * stage.light.direct

    def at(self, across: float, z: float) -> tuple[float, float]:
        """Return the pixel of a point beside the foot."""
        right, _, _ = self.stage.camera.axes()
        point = [self.x + right[0] * across, self.y + right[1] * across, z]
        u, v = self.stage.project(np.array([point]))[0]
        return float(u), float(v)

    def lit(self, colour: Colour, part: float = 1.0) -> Colour:
        """Return a colour in this light."""
        return self.stage.light.tinted(colour, self.level * part)

    def post(self, across: float, top: float, width: float, colour: Colour, low: float = 0) -> None:
        """Draw an upright post."""
        size = width * self.scale
        self.layer.capsule(
            self.at(across, low), self.at(across, top), (size, size * 0.9), self.lit(colour)
        )

    def ball(
        self, across: float, z: float, radius: float, colour: Colour, part: float = 1.0
    ) -> None:
        """Draw a ball."""
        size = radius * self.scale
        self.layer.disc(self.at(across, z), (size, size), self.lit(colour, part))

    def shade(self, radius: float) -> None:
        """Draw a soft shadow on the ground."""
        if self.stage.light.shadow > 0:
            u, v = self.at(-0.6 * radius * self.stage.light.sun[0], 0.0)
            size = radius * self.scale
            self.layer.disc(
                (u, v),
                (size, size * 0.4),
                (8, 12, 14),
                self.stage.light.shadow,
                soft_px=4.0,
                solid=False,
            )

    def box(self, size: tuple[float, float, float], colour: Colour, low: float = 0.0) -> None:
        """Draw a box with its sides along the axes of the ground."""
        half, deep, height = size[0] / 2, size[1] / 2, size[2]
        faces = frustum((-half, half, deep, deep), (-half, half, deep, deep), (low, height), colour)
        for i, face in enumerate(faces):
            self._face(face, (0.75, 0.85, 0.7, 0.9, 1.1)[i])

    def _face(self, face: Face, part: float) -> None:
        pixels = self.stage.project(face.vertices + np.array([self.x, self.y, 0.0]))
        if faces_camera(pixels):
            self.layer.polygon(pixels, self.lit(face.colour, part))


def _tree(pen: _Pen) -> None:
    height = float(pen.rng.uniform(4.2, 6.4))
    pen.shade(2.0)
    pen.post(0.0, height * 0.6, 0.34, (86, 66, 48))
    green = pen.rng.uniform(-14, 14, 3) + np.array([74.0, 102.0, 54.0])
    for i in range(34):
        rise = float(pen.rng.random())
        across = float(pen.rng.uniform(-1.5, 1.5)) * (1.0 - 0.75 * rise)
        part = 0.62 + 0.5 * rise + float(pen.rng.uniform(-0.12, 0.12)) + 0.004 * i
        radius = float(pen.rng.uniform(0.35, 0.75))
        pen.ball(
            across, height * (0.42 + 0.56 * rise), radius, (green[0], green[1], green[2]), part
        )


def _bush(pen: _Pen) -> None:
    pen.shade(0.9)
    green = pen.rng.uniform(-12, 12, 3) + np.array([66.0, 96.0, 50.0])
    for _ in range(12):
        z = float(pen.rng.uniform(0.2, 0.8))
        part = 0.6 + 0.5 * z
        pen.ball(float(pen.rng.uniform(-0.7, 0.7)), z, 0.32, (green[0], green[1], green[2]), part)


def _lamp(pen: _Pen) -> None:
    pen.post(0.0, LAMP_M, 0.16, (112, 116, 120))
    size = 0.12 * pen.scale
    pen.layer.capsule(
        pen.at(0.0, LAMP_M), pen.at(1.1, LAMP_M + 0.2), (size, size), pen.lit((112, 116, 120))
    )
    u, v = pen.at(1.2, LAMP_M + 0.12)
    colour = (255.0, 232.0, 176.0) if pen.stage.light.lamps else pen.lit((206, 206, 200))
    pen.layer.disc((u, v), (0.36 * pen.scale, 0.13 * pen.scale), colour)


def _sign(pen: _Pen) -> None:
    pen.post(0.0, 2.2, 0.08, (150, 152, 154))
    rim: Colour = (188, 34, 36) if pen.rng.random() < 0.5 else (32, 74, 150)
    pen.ball(0.0, 2.3, 0.36, rim)
    pen.ball(0.0, 2.3, 0.25, (226, 226, 222))


def _bin(pen: _Pen) -> None:
    colour: Colour = ((52, 84, 60), (60, 62, 68), (40, 64, 110))[int(pen.rng.integers(3))]
    pen.shade(0.5)
    pen.box((0.6, 0.6, 1.0), colour)


def _bollard(pen: _Pen) -> None:
    pen.box((0.2, 0.2, 0.85), (62, 60, 58))


def _bench(pen: _Pen) -> None:
    pen.shade(0.8)
    pen.box((1.5, 0.5, 0.45), (122, 88, 54), 0.35)
    pen.box((1.5, 0.12, 0.85), (110, 78, 48), 0.5)


def _signal(pen: _Pen) -> None:
    pen.post(0.0, 2.9, 0.13, (60, 62, 64))
    pen.post(0.0, 3.3, 0.42, (34, 36, 38), low=2.3)
    for z, colour in ((3.12, (150, 30, 28)), (2.82, (150, 108, 30)), (2.52, (34, 120, 60))):
        pen.ball(0.0, z, 0.1, colour)


def _shelter(pen: _Pen) -> None:
    pen.shade(1.8)
    for across in (-1.7, 0.0, 1.7):
        pen.post(across, 2.4, 0.12, (88, 92, 96))
    corners = np.array(
        [pen.at(a, z) for a, z in ((-1.7, 0.3), (1.7, 0.3), (1.7, 2.2), (-1.7, 2.2))]
    )
    pen.layer.polygon(corners, pen.lit((150, 172, 180)), 0.45, solid=False)
    pen.box((3.8, 1.5, 2.55), (70, 74, 80), 2.4)


def _barrier(pen: _Pen) -> None:
    pen.box((0.4, 0.4, 1.1), (206, 168, 40))
    pen.post(0.0, 3.6, 0.12, (214, 210, 204), low=1.0)


_DRAW: dict[str, Callable[[_Pen], None]] = {
    "tree": _tree,
    "bush": _bush,
    "lamp": _lamp,
    "sign": _sign,
    "bin": _bin,
    "bollard": _bollard,
    "bench": _bench,
    "signal": _signal,
    "shelter": _shelter,
    "barrier": _barrier,
}
