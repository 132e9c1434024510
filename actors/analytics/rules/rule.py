"""What every kind of rule keeps."""

from __future__ import annotations

from typing import Protocol

from actors.analytics.rules.scene import Occurrence, Scene
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.whereabouts import Whereabouts
from actors.rule_specs import AnyRule


class Rule(Protocol):
    """Sees the scenes of one source session in order."""

    @property
    def spec(self) -> AnyRule:
        """What the user asked for."""

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""

    def close(self, reason: str) -> list[Occurrence]:
        """End what is open, with ``reason`` in its data, and forget all objects."""

    def share(self, whereabouts: Whereabouts) -> None:
        """Note where objects are together with other rules of the stream."""

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows of the objects."""

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote of a rule with the same spec."""
