"""A stream as the scheduler knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.inference.window import Cadence
from actors.messages import Ticket
from actors.specs import QosClass

LONGEST_FLOOR_S = 60.0
"""A stream without a floor is still served once a minute."""


@dataclass(slots=True, eq=False)
class WaitingStream:
    """A stream's place in the queue.

    One ticket of it waits, in overload the newest. Otherwise the next one may wait behind it: what
    a call of ingest brings is more than the engine does at once, and yet no more than it does until
    about the next call.

    Attributes:
        stream: Stream id.
        qos_class: The class whose share it uses.
        weight: Its share within the class, relative to the class's usual weight.
        deadline_s: From arrival to detections, seconds.
        floor_s: Longest time between two served frames, seconds.
        due: When it should have been served at the latest, seconds.
        virtual_time: What it has had of its class, frames by weight.
        ticket: The frame that waits, if any.
        waiting_since: When that came.
        behind: The one that waits for its turn after that, if any.
        behind_since: When that came.
        is_in_flight: A frame of it is at the engine; the next one must wait until that is done.
        cadence: When its next frame is expected.
        num_inferred: Frames that went through the engine.
        num_on_time: Those of them that were done before their deadline.
    """

    stream: str
    qos_class: QosClass
    due: float = float("inf")
    weight: float = 1.0
    deadline_s: float = float("inf")
    floor_s: float = LONGEST_FLOOR_S
    virtual_time: float = 0.0
    ticket: Ticket | None = None
    waiting_since: float = 0.0
    behind: Ticket | None = None
    behind_since: float = 0.0
    is_in_flight: bool = False
    cadence: Cadence = field(default_factory=Cadence)
    num_inferred: int = 0
    num_on_time: int = 0

    @property
    def min_fps(self) -> float:
        """Its floor, frames a second."""
        return 1.0 / self.floor_s

    @property
    def num_waiting(self) -> int:
        """How many frames of it wait."""
        return (self.ticket is not None) + (self.behind is not None)

    def put(self, ticket: Ticket, now: float, *, only_newest: bool) -> list[Ticket]:
        """Let a frame wait where one does; gives those that it pushes out, the oldest first.

        Args:
            ticket: Newer than what waits.
            now: When it came, seconds.
            only_newest: Whether nothing may wait beside it.
        """
        pushed_out = []
        while self.ticket is not None and (only_newest or self.behind is not None):
            pushed_out.append(self.take())
        if self.ticket is None:
            self.ticket, self.waiting_since = ticket, now
        else:
            self.behind, self.behind_since = ticket, now
        return pushed_out

    def take(self) -> Ticket:
        """Its waiting frame, which then waits no longer; the one behind it takes its place.

        Raises:
            ValueError: if none waits.
        """
        ticket = self.ticket
        if ticket is None:
            raise ValueError(f"{self.stream} has no frame that waits")
        self.ticket, self.waiting_since, self.behind = self.behind, self.behind_since, None
        return ticket
