"""Training: batches made on the device, AdamW, a cosine schedule, an average of the weights."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from assignment import anchors
from augment import INPUT_HEIGHT, INPUT_WIDTH, LAST, PLAIN, Augmenter, Batch, Recipe
from loss import detection_loss
from network import STRIDES, Detector
from progress import Progress
from store import FrameStore
from torch import Tensor

from cluster.demo.world.scenario import LORRY

WARM_UP = 0.03
LAST_PART = 0.25
FINAL_RATE = 0.01
SAVE_EVERY_S = 60.0
LORRY_WEIGHT, MAX_LORRIES = 0.5, 4  # so much oftener a frame comes up for each, up to so many
MAX_VALIDATION_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how a network is trained.

    Attributes:
        limit_s: Training time; the schedule is stretched over it.
        max_steps: Ends training earlier, 0 for no limit.
        batch_size: Pictures in a step.
        rate: Highest learning rate.
        weight_decay: AdamW's decay of convolution weights.
        seed: Of weights, order and augmentation.
        compiled: Whether to run the network through ``torch.compile``.
    """

    limit_s: float
    max_steps: int = 0
    batch_size: int = 256
    rate: float = 2e-3
    weight_decay: float = 0.02
    seed: int = 0
    compiled: bool = False


class Average:
    """Exponential moving average of a network's weights and statistics."""

    MAX_DECAY = 0.9995

    def __init__(self, network: Detector) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._own, self._followed = _floats(self.network), _floats(network)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network, faster at the beginning."""
        decay = min(self.MAX_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._own, self._followed, 1 - decay)


def _floats(network: Detector) -> list[Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


class Trainer:
    """A network in training and all its state, which can be saved and restored."""

    def __init__(self, num_classes: int, settings: Settings, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        self._settings, self._device = settings, device
        network = Detector(num_classes).to(device, memory_format=torch.channels_last)
        self.network = network
        self.average = Average(network)
        self._forward = torch.compile(network) if settings.compiled else network
        self._optimizer = torch.optim.AdamW(
            _groups(network, settings.weight_decay), lr=settings.rate, fused=device.type == "cuda"
        )
        self._augmenter = Augmenter(device, settings.seed)
        self._order = torch.Generator(device).manual_seed(settings.seed)
        self._cells = anchors(INPUT_WIDTH, INPUT_HEIGHT, STRIDES, device)
        self._steps: Tensor | None = None  # cumulated weights of the frames
        self.step_index, self.elapsed_s = 0, 0.0

    @property
    def done(self) -> float:
        """Share of the training that is done, 0..1."""
        steps = self.step_index / self._settings.max_steps if self._settings.max_steps else 0.0
        return min(1.0, max(steps, self.elapsed_s / self._settings.limit_s))

    def step(self, store: FrameStore) -> Tensor:
        """Learn from one batch; returns the parts of the loss."""
        index = self._drawn(store)
        recipe = LAST if self.done > 1 - LAST_PART else Recipe()
        batch = self._augmenter.batch(store, index, recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.rate * rate_factor(self.done)
        self.network.train()
        loss, parts = detection_loss(self._run(self._forward, batch), self._cells, batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimizer.step()
        self.average.update(self.step_index)
        self.step_index += 1
        return parts

    def _drawn(self, store: FrameStore) -> Tensor:
        """Frames of the next batch ``[B]``; those with lorries, the hardest, come up oftener."""
        if self._steps is None:
            lorries = ((store.class_id == LORRY) & ~store.ignore).sum(dim=1)
            self._steps = (1 + LORRY_WEIGHT * lorries.clamp(max=MAX_LORRIES)).double().cumsum(0)
        shape = (self._settings.batch_size,)
        place = torch.rand(shape, generator=self._order, device=self._device, dtype=torch.float64)
        return torch.searchsorted(self._steps, place * self._steps[-1])

    @torch.no_grad()
    def validate(self, store: FrameStore) -> list[float]:
        """Parts of the loss of the averaged network, on unseen frames as they are."""
        index = torch.linspace(0, len(store) - 1, min(len(store), 2048), device=self._device)
        plain = Augmenter(self._device, 0)
        sums = []
        for part in index.long().split(self._settings.batch_size)[:MAX_VALIDATION_BATCHES]:
            batch = plain.batch(store, part, PLAIN)
            values = self._run(self.average.network, batch)
            sums.append(detection_loss(values, self._cells, batch)[1])
        return [round(float(value), 4) for value in torch.stack(sums).mean(0)]

    def _run(self, network: Any, batch: Batch) -> Tensor:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        cuda = self._device.type == "cuda"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=cuda):
            return network(images)

    def save(self, path: Path) -> None:
        """Write all state; the file appears whole or not at all."""
        part = path.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.network.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "step": self.step_index,
                "elapsed_s": self.elapsed_s,
            },
            part,
        )
        part.rename(path)

    def restore(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step_index, self.elapsed_s = state["step"], state["elapsed_s"]
        # Another order than at the start, or the first pictures would be seen twice.
        self._order.manual_seed(self._settings.seed + self.step_index)


def fit(
    train: FrameStore,
    validation: FrameStore,
    num_classes: int,
    settings: Settings,
    checkpoint: Path,
) -> Detector:
    """Train until the time or the steps are used up, from the checkpoint where there is one.

    Returns:
        The averaged network.
    """
    device = train.planes.device
    torch.backends.cudnn.benchmark = True
    trainer = Trainer(num_classes, settings, device)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    saved = tick = time.monotonic()
    note = ""
    with Progress("fit", 1.0) as progress:
        progress.advance(trainer.done)
        while (done := trainer.done) < 1.0:
            parts = trainer.step(train)
            tick = _count_time(trainer, tick)
            note = _note(trainer, parts) if trainer.step_index % 50 == 1 else note
            progress.advance(trainer.done - done, note)
            if tick - saved > SAVE_EVERY_S:
                trainer.save(checkpoint)
                print(f"validation: {trainer.validate(validation)}", flush=True)
                saved = time.monotonic()
    trainer.save(checkpoint)
    print(f"validation at the end: {trainer.validate(validation)}", flush=True)
    return trainer.average.network


def _count_time(trainer: Trainer, since: float) -> float:
    if trainer.step_index % 10 == 0 and trainer.network.heads[0].box.weight.is_cuda:
        torch.cuda.synchronize()
    now = time.monotonic()
    trainer.elapsed_s += now - since
    return now


def _note(trainer: Trainer, parts: Tensor) -> str:
    box, objectness, classes, iou = (float(value) for value in parts)
    return (
        f"step {trainer.step_index} box {box:.3f} objectness {objectness:.3f} "
        f"class {classes:.3f} overlap {iou:.3f}"
    )


def rate_factor(done: float) -> float:
    """Learning rate as a share of the highest: a linear warm-up, then half a cosine."""
    if done < WARM_UP:
        return max(1e-3, done / WARM_UP)
    angle = math.pi * (done - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(angle))


def _groups(network: Detector, weight_decay: float) -> list[dict[str, Any]]:
    decayed = [value for value in network.parameters() if value.ndim > 1]
    free = [value for value in network.parameters() if value.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0}]
