"""The degrade ladder: what long overload takes from streams, from the lowest class up and back."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.messages import DegradeStep


@dataclass(frozen=True, slots=True)
class LadderStatus:
    """The ladder as of now.

    Attributes:
        rung: How many rungs it has climbed; 0 takes nothing from anybody.
        name: Of the rung: class and step, as in ``low floor_rate``; ``none`` at the foot.
        since: UTC of the last change of the rung, seconds since 1970.
        steps: Steps by stream; streams of which nothing is taken are left out.
        num_climbs: Rungs climbed since the engine started.
    """

    rung: int = 0
    name: str = "none"
    since: float = 0.0
    steps: dict[str, DegradeStep] = field(default_factory=dict)
    num_climbs: int = 0
