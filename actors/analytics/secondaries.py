"""A secondary model as the cascade knows it: whom it looks at, and how its readings vote. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from actors.analytics.votes import TEXT, Ballot, LabelBallot, TextBallot
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import SecondaryModel
from engines.readings import Attributes, Readings, Texts
from engines.spec import HeadSpec, ModelSpec, Task

LABEL = "label"
"""What the only property of a classifier is called."""


class Secondary:
    """One secondary model of a cascade.

    Args:
        spec: What the user asked for.
        model: What its model is.
        source_labels: Labels of what it looks at, in class order.

    Attributes:
        spec: As given.
        heads: Names of what it settles; none of a detector, and none of an embedding.
    """

    def __init__(
        self, spec: SecondarySpec, model: ModelSpec, source_labels: tuple[str, ...]
    ) -> None:
        self.spec = spec
        self._labelled = _labelled(model)
        self.heads = (TEXT,) if model.task is Task.TEXT else tuple(self._labelled)
        wanted = [not spec.classes or label in spec.classes for label in source_labels]
        self._wanted: NDArray[np.bool_] = np.array(wanted, bool)

    def looks_at(self, class_id: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of these classes it looks at."""
        return np.asarray(self._wanted[class_id], bool)

    def ballots(self) -> dict[str, Ballot]:
        """New ballots for a track, one for each head."""
        if self.heads == (TEXT,):
            return {TEXT: TextBallot()}
        return {
            name: LabelBallot(head.labels, head.choice) for name, head in self._labelled.items()
        }

    def vote(self, ballots: Mapping[str, Ballot], readings: Readings, row: int) -> None:
        """Let one reading of many vote."""
        least = self.spec.min_confidence
        if isinstance(readings, Texts):
            ballot = ballots[TEXT]
            if isinstance(ballot, TextBallot):
                ballot.vote(readings.text[row], float(readings.confidence[row]), least)
        elif isinstance(readings, Attributes):
            for ballot, rows in zip(ballots.values(), readings.probabilities, strict=True):
                if isinstance(ballot, LabelBallot):
                    ballot.vote(rows[row], least)


def values_of(model: ModelSpec) -> dict[str, tuple[str, ...] | None]:
    """What a model settles on, by name; None where any text may be a value."""
    if model.task is Task.TEXT:
        return {TEXT: None}
    return {name: head.labels for name, head in _labelled(model).items()}


def embedder_of(models: Sequence[SecondaryModel]) -> SecondaryModel | None:
    """The model whose embeddings the tracker compares: the first that looks at whole objects."""
    of_objects = (one for one in models if not one.spec.after)
    return next((one for one in of_objects if one.model.task is Task.EMBED), None)


def _labelled(model: ModelSpec) -> dict[str, HeadSpec]:
    if model.task is Task.CLASSIFY:
        return {LABEL: HeadSpec(labels=model.labels)}
    return dict(model.heads)
