"""Batches of network inputs, made from stored frames on the device itself.

A frame is sampled from its YCbCr planes at any scale and place by one bilinear look-up. At scale
one and place zero that is what the deployed preprocessing gives: half-pixel bilinear scaling of the
planes to 320x180, conversion to RGB, and grey below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from data import SOURCE_HEIGHT, SOURCE_WIDTH
from store import FrameStore
from torch import Tensor
from torch.nn import functional

INPUT_WIDTH, INPUT_HEIGHT = 320, 192
PAD_VALUE = 114.0
DEPLOYED_SCALE = INPUT_WIDTH / SOURCE_WIDTH
PICTURE_HEIGHT = SOURCE_HEIGHT * DEPLOYED_SCALE

KEPT_SHARE = 0.35  # an object of which less is left is neither learnt nor a mistake
LOST_SHARE = 0.02
MIN_AREA_PX = 14.0

# R from Cr, G from Cb, G from Cr, B from Cb (ITU-R BT.709 and BT.601)
BT709 = (1.5748, -0.1873, -0.4681, 1.8556)
BT601 = (1.4020, -0.3441, -0.7141, 1.7720)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How strongly a batch is changed; shares are probabilities for a picture.

    Attributes:
        moved: Scaled, shifted and stretched.
        coloured: Light and colour changed.
        blurred: Softened.
        noisy: Given Gaussian noise.
        mosaic: Put together from four pictures.
        flipped: Mirrored.
    """

    moved: float = 0.6
    coloured: float = 0.6
    blurred: float = 0.15
    noisy: float = 0.3
    mosaic: float = 0.3
    flipped: float = 0.5


PLAIN = Recipe(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
LAST = Recipe(moved=0.25, coloured=0.4, blurred=0.05, noisy=0.15, mosaic=0.0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs and what is to be found in them.

    Attributes:
        images: RGB 0..255, float32 ``[B, 3, 192, 320]``.
        boxes: Input pixels, float32 ``[B, M, 4]``.
        class_id: int64 ``[B, M]``.
        active: Objects to be found, bool ``[B, M]``.
        ignore: Objects that count neither way, bool ``[B, M]``.
    """

    images: Tensor
    boxes: Tensor
    class_id: Tensor
    active: Tensor
    ignore: Tensor


@dataclass(frozen=True, slots=True)
class Placement:
    """Where each picture lies in its input: ``input = deployed * scale + shift``, each ``[B]``."""

    scale_x: Tensor
    scale_y: Tensor
    shift_x: Tensor
    shift_y: Tensor
    flip: Tensor

    def rectangle(self) -> Tensor:
        """Left, top, right and bottom of the pictures within the input, ``[B, 4]``."""
        right = self.shift_x + INPUT_WIDTH * self.scale_x
        bottom = self.shift_y + PICTURE_HEIGHT * self.scale_y
        corners = torch.stack([self.shift_x, self.shift_y, right, bottom], dim=1)
        limit = corners.new_tensor([INPUT_WIDTH, INPUT_HEIGHT, INPUT_WIDTH, INPUT_HEIGHT])
        return corners.clamp(min=0).minimum(limit)


class Augmenter:
    """Makes batches; one seed, one sequence."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    @torch.no_grad()
    def batch(self, store: FrameStore, index: Tensor, recipe: Recipe) -> Batch:
        """Make inputs from the frames of an index ``[B]``."""
        placement = self._placement(len(index), recipe)
        matrix = self._matrix(len(index), recipe)
        images = sampled(store.planes[index], placement, matrix)
        images = self._recoloured(images, recipe)
        images = _framed(images, placement.rectangle())
        batch = _labelled(store, index, placement, images)
        return self._mosaic(batch, recipe.mosaic) if recipe.mosaic > 0 else batch

    def _uniform(self, num: int, low: float, high: float) -> Tensor:
        values = torch.rand(num, generator=self._generator, device=self._device)
        return values * (high - low) + low

    def _picked(self, num: int, share: float) -> Tensor:
        return self._uniform(num, 0.0, 1.0) < share

    def _placement(self, num: int, recipe: Recipe) -> Placement:
        scale = self._uniform(num, math.log(0.6), math.log(1.6)).exp()
        stretch = self._uniform(num, -0.08, 0.08).exp()
        moved = self._picked(num, recipe.moved)
        scale_x = torch.where(moved, scale * stretch, 1.0)
        scale_y = torch.where(moved, scale / stretch, 1.0)
        shift_x = self._shift(num, INPUT_WIDTH, INPUT_WIDTH * scale_x)
        shift_y = self._shift(num, INPUT_HEIGHT, PICTURE_HEIGHT * scale_y)
        return Placement(
            scale_x,
            scale_y,
            torch.where(moved, shift_x, 0.0),
            torch.where(moved, shift_y, 0.0),
            self._picked(num, recipe.flipped),
        )

    def _shift(self, num: int, size: float, picture: Tensor) -> Tensor:
        inside = (size - picture) * self._uniform(num, 0.0, 1.0)
        return inside + size * self._uniform(num, -0.1, 0.1)

    def _matrix(self, num: int, recipe: Recipe) -> Tensor:
        other = torch.where(self._picked(num, recipe.coloured), self._uniform(num, 0.0, 1.0), 0.0)
        first = torch.tensor(BT709, device=self._device)
        second = torch.tensor(BT601, device=self._device)
        return torch.lerp(first, second, other[:, None])

    def _recoloured(self, images: Tensor, recipe: Recipe) -> Tensor:
        num = len(images)
        changed = self._lit(images) if recipe.coloured > 0 else images
        coloured = _spread(self._picked(num, recipe.coloured))
        images = torch.where(coloured, changed, images)
        if recipe.blurred > 0:
            soft = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
            images = torch.where(_spread(self._picked(num, recipe.blurred)), soft, images)
        if recipe.noisy > 0:
            sigma = self._uniform(num, 0.0, 10.0) * self._picked(num, recipe.noisy)
            noise = torch.empty_like(images).normal_(generator=self._generator)
            images = images + noise * _spread(sigma)
        return images.clamp(0, 255)

    def _lit(self, images: Tensor) -> Tensor:
        """Change saturation, channel gains, contrast, brightness and gamma."""
        num = len(images)
        grey = images.mean(dim=1, keepdim=True)
        images = torch.lerp(grey, images, _spread(self._uniform(num, 0.5, 1.4)))
        gains = 1.0 + 0.08 * torch.randn(num, 3, generator=self._generator, device=self._device)
        images = images * gains[:, :, None, None]
        contrast = _spread(self._uniform(num, 0.7, 1.3))
        images = (images - 128) * contrast + 128 + _spread(self._uniform(num, -30.0, 30.0))
        gamma = _spread(self._uniform(num, math.log(0.75), math.log(1.35)).exp())
        return 255 * (images / 255).clamp(1e-4, 1).pow(gamma)

    def _mosaic(self, batch: Batch, share: float) -> Batch:
        """Replace three quarters of some pictures by what their neighbours show there."""
        num = len(batch.images)
        picked = self._picked(num, share)
        centre_x = torch.where(picked, self._uniform(num, 0.3, 0.7) * INPUT_WIDTH, INPUT_WIDTH)
        centre_y = torch.where(picked, self._uniform(num, 0.3, 0.7) * INPUT_HEIGHT, INPUT_HEIGHT)
        quarters = _quarters(centre_x.round(), centre_y.round())
        images, parts = batch.images, []
        for i, quarter in enumerate(quarters):
            turned = _rolled(batch, i)
            images = torch.where(_mask(quarter), turned.images, images)
            parts.append(_cut(turned, quarter))
        merged = (torch.cat([getattr(part, name) for part in parts], 1) for name in _LABELS)
        return _compact(Batch(images, *merged))


_LABELS = ("boxes", "class_id", "active", "ignore")


def sampled(planes: Tensor, placement: Placement, matrix: Tensor) -> Tensor:
    """Look up RGB pictures ``[B, 3, 192, 320]`` from packed planes; edges are continued."""
    num, device = len(planes), planes.device
    x = torch.arange(INPUT_WIDTH, device=device) + 0.5
    y = torch.arange(INPUT_HEIGHT, device=device) + 0.5
    across = (x - placement.shift_x[:, None]) / (INPUT_WIDTH * placement.scale_x[:, None])
    down = (y - placement.shift_y[:, None]) / (PICTURE_HEIGHT * placement.scale_y[:, None])
    across = torch.where(placement.flip[:, None], 1 - across, across)
    shape = (num, INPUT_HEIGHT, INPUT_WIDTH)
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=-1)
    luma_size = SOURCE_WIDTH * SOURCE_HEIGHT
    luma = planes[:, :luma_size].view(num, 1, SOURCE_HEIGHT, SOURCE_WIDTH)
    chroma = planes[:, luma_size:].view(num, 2, SOURCE_HEIGHT // 2, SOURCE_WIDTH // 2)
    grid = 2 * grid - 1
    left_sited = grid.new_tensor([0.5 / chroma.shape[-1], 0.0])  # a quarter of a chroma sample
    return _to_rgb(_look_up(luma, grid), _look_up(chroma, grid + left_sited), matrix)


def _look_up(plane: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(
        plane.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _to_rgb(luma: Tensor, chroma: Tensor, matrix: Tensor) -> Tensor:
    y = (luma[:, 0] - 16) * (255 / 219)
    cb, cr = ((chroma - 128) * (255 / 224)).unbind(1)
    red_cr, green_cb, green_cr, blue_cb = (value[:, None, None] for value in matrix.unbind(1))
    channels = (y + red_cr * cr, y + green_cb * cb + green_cr * cr, y + blue_cb * cb)
    return torch.stack(channels, dim=1).clamp(0, 255)


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _mask(rectangle: Tensor) -> Tensor:
    """Pixels whose centre lies in a rectangle ``[B, 4]``, bool ``[B, 1, 192, 320]``."""
    x = torch.arange(INPUT_WIDTH, device=rectangle.device) + 0.5
    y = torch.arange(INPUT_HEIGHT, device=rectangle.device) + 0.5
    left, top, right, bottom = (value[:, None] for value in rectangle.unbind(1))
    columns, rows = (x >= left) & (x < right), (y >= top) & (y < bottom)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _framed(images: Tensor, rectangle: Tensor) -> Tensor:
    return torch.where(_mask(rectangle), images, PAD_VALUE)


def _labelled(store: FrameStore, index: Tensor, placement: Placement, images: Tensor) -> Batch:
    boxes, class_id = store.boxes[index] * DEPLOYED_SCALE, store.class_id[index]
    left, top, right, bottom = boxes.unbind(-1)
    flip = placement.flip[:, None]
    left, right = (
        torch.where(flip, INPUT_WIDTH - right, left),
        torch.where(flip, INPUT_WIDTH - left, right),
    )
    scale = torch.stack([placement.scale_x, placement.scale_y] * 2, dim=1)[:, None]
    shift = torch.stack([placement.shift_x, placement.shift_y] * 2, dim=1)[:, None]
    boxes = torch.stack([left, top, right, bottom], dim=-1) * scale + shift
    present, ignore = class_id >= 0, store.ignore[index]
    whole = Batch(images, boxes, class_id.clamp(min=0), present & ~ignore, present & ignore)
    return _compact(_cut(whole, placement.rectangle()))


def _cut(batch: Batch, rectangle: Tensor) -> Batch:
    """Clip boxes to a rectangle ``[B, 4]``; what is mostly or wholly lost is no longer active."""
    low, high = rectangle[:, None, :2], rectangle[:, None, 2:]
    corners = [part.maximum(low).minimum(high) for part in batch.boxes.split(2, dim=-1)]
    boxes = torch.cat(corners, dim=-1)
    area = (corners[1] - corners[0]).prod(-1)
    kept = area / (batch.boxes[..., 2:] - batch.boxes[..., :2]).prod(-1).clamp(min=1e-6)
    learnt = (kept >= KEPT_SHARE) & (area >= MIN_AREA_PX)
    ignore = (batch.ignore | (batch.active & ~learnt)) & (kept > LOST_SHARE)
    return Batch(batch.images, boxes, batch.class_id, batch.active & learnt, ignore)


def _compact(batch: Batch) -> Batch:
    """Move objects to the front and cut the table to the fullest picture."""
    present = batch.active | batch.ignore
    most = max(1, int(present.sum(1).max()))
    order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    flat = (getattr(batch, name).gather(1, order) for name in _LABELS[1:])
    boxes = batch.boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return Batch(batch.images, boxes, *flat)


def _rolled(batch: Batch, by: int) -> Batch:
    names = ("images", *_LABELS)
    return Batch(*(getattr(batch, name).roll(by, dims=0) for name in names))


def _quarters(x: Tensor, y: Tensor) -> list[Tensor]:
    """The four rectangles ``[B, 4]`` around a centre."""
    zero = torch.zeros_like(x)
    width, height = torch.full_like(x, INPUT_WIDTH), torch.full_like(y, INPUT_HEIGHT)
    sides = ((zero, zero, x, y), (x, zero, width, y), (zero, y, x, height), (x, y, width, height))
    return [torch.stack(side, dim=1) for side in sides]
