"""Light of a scene: sun, sky, street lamps and the camera's own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cluster.demo.world.faces import Colour
from cluster.demo.world.geometry import Floats
from cluster.demo.world.scenario import TimeOfDay


@dataclass(frozen=True, slots=True)
class Light:
    """How bright surfaces are.

    Attributes:
        sun: Unit vector towards the sun.
        ambient: Brightness of a face that the sun does not reach.
        direct: What the sun adds to a face turned to it.
        tint: Factor on red, green and blue.
        shadow: Darkness of cast shadows, 0..1.
        lamps: Whether head lamps, tail lamps and street lamps are lit.
        noise: Strength of the sensor's noise, in steps of 255.
        sky: Colours of the sky, at the top of the picture and at the horizon.
    """

    sun: tuple[float, float, float]
    ambient: float
    direct: float
    tint: Colour
    shadow: float
    lamps: bool
    noise: int
    sky: tuple[Colour, Colour]

    @classmethod
    def of(cls, time_of_day: TimeOfDay, rng: np.random.Generator) -> Light:
        """Return the light of a time of day; the sun's place is drawn."""
        x, y = float(rng.uniform(-1.0, 1.0)), float(rng.uniform(-1.0, 0.4))
        z = float(rng.uniform(0.9, 1.6))
        reach = (x * x + y * y + z * z) ** 0.5
        sun = x / reach, y / reach, z / reach
        level = float(rng.uniform(0.92, 1.06))
        if time_of_day == "day":
            sky = (112.0, 152.0, 204.0), (198.0, 212.0, 224.0)
            return cls(sun, 0.6 * level, 0.42 * level, (1.0, 0.99, 0.96), 0.42, False, 2, sky)
        if time_of_day == "dusk":
            sky = (74.0, 82.0, 122.0), (206.0, 150.0, 118.0)
            return cls(sun, 0.5 * level, 0.14 * level, (1.04, 0.92, 0.88), 0.12, True, 3, sky)
        sky = (10.0, 13.0, 24.0), (34.0, 36.0, 48.0)
        return cls(sun, 0.3 * level, 0.08 * level, (0.92, 0.96, 1.1), 0.0, True, 4, sky)

    def shade(self, normals: Floats) -> Floats:
        """Return the brightness of faces with unit normals ``[N, 3]``."""
        facing = normals[:, 0] * self.sun[0] + normals[:, 1] * self.sun[1]
        facing = facing + normals[:, 2] * self.sun[2]
        from_sky = 0.1 * np.maximum(normals[:, 2], 0.0)
        return self.ambient + self.direct * np.maximum(facing, 0.0) + from_sky

    def tinted(self, colour: Colour, level: float) -> Colour:
        """Return a surface's colour at a brightness."""
        r, g, b = (min(c * level * t, 255.0) for c, t in zip(colour, self.tint, strict=True))
        return r, g, b


def lamp_light(
    lamps: tuple[tuple[float, float], ...], light: Light, x: Floats, y: Floats
) -> Floats:
    """Return what street lamps add to the brightness at places on the ground, as a factor."""
    factor = np.ones(np.shape(x))
    if not light.lamps:
        return factor
    strength = 0.75 * max(0.0, 0.62 - light.ambient) / light.ambient
    for lamp_x, lamp_y in lamps:
        dx, dy = x - lamp_x, y - lamp_y
        fall = np.maximum(0.0, 1.0 - (dx * dx + dy * dy) / 260.0)
        factor = factor + strength * fall * fall
    return np.minimum(factor, 1.0 + 2.0 * strength)


def vignette(width: int, height: int) -> Floats:
    """Return the lens's fall-off towards the corners, ``[height, width]``."""
    u = (np.arange(width) + 0.5) / width * 2 - 1
    v = (np.arange(height) + 0.5) / height * 2 - 1
    return 1.0 - 0.1 * ((u * u)[None, :] + (v * v)[:, None])


def noise_tile(
    rng: np.random.Generator, width: int, height: int, strength: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return a tile of bell-shaped noise, a sum of uniform numbers, int16 ``[h, w, 3]``."""
    luma = rng.integers(-strength, strength + 1, (3, height, width, 1), dtype=np.int16)
    chroma = rng.integers(-1, 2, (height, width, 3), dtype=np.int16)
    total = luma[0] + luma[1] + luma[2]
    return np.ascontiguousarray(np.right_shift(total, 1) + chroma)
