"""Anti-aliased drawing of convex shapes into small layers, and pasting of layers into a frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cluster.demo.world.faces import Colour
from cluster.demo.world.geometry import Floats

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn thing, ready to be pasted.

    Attributes:
        left: Column of its first pixel, when pasted without a shift.
        top: Row of its first pixel.
        keep: Share of what is behind that stays, in 1/256, ``[h, w, 3]``.
        light: Colour to add, ``[h, w, 3]``.
        mask: The thing's own pixels, without shadow, ``[h, w]``.
        area_px: Number of the mask's pixels.
    """

    left: int
    top: int
    keep: Words
    light: Words
    mask: Mask
    area_px: int

    def paste(self, frame: Bytes, labels: Bytes, label: int, shift: tuple[int, int]) -> None:
        """Paste into a frame, and write the label where the thing's own pixels are."""
        window = clip(self.left + shift[0], self.top + shift[1], self.mask.shape, labels.shape)
        if window is None:
            return
        there, here = window
        region = frame[there]
        mixed = region * self.keep[here]
        mixed >>= 8
        mixed += self.light[here]
        frame[there] = mixed
        labels[there][self.mask[here]] = label

    def cover(self, frame: Bytes, labels: Bytes, background: Bytes) -> None:
        """Hide what was painted behind a thing that is part of the background.

        Its own pixels become the background's again; what it dims, such as glass, it dims only
        where something was painted.
        """
        window = clip(self.left, self.top, self.mask.shape, labels.shape)
        if window is None:
            return
        there, here = window
        mask, region = self.mask[here], frame[there]
        behind = (labels[there] > 0) & ~mask
        if behind.any():
            dimmed = region[behind] * self.keep[here][behind]
            region[behind] = (dimmed >> 8) + self.light[here][behind]
        np.copyto(region, background[there], where=mask[:, :, None])
        labels[there][mask] = 0


@dataclass(frozen=True, slots=True)
class Glare:
    """Light that is added to a frame: ``light`` is uint8 ``[h, w, 3]``."""

    left: int
    top: int
    light: Bytes

    def paste(self, frame: Bytes, shift: tuple[int, int]) -> None:
        """Add the light to a frame, up to white."""
        shape = self.light.shape[0], self.light.shape[1]
        window = clip(self.left + shift[0], self.top + shift[1], shape, frame.shape[:2])
        if window is None:
            return
        there, here = window
        region, light = frame[there], self.light[here]
        frame[there] = np.where(light > 255 - region, np.uint8(255), region + light)


def halo(centre: tuple[float, float], radius: tuple[float, float], colour: Colour) -> Glare:
    """Return a soft spot of light, an ellipse with axes along the picture's."""
    rx, ry = max(2, int(radius[0] + 0.5)), max(2, int(radius[1] + 0.5))
    left, top = int(np.floor(centre[0])) - rx, int(np.floor(centre[1])) - ry
    return Glare(left, top, _spot(rx, ry, colour))


@lru_cache(maxsize=512)
def _spot(rx: int, ry: int, colour: Colour) -> Bytes:
    """Return light that falls off to nothing at the radii, uint8 ``[2 ry + 1, 2 rx + 1, 3]``."""
    u = np.arange(-rx, rx + 1, dtype=np.float32) / np.float32(rx)
    v = np.arange(-ry, ry + 1, dtype=np.float32) / np.float32(ry)
    fall = np.maximum(np.float32(1.0) - (u * u)[None, :] - (v * v)[:, None], np.float32(0.0))
    light: Bytes = ((fall * fall)[:, :, None] * np.array(colour, np.float32)).astype(np.uint8)
    return light


Window = tuple[tuple[slice, slice], tuple[slice, slice]]


def clip(left: int, top: int, shape: tuple[int, ...], bounds: tuple[int, ...]) -> Window | None:
    """Return the slices in the frame and in the layer where a layer meets a frame, or None."""
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + shape[1], bounds[1]), min(top + shape[0], bounds[0])
    if x1 >= x2 or y1 >= y2:
        return None
    there = slice(y1, y2), slice(x1, x2)
    return there, (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))


class Layer:
    """A transparent drawing surface somewhere in the picture's plane."""

    def __init__(self, left: int, top: int, width: int, height: int) -> None:
        self.left, self.top = left, top
        self.shape = height, width
        self._rgb: list[Singles] = [np.zeros(self.shape, np.float32) for _ in range(3)]
        self._keep: Singles = np.ones(self.shape, np.float32)
        self._cover: Singles = np.zeros((height, width), np.float32)
        self._xs = np.arange(width, dtype=np.float32) + np.float32(left + 0.5)
        self._ys = np.arange(height, dtype=np.float32) + np.float32(top + 0.5)

    @classmethod
    def around(cls, points: Floats, margin: float) -> Layer:
        """Return a layer that holds points ``[N, 2]`` and a margin in pixels."""
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        left, top = int(np.floor(low[0])), int(np.floor(low[1]))
        size = int(np.ceil(high[0])) - left, int(np.ceil(high[1])) - top
        return cls(left, top, max(size[0], 1), max(size[1], 1))

    def polygon(
        self,
        points: Floats,
        colour: Colour,
        alpha: float = 1.0,
        *,
        soft_px: float = 1.0,
        solid: bool = True,
    ) -> None:
        """Fill a convex polygon ``[K, 2]``; ``solid`` ones belong to the thing's own pixels."""
        region = self._region(points, soft_px)
        if region is None:
            return
        xs, ys = self._xs[region[1]], self._ys[region[0]]
        self._blend(region, convex_cover(points, xs, ys, soft_px), colour, alpha, solid)

    def disc(
        self,
        centre: tuple[float, float],
        radius: tuple[float, float],
        colour: Colour,
        alpha: float = 1.0,
        *,
        soft_px: float = 1.0,
        solid: bool = True,
    ) -> None:
        """Fill an ellipse with axes along the picture's."""
        rx, ry = max(radius[0], 0.4), max(radius[1], 0.4)
        corners = np.array([(centre[0] - rx, centre[1] - ry), (centre[0] + rx, centre[1] + ry)])
        region = self._region(corners, soft_px)
        if region is None:
            return
        dx = (self._xs[region[1]] - np.float32(centre[0])) / np.float32(rx)
        dy = (self._ys[region[0]] - np.float32(centre[1])) / np.float32(ry)
        reach = np.sqrt((dx * dx)[None, :] + (dy * dy)[:, None])
        cover = np.clip(
            (np.float32(1.0) - reach) * np.float32(min(rx, ry) / soft_px) + np.float32(0.5), 0, 1
        )
        self._blend(region, cover, colour, alpha, solid)

    def capsule(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        width_px: tuple[float, float],
        colour: Colour,
    ) -> None:
        """Draw a thick line that tapers between the widths at its ends."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        reach = max((dx * dx + dy * dy) ** 0.5, 1e-6)
        nx, ny = -dy / reach / 2, dx / reach / 2
        w1, w2 = max(width_px[0], 0.9), max(width_px[1], 0.9)
        points = np.array(
            [
                (start[0] + nx * w1, start[1] + ny * w1),
                (end[0] + nx * w2, end[1] + ny * w2),
                (end[0] - nx * w2, end[1] - ny * w2),
                (start[0] - nx * w1, start[1] - ny * w1),
            ]
        )
        self.polygon(points, colour)

    def _region(self, points: Floats, soft_px: float) -> tuple[slice, slice] | None:
        low, high = points.min(axis=0) - soft_px, points.max(axis=0) + soft_px
        x1, y1 = max(int(low[0]) - self.left, 0), max(int(low[1]) - self.top, 0)
        x2 = min(int(high[0]) + 2 - self.left, self.shape[1])
        y2 = min(int(high[1]) + 2 - self.top, self.shape[0])
        return (slice(y1, y2), slice(x1, x2)) if x1 < x2 and y1 < y2 else None

    def _blend(
        self,
        region: tuple[slice, slice],
        cover: Singles,
        colour: Colour,
        alpha: float,
        solid: bool,
    ) -> None:
        if solid:
            np.maximum(self._cover[region], cover, out=self._cover[region])
        part = cover if alpha == 1.0 else cover * np.float32(alpha)
        stay = np.float32(1.0) - part
        self._keep[region] *= stay
        for plane, value in zip(self._rgb, colour, strict=True):
            window = plane[region]
            window *= stay
            window += part * np.float32(value)

    def sprite(self) -> Sprite:
        """Return what was drawn, in the integers that pasting wants."""
        light = np.clip(np.stack(self._rgb, axis=2) + np.float32(0.25), 0, 255)
        keep = (self._keep * 256 + np.float32(0.5)).astype(np.uint16)
        mask = self._cover >= np.float32(0.5)
        area = max(int(np.count_nonzero(mask)), 1)
        keep3 = np.repeat(keep[:, :, None], 3, axis=2)
        return Sprite(self.left, self.top, keep3, light.astype(np.uint16), mask, area)


def convex_cover(points: Floats, xs: Singles, ys: Singles, soft_px: float) -> Singles:
    """Return how much of each pixel a convex polygon covers, from the distance to its edges."""
    x, y = points[:, 0].tolist(), points[:, 1].tolist()
    count = len(x)
    area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(count))
    turn = 1.0 if area > 0 else -1.0
    near: Singles | None = None
    for i in range(count):
        ex, ey = x[i] - x[i - 1], y[i] - y[i - 1]
        reach = (ex * ex + ey * ey) ** 0.5 * soft_px * turn
        if -1e-6 < reach < 1e-6:
            continue
        nx, ny = -ey / reach, ex / reach
        along = xs * np.float32(nx)
        down = ys * np.float32(ny) - np.float32(nx * x[i] + ny * y[i] - 0.5)
        edge = along[None, :] + down[:, None]
        near = edge if near is None else np.minimum(near, edge, out=near)
    if near is None:
        return np.zeros((len(ys), len(xs)), np.float32)
    np.minimum(near, np.float32(1.0), out=near)
    np.maximum(near, np.float32(0.0), out=near)
    return near


def faces_camera(corners: Floats) -> bool:
    """Tell whether a face that is counter-clockwise from outside is seen from outside."""
    x, y = corners[:, 0].tolist(), corners[:, 1].tolist()
    area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))
    return bool(area < 0)


def hull(points: Floats) -> Floats:
    """Return the convex hull of points ``[N, 2]`` (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, points.tolist()))
    chains = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[float, ...]] = []
        for p in sequence:
            while len(chain) > 1 and _turns_right(chain[-2], chain[-1], p):
                chain.pop()
            chain.append(p)
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1])


def _turns_right(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0
