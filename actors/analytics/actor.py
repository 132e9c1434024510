"""The analytics actor: a shard in a process of its own.

A plain class; its owner makes it an actor, with ``max_concurrency`` of at least 2, so that status
and control calls are not queued behind frames.
"""

from __future__ import annotations

from actors.analytics.status import AnalyticsStatus
from actors.analytics.stream_state import StateChange
from actors.channel import ChannelAddress, ChannelServer
from actors.crop_messages import SecondaryModel
from actors.garbage import collect_seldom
from actors.ledger import Ledger
from actors.messages import Assignment
from actors.sinks.specs import SinkSpec


class AnalyticsActor:
    """Tracks, applies rules and writes events for the streams that it is given.

    Args:
        ledger_path: The slot's ledger.
        sinks: Where events go.
        slot_name: Name of the slot, for events.
        labels: Class names of the model, in class order.

    Raises:
        SinkError: if a sink cannot be opened.
    """

    def __init__(
        self,
        ledger_path: str,
        sinks: tuple[SinkSpec, ...],
        slot_name: str,
        labels: tuple[str, ...] = (),
    ) -> None:
        # Imported here, so that the slot, which only starts the actor, needs no solver, and a spare
        # has it before it takes a dead one's place.
        from actors.analytics.shard import AnalyticsShard
        from actors.analytics.tracking.association import best_assignment
        from actors.sinks.opening import open_frame_sinks, open_sink

        best_assignment()
        ledger = Ledger.attach(ledger_path)
        opened, frame_sinks = [open_sink(spec) for spec in sinks], open_frame_sinks(sinks)
        self._shard = AnalyticsShard(ledger, opened, slot_name, labels, frame_sinks=frame_sinks)
        self._channel = ChannelServer(self._shard.process, "analytics")
        collect_seldom()

    def start(self) -> str:
        """Answers once the actor is up, with its incarnation."""
        return self._shard.incarnation

    def open_stream(self, assignment: Assignment, state: bytes | None = None) -> None:
        """Take a stream, with what ``export_stream`` of another slot gave, or a newer spec."""
        self._shard.open_stream(assignment, state)

    def close_stream(self, stream: str) -> None:
        """Give a stream up."""
        self._shard.close_stream(stream)

    def export_stream(self, stream: str) -> bytes:
        """Give a stream up to another slot: without its ends, for ``open_stream`` there."""
        return self._shard.export(stream)

    def end_exported(self, assignment: Assignment, state: bytes) -> None:
        """End a stream that was exported and that nobody goes on with."""
        self._shard.end_exported(assignment, state)

    def set_labels(
        self, labels: tuple[str, ...], secondaries: tuple[SecondaryModel, ...] = ()
    ) -> None:
        """Take the class names and the secondary models of another pipeline."""
        self._shard.set_labels(labels, secondaries)

    def channel(self) -> ChannelAddress:
        """Where the engine calls ``AnalyticsShard.process``, with one call in flight."""
        return self._channel.address

    def report_states(self, changes: tuple[StateChange, ...]) -> None:
        """Write an event of each change of a stream's state or degrade step."""
        self._shard.report_states(changes)

    def status(self) -> AnalyticsStatus:
        """The last frame and event of each stream, and counts."""
        return self._shard.status()

    def stop(self) -> None:
        """Give up all streams, deliver what the sinks can take, close them."""
        self._channel.close()
        self._shard.close()
