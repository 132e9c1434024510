"""Which streams a slot takes and which it gives up. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from actors.specs import QosClass
from cluster.registry.records import Lease, StreamRecord

_RANK = {qos: rank for rank, qos in enumerate(QosClass)}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a slot does next: ``claim`` has the most important first."""

    claim: tuple[str, ...]
    release: tuple[str, ...]


def plan_claims(
    desired: Mapping[str, StreamRecord],
    leases: Mapping[str, Lease],
    slot: str,
    max_streams: int,
    pipelines: Collection[str] | None = None,
) -> Claims:
    """Decide what a slot claims and releases.

    A slot never takes a stream from another, and keeps what it has as long as it may: only
    streams that are disabled, deleted, of a pipeline that it does not serve or above its
    capacity are given up.

    Args:
        desired: All desired streams by id.
        leases: Live leases by stream id.
        slot: Name of the slot that asks.
        max_streams: How many streams it can hold.
        pipelines: Pipelines that it serves; None for all.
    """
    wanted = {
        stream: record
        for stream, record in desired.items()
        if record.spec.enabled and (pipelines is None or record.spec.pipeline in pipelines)
    }
    held = [stream for stream, lease in leases.items() if lease.slot == slot]
    kept = _by_importance(wanted, (stream for stream in held if stream in wanted))[:max_streams]
    free = _by_importance(wanted, (stream for stream in wanted if stream not in leases))
    return Claims(
        claim=tuple(free[: max(0, max_streams - len(kept))]),
        release=tuple(sorted(set(held) - set(kept))),
    )


def _by_importance(wanted: Mapping[str, StreamRecord], streams: Iterable[str]) -> list[str]:
    return sorted(streams, key=lambda stream: (_RANK[wanted[stream].spec.qos.class_name], stream))
