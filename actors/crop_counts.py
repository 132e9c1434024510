"""What became of the crops of one stream: asked for, answered, or missed and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from actors.crop_messages import CropRequest, MissReason


@dataclass(slots=True)
class CropTally:
    """Crops for one secondary model. What is in none of the others is under way, or lost with it.

    Attributes:
        num_asked: Crops that were asked for.
        num_answered: Of these, how many were read, of the object that was meant.
        missed: Of these, how many were not, by reason.
    """

    num_asked: int = 0
    num_answered: int = 0
    missed: Counter[MissReason] = field(default_factory=Counter)


class CropCounts:
    """Tallies of a stream, by secondary model."""

    def __init__(self) -> None:
        self._tallies: dict[str, CropTally] = {}

    def of(self, secondary: str) -> CropTally:
        """Its tally, to be counted up."""
        return self._tallies.setdefault(secondary, CropTally())

    def ask(self, request: CropRequest) -> None:
        """A crop is on its way."""
        self.of(request.secondary).num_asked += 1

    def read(self) -> dict[str, CropTally]:
        """The tallies as they are now."""
        return {
            name: CropTally(tally.num_asked, tally.num_answered, Counter(tally.missed))
            for name, tally in self._tallies.items()
        }
