"""Votes of several looks at one object, until they settle what it is. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.spec import Choice

TEXT = "text"
"""What the only value of a text model is called."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The value that is ahead.

    Attributes:
        values: A label or a text; several labels, or none, where any of them may be true.
        confidence: Mean over all votes of how sure each was of it, 0 to 1.
        num_votes: How many there were; of a text, those for this one.
    """

    values: tuple[str, ...]
    confidence: float
    num_votes: int


class Ballot(ABC):
    """The votes on one property of one object. Their order does not matter."""

    @abstractmethod
    def leader(self) -> Leader | None:
        """The value that is ahead; None without votes."""

    @abstractmethod
    def state(self) -> Any:
        """All that it knows, as JSON values."""

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Go on from what ``state`` gave."""


class LabelBallot(Ballot):
    """Votes by the probabilities of labels.

    Args:
        labels: In the order of the probabilities.
        choice: Whether one of them is true, or any.
    """

    def __init__(self, labels: Sequence[str], choice: Choice = Choice.ONE) -> None:
        self._labels = tuple(labels)
        self._choice = choice
        self._sums: NDArray[np.float64] = np.zeros(len(labels))
        self._num = 0

    def vote(self, probabilities: NDArray[np.float32], min_confidence: float) -> None:
        """Count one look, unless it is too uncertain."""
        if self._sureness(probabilities) >= min_confidence:
            self._sums += probabilities
            self._num += 1

    def leader(self) -> Leader | None:
        """See ``Ballot.leader``. Of labels of which any may be true, those above one half."""
        if not self._num:
            return None
        means = self._sums / self._num
        if self._choice is Choice.ONE:
            best = int(means.argmax())
            return Leader((self._labels[best],), float(means[best]), self._num)
        values = tuple(self._labels[index] for index in np.flatnonzero(means > 0.5))
        return Leader(values, self._sureness(means), self._num)

    def state(self) -> Any:
        """See ``Ballot.state``."""
        return [self._num, self._sums.tolist()]

    def restore(self, state: Any) -> None:
        """See ``Ballot.restore``; votes on another number of labels are left out."""
        if len(state[1]) == len(self._labels):
            self._num, self._sums = state[0], np.array(state[1], np.float64)

    def _sureness(self, probabilities: NDArray[Any]) -> float:
        """That of the likeliest label; of the least decided where each is decided by itself."""
        if self._choice is Choice.ONE:
            return float(probabilities.max())
        return float(np.maximum(probabilities, 1 - probabilities).min())


class TextBallot(Ballot):
    """Votes for texts: only those that are alike to the last symbol support each other."""

    def __init__(self) -> None:
        self._votes: dict[str, list[float]] = {}

    def vote(self, text: str, confidence: float, min_confidence: float) -> None:
        """Count one look, unless nothing was read or it is too uncertain."""
        if text and confidence >= min_confidence:
            self._votes.setdefault(text, []).append(float(confidence))

    def leader(self) -> Leader | None:
        """See ``Ballot.leader``."""
        if not self._votes:
            return None
        sums = {text: fsum(votes) for text, votes in self._votes.items()}
        best = max(sums, key=lambda text: (sums[text], text))
        num_all = sum(map(len, self._votes.values()))
        return Leader((best,), sums[best] / num_all, len(self._votes[best]))

    def state(self) -> Any:
        """See ``Ballot.state``."""
        return {text: list(votes) for text, votes in self._votes.items()}

    def restore(self, state: Any) -> None:
        """See ``Ballot.restore``."""
        self._votes = {text: list(votes) for text, votes in state.items()}
