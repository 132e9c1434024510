"""What a slot decodes, on its own machine and on others, as one axis of its capacity."""

from __future__ import annotations

from actors.ingest.decode_cost import full_hd_fps
from cluster.placement import decode_limit_mpx_s
from cluster.slot.crew import Crew
from cluster.slot.decode_axis import DecodeAxis
from cluster.slot.far import FarPlan


class SlotDecoding:
    """Follows the decoders of a slot.

    Args:
        num_cores: Cores of its machine that its streams may use.
        far: Its ingest actors on other machines; None where there are none.
    """

    def __init__(self, num_cores: int, far: FarPlan | None = None) -> None:
        self._near = DecodeAxis(num_cores)
        self._plan = far
        self._far = DecodeAxis(max(1, int(far.num_cpus))) if far else None

    @property
    def decoder(self) -> str:
        """What its own machine decodes with: ``cpu`` or ``nvdec``; empty before it is known."""
        return self._near.decoder

    @property
    def is_awaited(self) -> bool:
        """Whether it may soon be known what its own machine decodes."""
        return self._near.is_awaited

    @property
    def mpx_s(self) -> float:
        """What it decodes in all, Mpx/s; 0 before it is known."""
        return round(self._near.mpx_s + self.far_mpx_s, 1) if self._near.mpx_s else 0.0

    @property
    def full_hd_fps(self) -> float:
        """The same in frames a second of 1080p."""
        return round(full_hd_fps(self.mpx_s), 1)

    @property
    def far_mpx_s(self) -> float:
        """Of it, what other machines do and the network takes; 0 before it is known."""
        if self._plan is None or self._far is None:
            return 0.0
        return round(self._plan.most_mpx_s(self._far.mpx_s), 1)

    @property
    def near_limit_mpx_s(self) -> float:
        """Up to which its own machine is given streams, Mpx/s; 0 before it is known."""
        return self._near.limit_mpx_s

    @property
    def limit_mpx_s(self) -> float:
        """Up to which it is given streams in all; 0 before it is known."""
        return round(decode_limit_mpx_s(self.mpx_s), 1)

    def follow(self, crew: Crew, now: float) -> None:
        """Take what its ingest actors say; never waits. ``now`` in seconds, never going back."""
        self._near.follow(crew.ingests, now)
        if self._far is not None and crew.far is not None:
            self._far.follow(crew.far.children, now)
