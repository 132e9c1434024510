"""Engine: the one protocol that every backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engines.detections import Detections
from engines.frames import Frame
from engines.spec import ModelSpec


class Engine(Protocol):
    """A model on one device. Life: ``load``, any number of ``infer``, ``close``.

    Attributes:
        spec: What the model is.
        batch_sizes: Batch sizes that it was built for, ascending.
        max_in_flight: How many threads may be in ``infer`` at once, so that one batch computes
            while the next is prepared.
    """

    spec: ModelSpec
    batch_sizes: tuple[int, ...]
    max_in_flight: int

    def load(self) -> None:
        """Bring the model onto its device and run it once, so that the first batch is not slow.

        Raises:
            ModelError: if the file or the spec cannot be used.
        """

    def infer(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detect objects in each frame, in source pixels, suppressed, best first.

        Args:
            frames: At most ``batch_sizes[-1]`` frames of any size.

        Returns:
            One ``Detections`` a frame, in order; nothing of them refers to the frames.

        Raises:
            EngineFailedError: if the device failed.
        """

    def close(self) -> None:
        """Give back all memory of the device; may be called twice."""
