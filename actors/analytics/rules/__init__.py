"""Rules: small state machines over the tracked objects of a stream, one file a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from actors.analytics.rules.geometry import Border
from actors.analytics.rules.line import LineCrossing
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.zone import ZonePresence
from actors.specs import RuleSpec

__all__ = ["RULES", "Border", "Moment", "Occurrence", "Rule", "Scene", "Sighting", "make_rule"]


class Rule(Protocol):
    """What every kind of rule keeps: it sees the scenes of one source session in order."""

    @property
    def spec(self) -> RuleSpec:
        """What the user asked for."""

    def border(self, size: tuple[int, int]) -> Border:
        """What it measures distances from, for a size of the picture; the same object each time."""

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""

    def close(self, reason: str) -> list[Occurrence]:
        """End what is open, with ``reason`` in its data, and forget all objects."""


RULES: dict[str, Callable[[Any], Rule]] = {"line": LineCrossing, "zone": ZonePresence}


def make_rule(spec: RuleSpec) -> Rule:
    """A fresh rule of the kind that the spec names."""
    return RULES[spec.kind](spec)
