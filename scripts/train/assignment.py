"""SimOTA: which anchors learn which object, for a whole batch at once (YOLOX, arXiv 2107.08430)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CENTRE_RADIUS = 1.5  # strides around an object's centre within which an anchor may learn it
REACH_PX = 4.0  # and so far out of its box at most: half the finest stride, so that one always may
MAX_ANCHORS = 10
IOU_WEIGHT = 3.0
FAR = 1e6


@dataclass(frozen=True, slots=True)
class Anchors:
    """The cells of all levels: centres in input pixels ``[A, 2]`` and strides ``[A]``."""

    centres: Tensor
    strides: Tensor


@dataclass(frozen=True, slots=True)
class Assignment:
    """What each anchor has to learn.

    Attributes:
        positive: Anchors that learn an object, bool ``[B, A]``.
        target: Index of that object, int64 ``[B, A]``, 0 where there is none.
        iou: Overlap of the anchor's box with it, float32 ``[B, A]``, 0 where there is none.
        ignored: Anchors whose objectness is not judged, bool ``[B, A]``.
    """

    positive: Tensor
    target: Tensor
    iou: Tensor
    ignored: Tensor


def anchors(width: int, height: int, strides: tuple[int, ...], device: torch.device) -> Anchors:
    """Cells of the levels in order, row-major."""
    centres, sizes = [], []
    for stride in strides:
        y, x = torch.meshgrid(
            torch.arange(height // stride, device=device),
            torch.arange(width // stride, device=device),
            indexing="ij",
        )
        centres.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
        sizes.append(torch.full((x.numel(),), float(stride), device=device))
    return Anchors(torch.cat(centres), torch.cat(sizes))


def decoded(values: Tensor, cells: Anchors) -> Tensor:
    """Boxes xyxy in input pixels ``[B, A, 4]`` from raw values ``[B, A, 4 or more]``."""
    strides = cells.strides[:, None]
    centre = cells.centres - 0.5 * strides + values[..., :2] * strides
    half = 0.5 * values[..., 2:4].clamp(max=8.0).exp() * strides
    return torch.cat([centre - half, centre + half], dim=-1)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of boxes ``[B, M, 4]`` with boxes ``[B, A, 4]``: ``[B, M, A]``."""
    low = torch.maximum(first[:, :, None, :2], second[:, None, :, :2])
    high = torch.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return shared / (areas[0][:, :, None] + areas[1][:, None, :] - shared).clamp(min=1e-6)


@torch.no_grad()
def assign(
    values: Tensor,
    predicted: Tensor,
    cells: Anchors,
    boxes: Tensor,
    class_id: Tensor,
    active: Tensor,
    ignore: Tensor,
) -> Assignment:
    """Give each active object its dynamic number of cheapest anchors.

    Args:
        values: Raw output, ``[B, A, 5 + classes]``.
        predicted: Decoded boxes, ``[B, A, 4]``.
        cells: The anchors.
        boxes: Objects, ``[B, M, 4]``.
        class_id: Their classes, ``[B, M]``.
        active: Objects to be found, ``[B, M]``.
        ignore: Objects that count neither way, ``[B, M]``.
    """
    overlap = pairwise_iou(boxes, predicted)
    near = _near(cells, boxes) & active[:, :, None]
    cost = _class_cost(values, class_id) - IOU_WEIGHT * (overlap + 1e-8).log()
    cost = torch.where(near, cost, FAR)
    matched = _cheapest(cost, torch.where(near, overlap, 0.0), near)
    best, target = torch.where(matched, cost, FAR).min(dim=1)
    positive = best < FAR
    iou = overlap.gather(1, target[:, None]).squeeze(1)
    ignored = _ignored(cells, boxes, ignore, overlap) & ~positive
    return Assignment(positive, target, torch.where(positive, iou, 0.0), ignored)


def _near(cells: Anchors, boxes: Tensor) -> Tensor:
    """Anchors around the centres of objects, and in their boxes, ``[B, M, A]``.

    A coarse anchor beside a small object sees its neighbour as well: it learns a box between them.
    """
    middle = 0.5 * (boxes[..., :2] + boxes[..., 2:])
    away = (middle[:, :, None] - cells.centres).abs()
    half = 0.5 * (boxes[..., 2:] - boxes[..., :2])[:, :, None] + REACH_PX
    return (away.amax(dim=-1) < CENTRE_RADIUS * cells.strides) & (away <= half).all(dim=-1)


def _class_cost(values: Tensor, class_id: Tensor) -> Tensor:
    """Binary cross-entropy of sqrt(class * objectness) with each object's class, ``[B, M, A]``."""
    log_score = functional.logsigmoid(values[..., 5:]) + functional.logsigmoid(values[..., 4:5])
    score = (0.5 * log_score).exp().clamp(1e-6, 1 - 1e-6)
    absent, present = -(1 - score).log(), -score.log()
    num = values.shape[1]
    index = class_id[:, None, :].expand(-1, num, -1)
    return (absent.sum(-1, keepdim=True) + (present - absent).gather(2, index)).transpose(1, 2)


def _cheapest(cost: Tensor, overlap: Tensor, near: Tensor) -> Tensor:
    """The k cheapest anchors of each object; k is the sum of its best overlaps, at least one."""
    num = overlap.topk(MAX_ANCHORS, dim=2).values.sum(2).int().clamp(min=1)
    order = cost.topk(MAX_ANCHORS, dim=2, largest=False).indices
    rank = torch.arange(MAX_ANCHORS, device=cost.device)
    chosen = (rank < num[:, :, None]).expand_as(order)
    return torch.zeros_like(near).scatter(2, order, chosen) & near


def _ignored(cells: Anchors, boxes: Tensor, ignore: Tensor, overlap: Tensor) -> Tensor:
    """Anchors that lie in, or whose box overlaps, an object that counts neither way."""
    reach = 0.5 * cells.strides[:, None]
    after = (cells.centres > boxes[:, :, None, :2] - reach).all(-1)
    before = (cells.centres < boxes[:, :, None, 2:] + reach).all(-1)
    touched = (after & before) | (overlap > 0.3)
    return (touched & ignore[:, :, None]).any(dim=1)
