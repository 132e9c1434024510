"""What detectors of all families have in common: a way in, and boxes on their way to the source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.detections import Detections
from engines.families.letterbox import Letterbox
from engines.families.placement import SourceMap, SourceMaps
from engines.families.suppression import Overlaps, suppress
from engines.signature import Signature
from engines.spec import ModelSpec

MAX_CANDIDATES = 512
"""Only so many of the best boxes enter suppression, which bounds its time on noise."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes of one picture, best first.

    Attributes:
        sides: float32 [4, n], left, top, right, bottom in input pixels.
        score: float32 [n].
        class_id: [n].
    """

    sides: Array
    score: Array
    class_id: NDArray[np.integer]


class Detector(ABC):
    """A family of detectors: an adapter but for what its outputs mean."""

    suppresses: ClassVar[bool] = True
    """Whether boxes that overlap a better one are still to be dropped."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._letterbox = Letterbox(spec.input)
        self._sources = SourceMaps(spec.input)
        self._overlaps = Overlaps.of(spec)

    @abstractmethod
    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""

    @abstractmethod
    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""

    @abstractmethod
    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """Boxes that reach the spec's confidence, best first, at most ``MAX_CANDIDATES``.

        Args:
            outputs: Those of one picture, without the batch axis.
        """

    def prepare(self, view: View, out: Array) -> None:
        """See ``FamilyAdapter.prepare``."""
        self._letterbox.write(view, out)

    def read(self, outputs: Sequence[Array], views: Sequence[View]) -> list[Detections]:
        """See ``FamilyAdapter.read``: detections in source pixels, best first."""
        return [
            self._to_source(self.candidates(one), self._sources.of(view))
            for *one, view in zip(*outputs, views, strict=True)
        ]

    def _to_source(self, found: Candidates, sources: SourceMap) -> Detections:
        spec = self._spec
        if not len(found.score):
            return Detections.empty()
        best: NDArray[np.intp] | list[int] = np.arange(min(len(found.score), spec.max_detections))
        if self.suppresses:
            best = suppress(found.sides, found.class_id, self._overlaps, spec.max_detections)
        xyxy = sources.apply(found.sides.take(best, axis=1).T)
        return Detections.of(xyxy, found.score.take(best), found.class_id.take(best))


def best_first(score: Array, confidence: float) -> NDArray[np.intp]:
    """Indices of the scores that reach ``confidence``, best first, at most ``MAX_CANDIDATES``."""
    num = min(MAX_CANDIDATES, int(np.count_nonzero(score >= confidence)))
    return np.argsort(-score, kind="stable")[:num]


def sides_of(centre: Array, size: Array) -> Array:
    """Left, top, right and bottom [4, n] of centres [2, n] and sizes [2, n]."""
    half = size / 2
    return np.concatenate((centre - half, centre + half))
