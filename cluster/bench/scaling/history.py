"""What became of streams while slots came and went: moves, and frames that were lost."""

from __future__ import annotations

import contextlib
from collections import Counter

from cluster.bench.deployment import Deployment
from cluster.errors import ClusterError

_ON_PURPOSE = "sampled"


class History:
    """Sees what the API says, whenever it is asked to look.

    Args:
        system: To ask.
    """

    def __init__(self, system: Deployment) -> None:
        self._system = system
        self._holders: dict[str, str] = {}
        self._dropped: dict[tuple[str, str, int], dict[str, int]] = {}
        self.num_moves = 0

    @property
    def dropped(self) -> dict[str, int]:
        """Frames that did not go through the model, by reason, but for those above ``max_fps``."""
        sums: Counter[str] = Counter()
        for counts in self._dropped.values():
            sums.update(counts)
        return {reason: num for reason, num in sums.items() if reason != _ON_PURPOSE}

    def forget(self, stream: str) -> None:
        """One of the same name is another."""
        self._holders.pop(stream, None)

    def look(self) -> None:
        """Note who holds the streams, and the counts of each, which begin anew with each holder."""
        holders = self._system.holders()
        self.num_moves += sum(
            self._holders.get(stream, slot) != slot for stream, slot in holders.items()
        )
        self._holders = {s: slot for s, slot in self._holders.items() if s not in holders} | holders
        for stream in holders:
            with contextlib.suppress(ClusterError):
                stats = self._system.api.get(f"/v1/streams/{stream}/stats")
                key = stream, str(stats["slot"]), int(stats["generation"])
                self._dropped[key] = stats["dropped"]
