"""Which streams a slot takes and which it gives up. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from actors.specs import QosClass
from cluster.registry.admission import (
    NOTHING,
    Axes,
    fitting,
    is_overcommitted,
    need_of,
    room,
    total,
)
from cluster.registry.records import Lease, StreamRecord

_RANK = {qos: rank for rank, qos in enumerate(QosClass)}
_UNKNOWN: Mapping[str, float] = {}


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
    capacity: Axes = NOTHING,
    decode_mpx_s: Mapping[str, float] = _UNKNOWN,
) -> Claims:
    """Decide what a slot claims and releases.

    A slot never takes a stream from another, and keeps what it has as long as it may: only
    streams that are disabled, deleted, of a pipeline that it does not serve or above its
    capacity are given up. A stream is claimed if its floor and its decoding fit beside those that
    are held, by class and then by id; one that does not fit makes none of the others wait. What is
    held is given up only where floors are clearly above the capacity (``is_overcommitted``).

    Args:
        desired: All desired streams by id.
        leases: Live leases by stream id.
        slot: Name of the slot that asks.
        max_streams: How many streams it can hold.
        pipelines: Pipelines that it serves; None for all.
        capacity: What its engine infers and what its decoder takes; 0 on an axis while that is
            unknown: nothing is refused for it.
        decode_mpx_s: What decoding takes by stream; those left out are not known yet.
    """
    wanted = {
        stream: record
        for stream, record in desired.items()
        if record.spec.enabled and (pipelines is None or record.spec.pipeline in pipelines)
    }
    held = [stream for stream, lease in leases.items() if lease.slot == slot]
    needs = {stream: need_of(record, decode_mpx_s.get(stream)) for stream, record in wanted.items()}
    kept = _kept(_by_importance(wanted, set(held).intersection(wanted)), needs, capacity)
    kept = kept[:max_streams]
    left = room(capacity, total(needs[stream] for stream in kept))
    free = _by_importance(wanted, (stream for stream in wanted if stream not in leases))
    return Claims(
        claim=tuple(fitting(needs, free, left)[: max(0, max_streams - len(kept))]),
        release=tuple(sorted(set(held) - set(kept))),
    )


def _kept(held: list[str], needs: Mapping[str, Axes], capacity: Axes) -> list[str]:
    """What may stay; once streams must go, so many go that others need not follow at once."""
    if not is_overcommitted(capacity, total(needs[stream] for stream in held)):
        return held
    return fitting(needs, held, room(Axes(capacity.infer_fps), NOTHING))


def _by_importance(wanted: Mapping[str, StreamRecord], streams: Iterable[str]) -> list[str]:
    return sorted(streams, key=lambda stream: (_RANK[wanted[stream].spec.qos.class_name], stream))
