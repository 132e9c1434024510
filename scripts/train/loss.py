"""The loss of YOLOX: overlap of boxes, objectness, and classes weighted by overlap."""

from __future__ import annotations

import torch
from assignment import Anchors, Assignment, assign, decoded
from augment import Batch
from torch import Tensor
from torch.nn import functional

BOX_WEIGHT = 5.0


def detection_loss(values: Tensor, cells: Anchors, batch: Batch) -> tuple[Tensor, Tensor]:
    """Loss of raw outputs ``[B, A, 5 + classes]``.

    Returns:
        The sum, and its parts (box, objectness, class, mean overlap) without gradient, ``[4]``.
    """
    values = values.float()
    predicted = decoded(values, cells)
    found = assign(
        values.detach(),
        predicted.detach(),
        cells,
        batch.boxes,
        batch.class_id,
        batch.active,
        batch.ignore,
    )
    num = found.positive.sum().clamp(min=1)
    box = _box_loss(predicted, batch, found) / num
    objectness = _objectness_loss(values, found) / num
    classes = _class_loss(values, batch, found) / num
    mean_iou = found.iou.sum() / num
    parts = torch.stack([box, objectness, classes, mean_iou]).detach()
    return BOX_WEIGHT * box + objectness + classes, parts


def _box_loss(predicted: Tensor, batch: Batch, found: Assignment) -> Tensor:
    index = found.target[..., None].expand(-1, -1, 4)
    goal = batch.boxes.gather(1, index)[found.positive]
    return (1 - generalised_iou(predicted[found.positive], goal)).sum()


def _objectness_loss(values: Tensor, found: Assignment) -> Tensor:
    goal = found.positive.float()
    each = functional.binary_cross_entropy_with_logits(values[..., 4], goal, reduction="none")
    return each[~found.ignored].sum()


def _class_loss(values: Tensor, batch: Batch, found: Assignment) -> Tensor:
    logits = values[..., 5:][found.positive]
    class_id = batch.class_id.gather(1, found.target)[found.positive]
    goal = functional.one_hot(class_id, logits.shape[-1]) * found.iou[found.positive][:, None]
    return functional.binary_cross_entropy_with_logits(logits, goal, reduction="sum")


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised overlap of boxes ``[K, 4]`` with as many others (arXiv 1902.09630)."""
    low, high = first[:, :2].maximum(second[:, :2]), first[:, 2:].minimum(second[:, 2:])
    hull_low, hull_high = first[:, :2].minimum(second[:, :2]), first[:, 2:].maximum(second[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = (areas[0] + areas[1] - shared).clamp(min=1e-6)
    hull = (hull_high - hull_low).prod(-1).clamp(min=1e-6)
    return shared / union - (hull - union) / hull
