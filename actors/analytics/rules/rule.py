"""What every kind of rule keeps."""

from __future__ import annotations

from typing import Any, Protocol

from actors.analytics.rules.scene import Occurrence, Scene
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

    def state(self) -> Any:
        """All that it knows of the objects, as a tree (see ``state.py``) of this version."""

    def restore(self, state: Any) -> None:
        """Go on from what ``state`` gave of a rule with the same spec."""
