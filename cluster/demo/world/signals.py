"""The signals' fixed cycle: who may go at a time, and when a group is next let go."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.demo.world.layout import SignalPhase

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SignalPlan:
    """Phases in turn, begun ``offset_s`` before time 0; without phases nobody is held."""

    phases: tuple[SignalPhase, ...]
    offset_s: float

    @property
    def cycle_s(self) -> float:
        """Length of the cycle."""
        return sum(phase.green_s + phase.clear_s for phase in self.phases)

    def going(self, now_s: float) -> frozenset[str]:
        """Return the groups that have green."""
        if not self.phases:
            return _NOBODY
        at = (now_s + self.offset_s) % self.cycle_s
        for phase in self.phases:
            if at < phase.green_s:
                return frozenset(phase.groups)
            at -= phase.green_s + phase.clear_s
            if at < 0:
                break
        return _NOBODY

    def shifted(self, group: str, green_at_s: float) -> SignalPlan:
        """Return the plan whose green of a group begins at a time; itself for no group."""
        before_s = 0.0
        for phase in self.phases if group else ():
            if group in phase.groups:
                return SignalPlan(self.phases, (before_s - green_at_s) % self.cycle_s)
            before_s += phase.green_s + phase.clear_s
        return self

    def next_green_s(self, group: str, wanted_s: float, settled_s: float) -> float:
        """Return the first time from ``wanted_s`` on at which a group has long had green.

        Args:
            group: The group; an empty one is never held.
            wanted_s: Earliest time.
            settled_s: How long the green must have lasted, so that a queue is gone.
        """
        at = wanted_s
        while group and not (group in self.going(at) and group in self.going(at - settled_s)):
            at += 0.25
            if at > wanted_s + 2 * self.cycle_s:
                raise ValueError(f"signal group {group!r} is never green for {settled_s} s")
        return at
