"""The ground: materials with texture, seen through the camera, and the sky over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cluster.demo.world.faces import Colour
from cluster.demo.world.geometry import Camera, Floats, inside
from cluster.demo.world.layout import Material, Patch, View
from cluster.demo.world.light import Light, lamp_light
from cluster.demo.world.scenario import Scenario

_SAMPLES = 2

# base colour, amplitude of the texture, spread of the colour between seeds
_MATERIALS: dict[Material, tuple[Colour, float, float]] = {
    "grass": ((92, 112, 64), 0.30, 16),
    "asphalt": ((92, 93, 96), 0.13, 12),
    "tarmac": ((110, 107, 102), 0.16, 12),
    "pavement": ((150, 145, 136), 0.12, 16),
    "kerb": ((176, 174, 168), 0.10, 8),
    "white": ((216, 216, 210), 0.16, 6),
    "yellow": ((206, 172, 60), 0.16, 8),
    "bay": ((104, 92, 88), 0.14, 10),
}


@dataclass(frozen=True, slots=True)
class Lattice:
    """Value noise over the ground, from one table of random numbers."""

    table: Floats

    def at(self, x: Floats, y: Floats, scale_m: float) -> Floats:
        """Return smooth noise in -1..1 with features of a size."""
        u, v = x / scale_m + 1000.0, y / scale_m + 1000.0
        iu, iv = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        fu, fv = u - iu, v - iv
        a, b = self.table[iv & 255, iu & 255], self.table[iv & 255, (iu + 1) & 255]
        c, d = self.table[(iv + 1) & 255, iu & 255], self.table[(iv + 1) & 255, (iu + 1) & 255]
        top, bottom = a + (b - a) * fu, c + (d - c) * fu
        noise: Floats = (top + (bottom - top) * fv) * 2.0 - 1.0
        return noise


def draw_ground(scenario: Scenario, view: View, light: Light, rng: np.random.Generator) -> Floats:
    """Return ground and sky, RGB 0..255 as float, ``[height, width, 3]``."""
    x, y, reach = view.camera.ground(scenario.width, scenario.height, _SAMPLES)
    below = np.isfinite(reach)
    level = light.ambient + light.direct * light.sun[2] + 0.1
    tint = np.array(light.tint) * level
    picture = np.empty((*x.shape, 3))
    picture[~below] = _sky(light, x.shape[0])[np.nonzero(~below)[0]]
    lamps = lamp_light(view.lamps, light, x[below], y[below])[:, None]
    picture[below] = _earth(view, x[below], y[below], reach[below], rng) * tint * lamps
    haze = np.where(below, np.minimum(np.where(below, reach, 0.0) / 420.0, 0.55), 0.0)[..., None]
    picture = picture + (np.array(light.sky[1]) - picture) * haze
    size = scenario.height, _SAMPLES, scenario.width, _SAMPLES, 3
    samples = picture.reshape(size)
    upper, lower = samples[:, 0], samples[:, 1]
    mean: Floats = (upper[:, :, 0] + lower[:, :, 0] + upper[:, :, 1] + lower[:, :, 1]) / 4
    return mean


def _sky(light: Light, rows: int) -> Floats:
    part = np.minimum(np.arange(rows) / (rows * 0.25), 1.0)[:, None]
    top, horizon = np.array(light.sky[0]), np.array(light.sky[1])
    colours: Floats = top + (horizon - top) * part
    return colours


def _earth(view: View, x: Floats, y: Floats, reach: Floats, rng: np.random.Generator) -> Floats:
    lattice = Lattice(rng.random((256, 256)))
    fine = np.minimum(1.0, 16.0 / reach)
    texture = 0.5 * lattice.at(x, y, 0.14) * fine + 0.5 * lattice.at(x, y, 0.7)
    texture = texture + 0.5 * lattice.at(x, y, 5.0)
    palette = {
        name: _varied(colour, spread, rng) for name, (colour, _, spread) in _MATERIALS.items()
    }
    strength = np.full(x.shape, _MATERIALS["grass"][1])
    colour = np.broadcast_to(palette["grass"], (*x.shape, 3)).copy()
    road = np.zeros(x.shape, bool)
    slabs = np.zeros(x.shape, bool)
    for patch in view.patches:
        here = _within(patch, x, y)
        colour[here] = palette[patch.material]
        strength[here] = _MATERIALS[patch.material][1]
        road[here] = patch.material in ("asphalt", "tarmac", "bay")
        slabs[here] = patch.material == "pavement"
    worn = 1.0 + strength * texture
    worn = worn * np.where(slabs, _joints(x, y, fine), 1.0)
    earth: Floats = colour * worn[:, None] * _wear(road, x, y, view.camera, rng)[:, None]
    return earth


def _within(patch: Patch, x: Floats, y: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    xs, ys = [p[0] for p in patch.polygon], [p[1] for p in patch.polygon]
    near = (x >= min(xs)) & (x <= max(xs)) & (y >= min(ys)) & (y <= max(ys))
    if len(patch.polygon) == 4 and len(set(xs)) == 2 and len(set(ys)) == 2:
        return near
    return near & inside(patch.polygon, x, y)


def _varied(colour: Colour, spread: float, rng: np.random.Generator) -> Floats:
    """Return a colour as this seed has it: lighter or darker, and a little off in hue."""
    return np.array(colour) + rng.uniform(-spread, spread) + rng.uniform(-spread, spread, 3) * 0.35


def _joints(x: Floats, y: Floats, fine: Floats) -> Floats:
    """Return the darkening of the joints between paving slabs."""
    u, v = x / 0.9 - np.floor(x / 0.9), y / 0.6 - np.floor(y / 0.6)
    return 1.0 - 0.16 * fine * ((u < 0.08) | (v < 0.1))


def _wear(
    road: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    x: Floats,
    y: Floats,
    camera: Camera,
    rng: np.random.Generator,
) -> Floats:
    """Return repairs, stains, puddles and manholes of the roads as a factor on brightness."""
    factor = np.ones(x.shape)
    for _ in range(26):
        cx = camera.x_m + float(rng.uniform(-24, 34))
        cy = camera.y_m + float(rng.uniform(9, 60))
        rx, ry = float(rng.uniform(0.3, 2.4)), float(rng.uniform(0.3, 1.6))
        kind, shade = float(rng.random()), float(rng.uniform(0.68, 1.2))
        dx, dy = (x - cx) / rx, (y - cy) / ry
        if kind < 0.35:
            spot = (np.abs(dx) < 1) & (np.abs(dy) < 1)
        elif kind < 0.85:
            spot = dx * dx + dy * dy < 1
        else:
            spot = (x - cx) * (x - cx) + (y - cy) * (y - cy) < 0.12
            shade = 0.6
        factor = np.where(spot & road, factor * shade, factor)
    return factor
