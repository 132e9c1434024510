"""Drawing of pedestrians from capsules, upright and turned to the camera."""

from __future__ import annotations

import numpy as np

from cluster.demo.world.faces import Colour
from cluster.demo.world.figures import SWINGS, Drawing, Pose, Stage
from cluster.demo.world.geometry import cosine, sine
from cluster.demo.world.raster import Layer

_SKINS: tuple[Colour, ...] = ((224, 178, 148), (196, 144, 108), (140, 96, 70), (92, 62, 46))
_HAIR: tuple[Colour, ...] = ((40, 32, 28), (92, 66, 40), (150, 120, 72), (120, 118, 116))
_CLOTHES: tuple[Colour, ...] = (
    (196, 44, 48),
    (40, 76, 156),
    (228, 226, 220),
    (52, 54, 62),
    (66, 120, 74),
    (222, 178, 62),
    (148, 82, 150),
    (110, 114, 122),
    (214, 120, 60),
    (88, 158, 178),
)
_TROUSERS: tuple[Colour, ...] = (
    (38, 44, 66),
    (30, 30, 34),
    (88, 84, 78),
    (122, 106, 80),
    (66, 82, 112),
)


class PedestrianFigure:
    """Draws one pedestrian, upright and turned to the camera, with legs and arms that swing."""

    def __init__(self, height_m: float, rng: np.random.Generator) -> None:
        self._height = height_m
        self._skin = _pick(_SKINS, rng)
        self._hair = _pick(_HAIR, rng)
        self._top = _pick(_CLOTHES, rng)
        self._legs = _pick(_TROUSERS, rng)
        self._build = float(rng.uniform(0.92, 1.12))
        self._skirt = float(rng.random()) < 0.2
        self._bag = _pick(_CLOTHES, rng) if rng.random() < 0.3 else None

    def draw(self, pose: Pose, stage: Stage) -> Drawing:
        """Draw the pedestrian in a pose."""
        joints = self._joints(pose)
        names = list(joints)
        pixels = stage.project(np.array([joints[name] for name in names]))
        at = {name: (float(u), float(v)) for name, (u, v) in zip(names, pixels, strict=True)}
        scale = stage.scale(pose.x_m, pose.y_m, self._height / 2)
        layer = Layer.around(pixels, 0.3 * scale + 4.0)
        self._shadow(layer, at, scale, stage)
        self._figure(layer, at, scale * self._build, stage, pose.level)
        return Drawing(layer.sprite())

    def _joints(self, pose: Pose) -> dict[str, tuple[float, float, float]]:
        h = self._height
        stride = 0.2 * h * sine(2 * 3.141592653589793 * pose.swing / SWINGS)
        lift = 0.04 * h * max(0.0, cosine(2 * 3.141592653589793 * pose.swing / SWINGS))

        def at(ahead: float, left: float, z: float) -> tuple[float, float, float]:
            hx, hy = pose.heading
            return pose.x_m + hx * ahead - hy * left, pose.y_m + hy * ahead + hx * left, z

        return {
            "foot1": at(stride, 0.09, lift),
            "foot2": at(-stride, -0.09, 0.04 * h - lift),
            "knee1": at(stride * 0.6, 0.09, 0.27 * h),
            "knee2": at(-stride * 0.35, -0.09, 0.27 * h),
            "hip1": at(0, 0.08, 0.5 * h),
            "hip2": at(0, -0.08, 0.5 * h),
            "hand1": at(-stride * 0.7, 0.24, 0.47 * h),
            "hand2": at(stride * 0.7, -0.24, 0.47 * h),
            "shoulder1": at(0, 0.19, 0.8 * h),
            "shoulder2": at(0, -0.19, 0.8 * h),
            "waist": at(0, 0, 0.5 * h),
            "neck": at(0, 0, 0.84 * h),
            "head": at(0.02, 0, 0.925 * h),
            "base": at(0, 0, 0),
            "bag": at(-0.16, 0, 0.68 * h),
        }

    def _shadow(
        self, layer: Layer, at: dict[str, tuple[float, float]], scale: float, stage: Stage
    ) -> None:
        x, y = at["base"]
        if stage.light.shadow > 0:
            layer.disc(
                (x - stage.light.sun[0] * scale * 0.4, y),
                (0.45 * scale, 0.16 * scale),
                (8, 10, 16),
                stage.light.shadow,
                soft_px=2.0,
                solid=False,
            )
        layer.disc((x, y), (0.3 * scale, 0.13 * scale), (6, 7, 9), 0.4, soft_px=2.0, solid=False)

    def _figure(
        self,
        layer: Layer,
        at: dict[str, tuple[float, float]],
        scale: float,
        stage: Stage,
        level: float,
    ) -> None:
        base = (stage.light.ambient + 0.55 * stage.light.direct) * level

        def lit(colour: Colour, part: float = 1.0) -> Colour:
            return stage.light.tinted(colour, base * part)

        thigh, calf = (0.17 * scale, 0.14 * scale), (0.14 * scale, 0.11 * scale)
        for side, part in (("2", 0.8), ("1", 1.0)):
            layer.capsule(at["hip" + side], at["knee" + side], thigh, lit(self._legs, part))
            layer.capsule(at["knee" + side], at["foot" + side], calf, lit(self._legs, part * 0.9))
            layer.disc(at["foot" + side], (0.1 * scale, 0.06 * scale), lit((40, 36, 34)))
        if self._skirt:
            middle = _between(at["knee1"], at["knee2"])
            layer.capsule(at["waist"], middle, (0.3 * scale, 0.42 * scale), lit(self._top, 0.85))
        layer.capsule(at["shoulder2"], at["hand2"], calf, lit(self._top, 0.75))
        if self._bag is not None:
            layer.disc(at["bag"], (0.17 * scale, 0.22 * scale), lit(self._bag))
        layer.capsule(at["waist"], at["neck"], (0.34 * scale, 0.42 * scale), lit(self._top))
        layer.capsule(at["shoulder1"], at["hand1"], calf, lit(self._top, 0.88))
        layer.disc(at["head"], (0.105 * scale, 0.13 * scale), lit(self._skin))
        x, y = at["head"]
        layer.disc((x, y - 0.045 * scale), (0.11 * scale, 0.09 * scale), lit(self._hair))


def _pick(palette: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return palette[int(rng.integers(len(palette)))]


def _between(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
