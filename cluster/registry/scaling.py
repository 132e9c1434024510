"""What the autoscaler wants, for people: written by it now and then, forgotten when it stops."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.registry.store import Store

_TTL_MS = 60_000


class ScalingInfo(BaseModel):
    """How many slots the autoscaler wants, and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    wanted: int = Field(description="Slots that it asks Serve for.")
    current: int = Field(description="Slots that were asked for before.")
    min_slots: int = Field(description="No fewer.")
    max_slots: int = Field(description="No more.")
    reason: str = Field("", description="Why so many, in words with figures.")
    num_streams: int = Field(0, description="Streams that should run.")
    num_pending: int = Field(0, description="Of these, those that fit on no slot.")
    updated_at: float = Field(0.0, description="UTC, seconds since 1970.")


class Scaling:
    """The last decision of the autoscaler."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, info: ScalingInfo) -> None:
        """Write a decision; it is forgotten after a minute."""
        words = ("SET", self._store.key("scaling"), info.model_dump_json(), "PX", _TTL_MS)
        self._store.command(*words)

    def get(self) -> ScalingInfo | None:
        """The last decision; None where no autoscaler runs."""
        text = self._store.command("GET", self._store.key("scaling"))
        try:
            return ScalingInfo.model_validate_json(text) if text else None
        except ValidationError:
            return None
