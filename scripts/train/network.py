"""The detector: a small YOLOX-kind network of dense convolutions and ReLU, which quantise well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
NUM_BOX_VALUES = 5  # cx, cy, w, h and objectness


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths and depths of the network.

    Attributes:
        stem: Channels at stride 2.
        stages: Channels at strides 4, 8, 16 and 32.
        depths: Residual units in the cross-stage blocks of these four stages.
        neck: Channels of the feature pyramid and of the heads.
    """

    stem: int = 16
    stages: tuple[int, int, int, int] = (32, 64, 96, 96)
    depths: tuple[int, int, int, int] = (1, 2, 2, 1)
    neck: int = 64


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, num_in: int, num_out: int, size: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(num_in, num_out, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(num_out, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """A 3x3 convolution around which the input is added."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.conv = ConvUnit(num_channels, num_channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv(features)


class CrossStage(nn.Module):
    """Residual units over one half of the channels, joined with the other half (CSPNet)."""

    def __init__(self, num_in: int, num_out: int, depth: int) -> None:
        super().__init__()
        half = num_out // 2
        self.main = ConvUnit(num_in, half)
        self.side = ConvUnit(num_in, half)
        self.units = nn.Sequential(*(ResidualUnit(half) for _ in range(depth)))
        self.join = ConvUnit(2 * half, num_out)

    def forward(self, features: Tensor) -> Tensor:
        parts = (self.units(self.main(features)), self.side(features))
        return self.join(torch.cat(parts, dim=1))


class Backbone(nn.Module):
    """Stem and four stages; gives the features of strides 8, 16 and 32."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stem = ConvUnit(3, shape.stem, 3, 2)
        widths = (shape.stem, *shape.stages)
        self.stages = nn.ModuleList(
            nn.Sequential(ConvUnit(before, after, 3, 2), CrossStage(after, after, depth))
            for before, after, depth in zip(widths, shape.stages, shape.depths, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.stem(images)
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        return levels[1:]


class Pyramid(nn.Module):
    """Feature pyramid: coarse features are doubled in size and added to the finer ones."""

    def __init__(self, widths: Sequence[int], neck: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvUnit(width, neck) for width in widths)
        self.smooth = nn.ModuleList(CrossStage(neck, neck, 1) for _ in widths[1:])

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        merged = [self.lateral[-1](levels[-1])]
        for i in reversed(range(len(levels) - 1)):
            raised = functional.interpolate(merged[0], scale_factor=2.0, mode="nearest")
            merged.insert(0, self.smooth[i](self.lateral[i](levels[i]) + raised))
        return merged


class Head(nn.Module):
    """Box, objectness and class values of one level, from one shared trunk and two branches."""

    def __init__(self, neck: int, num_classes: int) -> None:
        super().__init__()
        self.trunk = ConvUnit(neck, neck, 3)
        self.box_branch = ConvUnit(neck, neck)
        self.class_branch = ConvUnit(neck, neck)
        self.box = nn.Conv2d(neck, NUM_BOX_VALUES, 1)
        self.classes = nn.Conv2d(neck, num_classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        shared = self.trunk(features)
        parts = (self.box(self.box_branch(shared)), self.classes(self.class_branch(shared)))
        return torch.cat(parts, dim=1)


class Detector(nn.Module):
    """From RGB 0..255 float32 [N, 3, H, W] to raw values [N, A, 5 + classes], logits unsquashed.

    Anchors are the cells of strides 8, 16 and 32 in that order, row-major. ``exported`` makes the
    forward pass give what YOLOX gives: objectness and classes after the sigmoid.
    """

    def __init__(self, num_classes: int, shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or Shape()
        self.num_classes = num_classes
        self.backbone = Backbone(shape)
        self.pyramid = Pyramid(shape.stages[1:], shape.neck)
        self.heads = nn.ModuleList(Head(shape.neck, num_classes) for _ in STRIDES)
        self.scale = 1.0 / 255.0
        self.exported = False
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        scaled = images if self.exported else images * self.scale
        levels = self.pyramid(self.backbone(scaled))
        parts = [self._flat(head(level)) for head, level in zip(self.heads, levels, strict=True)]
        values = torch.cat(parts, dim=2)
        if self.exported:
            values = torch.cat([values[:, :4], values[:, 4:].sigmoid()], dim=1)
        return values.transpose(1, 2)

    def _flat(self, values: Tensor) -> Tensor:
        cells = int(values.shape[2]) * int(values.shape[3])
        return values.reshape(-1, NUM_BOX_VALUES + self.num_classes, cells)


def _initialise(detector: Detector) -> None:
    """Start with rare objects (probability 0.01), so that the first steps are calm."""
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    prior = -4.595  # log(0.01 / 0.99)
    for head in detector.heads:
        for layer in (head.box, head.classes):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(head.box.bias[4:], prior)
        nn.init.constant_(head.classes.bias, prior)


def num_parameters(module: nn.Module) -> int:
    """Number of weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def num_macs(detector: Detector, height: int, width: int) -> int:
    """Multiply-accumulate operations of one picture, counted in the convolutions."""
    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.shape[2] * output.shape[3] * layer.weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in detector.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    with torch.no_grad():
        detector.eval()(torch.zeros(1, 3, height, width, device=next(detector.parameters()).device))
    for hook in hooks:
        hook.remove()
    return total


@torch.no_grad()
def fuse(detector: Detector) -> Detector:
    """Fold batch normalisation, and the first layer's scale, into the convolutions, in place."""
    for module in detector.modules():
        if isinstance(module, ConvUnit) and isinstance(module[1], nn.BatchNorm2d):
            module[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(module[0].eval(), module[1].eval())
            module[1] = nn.Identity()
    detector.backbone.stem[0].weight.mul_(detector.scale)
    detector.exported = True
    return detector.eval()
