"""What a stream is doing, and why, from all that the registry knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from pydantic import BaseModel, Field

from actors.messages import DegradeStep
from cluster.placement import need_of
from cluster.redaction import redacted
from cluster.registry.pending import why_pending
from cluster.registry.records import Lease, SlotInfo, StreamRecord, StreamStatus


class ShownState(str, Enum):
    """What a stream is doing, as the API shows it."""

    DISABLED = "disabled"
    PENDING = "pending"
    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


class StateView(BaseModel):
    """What a stream is doing, and why."""

    state: ShownState
    reason: str = Field("", description="Short word: `no_slot`, `capacity`, `timeout`, `refused`.")
    message: str = Field("", description="For people, with the remedy where there is one.")
    since: float | None = Field(None, description="UTC, seconds since 1970.")
    slot: str | None = Field(None, description="Slot that holds the stream.")
    degrade_step: DegradeStep = Field(
        DegradeStep.NONE, description="What long overload takes from it."
    )
    deadline_hits: float | None = Field(
        None,
        description="Share on time, of the frames that were inferred or given up for their "
        "deadline; null before the first.",
    )


def state_of(
    record: StreamRecord,
    lease: Lease | None,
    status: StreamStatus | None,
    slots: Mapping[str, SlotInfo],
    assumed_mpx_s: float,
) -> StateView:
    """What a stream is doing: what its slot says, or why it has none.

    Args:
        record: The stream.
        lease: Its lease; None where nobody has it.
        status: What its slot said last; None where nobody has said anything.
        slots: All that are alive.
        assumed_mpx_s: What decoding is taken for while a stream's source is not known.
    """
    if not record.spec.enabled:
        return StateView(
            state=ShownState.DISABLED,
            reason="disabled",
            message="the stream is switched off: set enabled to true",
            slot=lease.slot if lease else None,  # until its last frames have ended
        )
    if lease is None:
        return _pending(record, status, slots.values(), assumed_mpx_s)
    if status is None or status.token != lease.token:
        message = f"slot {lease.slot} has just claimed the stream"
        return StateView(
            state=ShownState.CONNECTING, reason="claimed", message=message, slot=lease.slot
        )
    return StateView(
        state=ShownState(status.state.value),
        reason=status.reason,
        message=redacted(status.message),
        since=status.since,
        slot=status.slot,
        degrade_step=status.degrade_step,
        deadline_hits=status.ledger.deadline_hits,
    )


def _pending(
    record: StreamRecord,
    status: StreamStatus | None,
    slots: Iterable[SlotInfo],
    assumed_mpx_s: float,
) -> StateView:
    is_known = status is not None and status.generation == record.generation
    known_mpx_s = status.decode_mpx_s if status is not None and is_known else None
    need = need_of(record.spec, known_mpx_s, assumed_mpx_s)
    reason, message = why_pending(record.spec, need, list(slots))
    return StateView(
        state=ShownState.PENDING, reason=reason, message=message, since=record.updated_at
    )
