"""Which objects count for a rule: conditions that all kinds share.

They are on class, confidence and size of a sighting, and on what is known of its object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import and_

import numpy as np

from actors.rule_specs import AnyRule
from engines.detections import Detections

_Size = tuple[float, float]

Known = Callable[[int, str], Collection[str]]
"""What secondary models have settled on of a track, by the name of the attribute."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a sighting must be to count. One that is not is as good as not seen.

    Attributes:
        classes: Labels; empty for all.
        min_confidence: Least confidence.
        min_size: Least width and height of the box, as fractions of the picture's.
        max_size: Greatest width and height.
        is_sized: Whether sizes matter.
        attributes: Of each attribute the values of which one must be settled.
    """

    classes: frozenset[str]
    min_confidence: float
    min_size: _Size
    max_size: _Size
    is_sized: bool
    attributes: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, spec: AnyRule) -> Conditions | None:
        """What a rule asks for; None for nothing."""
        width, height = spec.unit
        least, most = spec.min_size or (0.0, 0.0), spec.max_size or (np.inf, np.inf)
        is_sized = bool(spec.min_size or spec.max_size)
        if not (spec.classes or spec.min_confidence or is_sized or spec.attributes):
            return None
        return cls(
            frozenset(spec.classes),
            spec.min_confidence,
            (least[0] / width, least[1] / height),
            (most[0] / width, most[1] / height),
            is_sized,
            {name: frozenset(values) for name, values in spec.attributes.items()},
        )

    def met_by(
        self,
        objects: Detections,
        labels: Sequence[str],
        source_size: tuple[int, int],
        known: Known,
    ) -> list[bool]:
        """Which objects count; ``labels`` are the class names, sizes are in pixels."""
        met = [True] * len(objects)
        if self.classes:
            met = [_name(number, labels) in self.classes for number in objects.class_id.tolist()]
        if self.min_confidence:
            sure = (objects.confidence >= np.float32(self.min_confidence)).tolist()
            met = list(map(and_, met, sure))
        if self.is_sized:
            sizes = (objects.xyxy[:, 2:] - objects.xyxy[:, :2]) / np.array(source_size)
            fit = ((sizes >= self.min_size) & (sizes <= self.max_size)).all(axis=1)
            met = list(map(and_, met, fit.tolist()))
        if self.attributes:
            tracks = objects.track_id.tolist()
            met = [ok and self._is_one(t, known) for ok, t in zip(met, tracks, strict=True)]
        return met

    def _is_one(self, track: int, known: Known) -> bool:
        """Whether all that is asked for is settled of a track."""
        asked = self.attributes.items()
        return all(not values.isdisjoint(known(track, name)) for name, values in asked)


def _name(number: int, labels: Sequence[str]) -> str:
    """A class without a label is called by its number."""
    return labels[number] if number < len(labels) else str(number)
