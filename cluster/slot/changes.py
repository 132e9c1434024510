"""Which streams have changed their state or degrade step, so that people can be told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.analytics.stream_state import StateChange
from cluster.redaction import redacted
from cluster.registry import StreamStatus
from cluster.slot.stream_report import Doing

_MIN_INTERVAL_S = 1.0

Known = Doing | StreamStatus


class StateWatch:
    """Compares what streams do with what was told of them.

    A camera that flaps is told of once a second at most, with the state that it is in by then.
    """

    def __init__(self) -> None:
        self._told: dict[str, Known | None] = {}
        self._told_at: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def begin(self, streams: Iterable[str], last: Mapping[str, StreamStatus]) -> None:
        """Watch streams whose leases were won.

        Args:
            streams: Ids.
            last: What the registry knows of them from before: what has not changed since then,
                as after a restart of the slot, is not told again.
        """
        for stream in streams:
            self._told[stream] = last.get(stream)
            self._counts[stream] = 0

    def end(self, stream: str) -> None:
        """Watch a stream no longer."""
        for known in (self._told, self._told_at, self._counts):
            known.pop(stream, None)

    def changes(self, statuses: Mapping[str, Known], now: float) -> list[StateChange]:
        """What is to be told; it is found again until it was ``told``. ``now`` in seconds."""
        return [
            self._change(stream, status)
            for stream, status in statuses.items()
            if stream in self._counts
            and self._differs(stream, status)
            and now - self._told_at.get(stream, float("-inf")) >= _MIN_INTERVAL_S
        ]

    def told(self, stream: str, status: Known, now: float) -> None:
        """The stream's change to this status was handed on."""
        self._told[stream] = status
        self._told_at[stream] = now
        self._counts[stream] += 1

    def _differs(self, stream: str, status: Known) -> bool:
        told = self._told[stream]
        return told is None or _essence(told) != _essence(status)

    def _change(self, stream: str, status: Known) -> StateChange:
        before = self._told[stream]
        is_new_state = before is None or before.state is not status.state
        return StateChange(
            stream=stream,
            session=f"{status.token}.{self._counts[stream]}",
            at=status.since if is_new_state else status.updated_at,
            state=status.state,
            reason=status.reason,
            message=redacted(status.message),
            step=status.degrade_step,
            previous=None if before is None else before.state,
            previous_step=None if before is None else before.degrade_step,
        )


def _essence(status: Known) -> tuple[object, object]:
    return status.state, status.degrade_step
