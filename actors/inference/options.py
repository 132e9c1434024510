"""How an engine runs a model, as a slot tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actors.crop_messages import SecondaryModel
from engines.spec import Precision

PolicyName = Literal["qos", "fifo"]
DeviceName = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model.

    Attributes:
        num_threads: Of an engine on a CPU.
        max_batch_size: Pictures in one call; None for what suits the device.
        batch_sizes: What TensorRT is built for; None for powers of two up to the largest.
        max_queue_delay_s: See ``SchedulerConfig``.
        policy: Who makes the batches: the scheduler with its degrade ladder, or a plain queue to
            measure against.
        device: What runs it: ONNX Runtime on the CPU, or TensorRT on the first GPU that the
            engine's process sees.
        precision: What a GPU computes in; None for the fastest that the model's file allows.
        secondaries: Models that look at crops of what the model finds.
        max_crops: Crops that they look at in one batch, at most.
    """

    num_threads: int = 1
    max_batch_size: int | None = None
    batch_sizes: tuple[int, ...] | None = None
    max_queue_delay_s: float = 0.005
    policy: PolicyName = "qos"
    device: DeviceName = "cpu"
    precision: Precision | None = None
    secondaries: tuple[SecondaryModel, ...] = ()
    max_crops: int = 4
