"""Which streams a slot takes and which it gives up. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from actors.specs import QosClass
from cluster.registry.admission import fitting, floors_of, is_overcommitted, room_fps
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
    capacity_fps: float = 0.0,
) -> Claims:
    """Decide what a slot claims and releases.

    A slot never takes a stream from another, and keeps what it has as long as it may: only
    streams that are disabled, deleted, of a pipeline that it does not serve or above its
    capacity are given up. A stream is claimed if its floor fits beside those that are held, by
    class and then by id; one that does not fit makes none of the others wait. What is held is
    given up only where the floors are clearly above the capacity (``is_overcommitted``).

    Args:
        desired: All desired streams by id.
        leases: Live leases by stream id.
        slot: Name of the slot that asks.
        max_streams: How many streams it can hold.
        pipelines: Pipelines that it serves; None for all.
        capacity_fps: Frames a second that it infers; 0 while that is unknown: no floor is refused.
    """
    wanted = {
        stream: record
        for stream, record in desired.items()
        if record.spec.enabled and (pipelines is None or record.spec.pipeline in pipelines)
    }
    held = [stream for stream, lease in leases.items() if lease.slot == slot]
    kept = _kept(wanted, held, capacity_fps)[:max_streams]
    room = room_fps(capacity_fps, floors_of(wanted[stream] for stream in kept))
    free = _by_importance(wanted, (stream for stream in wanted if stream not in leases))
    return Claims(
        claim=tuple(fitting(wanted, free, room)[: max(0, max_streams - len(kept))]),
        release=tuple(sorted(set(held) - set(kept))),
    )


def _kept(
    wanted: Mapping[str, StreamRecord], held: Iterable[str], capacity_fps: float
) -> list[str]:
    """What may stay; once streams must go, so many go that others need not follow at once."""
    kept = _by_importance(wanted, (stream for stream in held if stream in wanted))
    if not is_overcommitted(capacity_fps, floors_of(wanted[stream] for stream in kept)):
        return kept
    return fitting(wanted, kept, room_fps(capacity_fps, 0.0))


def _by_importance(wanted: Mapping[str, StreamRecord], streams: Iterable[str]) -> list[str]:
    return sorted(streams, key=lambda stream: (_RANK[wanted[stream].spec.qos.class_name], stream))
