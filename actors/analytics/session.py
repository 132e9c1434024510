"""What the analytics of a stream keep for as long as one source session lasts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.analytics.inspector import Inspector
from actors.analytics.life_cycle import EventLifeCycle
from actors.analytics.motion_clock import MotionClock
from actors.analytics.rules import Clearance
from actors.analytics.tracking import Tracker
from actors.messages import FrameResult


@dataclass(slots=True)
class Session:
    """One source session; after a move it goes on with the first one of the other slot.

    Attributes:
        life_cycle: Gives events their ids.
        last: The last frame.
        tracker: Follows the objects.
        clock: Gives frames their motion time.
        clearance: Which objects its rules need not look at.
        inspector: What secondary models know of the objects; None without such models.
    """

    life_cycle: EventLifeCycle
    last: FrameResult
    tracker: Tracker = field(default_factory=Tracker)
    clock: MotionClock = field(default_factory=MotionClock)
    clearance: Clearance = field(default_factory=Clearance)
    inspector: Inspector | None = None

    def looks(self) -> NDArray[np.float32] | None:
        """What the detections of the last frame look like, if the tracker compares that."""
        if self.inspector is None or not self.tracker.config.wants_looks:
            return None
        return self.inspector.looks(self.last)
