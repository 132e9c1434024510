"""Engine and CropEngine: what every backend keeps, for detectors and for models of crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engines.crops import View
from engines.detections import Detections
from engines.frames import Frame
from engines.readings import Readings
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


class CropEngine(Protocol):
    """A model that looks at crops, a reader or a detector; lives as an ``Engine`` does.

    Attributes:
        spec: What the model is.
        batch_sizes: Batch sizes that it was built for, ascending.
        max_in_flight: How many threads may be in ``infer`` at once.
    """

    spec: ModelSpec
    batch_sizes: tuple[int, ...]
    max_in_flight: int

    def load(self) -> None:
        """See ``Engine.load``."""

    def infer(self, views: Sequence[View]) -> Readings | list[Detections]:
        """Look at each view, a crop or a whole frame; crops of different frames may be mixed.

        Args:
            views: At least one, at most ``batch_sizes[-1]``.

        Returns:
            One reading a view, in order, or of a detector one ``Detections`` in source pixels;
            nothing of them refers to the frames.

        Raises:
            EngineFailedError: if the device failed.
        """

    def close(self) -> None:
        """See ``Engine.close``."""
