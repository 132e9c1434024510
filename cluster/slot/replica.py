"""The slot as Ray Serve sees it: a replica that is healthy while its loop turns."""

from __future__ import annotations

from typing import Any

from cluster.config import SightlineConfig
from cluster.slot.leftovers import new_slot_name, remove_leftovers
from cluster.slot.worker import SlotWorker


class Slot:
    """A Serve deployment whose replicas run streams; nothing is ever routed to it.

    Args:
        config: The configuration as plain values, with ``redis.url`` filled in.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        remove_leftovers()
        self._worker = SlotWorker(new_slot_name(), SightlineConfig.model_validate(config))

    def check_health(self) -> None:
        """Tell Serve to replace this replica once its loop has ended.

        Raises:
            RuntimeError: with what ended it.
        """
        if not self._worker.alive:
            raise RuntimeError(f"slot {self._worker.name} has ended: {self._worker.failure}")

    def __del__(self) -> None:
        """Serve's graceful end: leases are given up, cameras closed."""
        worker = getattr(self, "_worker", None)
        if worker is not None and worker.alive:
            worker.stop()
