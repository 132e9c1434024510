"""What a slot tells the others of its load."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from cluster.placement import Axes, Need, SlotLoad, slot_load


class OwnLoad:
    """Adds up a slot's load; while nothing has changed it is what it was.

    Args:
        name: The slot's.
        max_streams: How many streams it may hold.
        labels: By which streams choose it.
    """

    def __init__(self, name: str, max_streams: int, labels: Mapping[str, str]) -> None:
        self._name = name
        self._max_streams = max_streams
        self._labels = labels
        self._node = socket.gethostname()
        self._made_of: tuple[object, ...] = ()
        self._made: SlotLoad | None = None

    def of(
        self,
        needs: Sequence[Need],
        capacity: Axes,
        *,
        is_ready: bool = True,
        is_draining: bool = False,
    ) -> SlotLoad:
        """The load with these streams.

        Args:
            needs: Of the streams that stay.
            capacity: What the slot has on each axis; 0 while that is unknown.
            is_ready: Whether it takes streams.
            is_draining: Whether it hands all of them to others.
        """
        made_of = tuple(needs), capacity, is_ready, is_draining
        if self._made is None or self._made_of != made_of:
            self._made_of = made_of
            self._made = slot_load(
                self._name,
                needs,
                max_streams=self._max_streams,
                capacity=capacity,
                node=self._node,
                labels=self._labels,
                is_ready=is_ready,
                is_draining=is_draining,
            )
        return self._made
