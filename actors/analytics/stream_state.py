"""``stream_state`` events: a stream does something else than before, or is degraded otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.analytics.events import Event, EventType, Phase, event_id
from actors.messages import DegradeStep, StreamState

if TYPE_CHECKING:  # the slot, which only hands changes on, needs no rules
    from actors.analytics.life_cycle import EventContext


@dataclass(frozen=True, slots=True)
class StateChange:
    """One change of one stream, as its slot sees it.

    Attributes:
        stream: Id.
        session: Names the change; must not come again for the stream.
        at: UTC, seconds since 1970.
        state: What the stream does now.
        reason: One word for why, or empty.
        message: The same for people, without credentials, or empty.
        step: How its rate is degraded now.
        previous: What it did before; None for a stream that is new.
        previous_step: How its rate was degraded before; None for a stream that is new.
    """

    stream: str
    session: str
    at: float
    state: StreamState
    reason: str
    message: str
    step: DegradeStep
    previous: StreamState | None
    previous_step: DegradeStep | None


def state_event(change: StateChange, context: EventContext, pts_s: float = 0.0) -> Event:
    """The event of a change; ``pts_s`` is that of the stream's last frame, 0 before the first."""
    what = f"{change.session}/{change.state.value}/{change.step.value}"
    return Event(
        id=event_id(change.stream, what, "", None, Phase.INSTANT, 1),
        type=EventType.STREAM_STATE,
        phase=Phase.INSTANT,
        stream=change.stream,
        ts=round(change.at * 1000),
        pts=round(pts_s, 6),
        model=context.model,
        slot=context.slot,
        labels=context.labels,
        data={
            "state": change.state.value,
            "reason": change.reason,
            "message": change.message,
            "degrade_step": change.step.value,
            "previous": change.previous and change.previous.value,
            "previous_step": change.previous_step and change.previous_step.value,
        },
        token=context.token,
    )
