"""What the sinks of a slot's analytics actors have done, each sink over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.analytics.status import AnalyticsStatus
from actors.sinks import SinkStatus
from cluster.redaction import redacted
from cluster.registry import SinkLoad


def sink_loads(shards: Iterable[AnalyticsStatus]) -> tuple[SinkLoad, ...]:
    """One for each sink of the configuration, in its order; all shards have the same."""
    return tuple(
        _together(number, of)
        for number, of in enumerate(zip(*(shard.sinks for shard in shards), strict=True))
    )


def _together(number: int, of: Sequence[SinkStatus]) -> SinkLoad:
    return SinkLoad(
        name=f"{of[0].kind}-{number}",
        is_connected=all(each.is_connected for each in of),
        num_written=sum(each.num_written for each in of),
        num_spooled=sum(each.num_spooled for each in of),
        num_dropped=sum(each.num_dropped for each in of),
        num_fenced=sum(each.num_fenced for each in of),
        num_waiting=sum(each.num_waiting for each in of),
        error=redacted(next((each.error for each in of if each.error), "")),
    )
