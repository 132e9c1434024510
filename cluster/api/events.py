"""The events as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from cluster.api import documented
from cluster.api.dependencies import EventQuery, EventQueryOf, ServicesOf
from cluster.api.problems import problem_responses
from cluster.errors import FieldFault, InvalidError, UnavailableError
from cluster.events import Event, EventReader, start_id

router = APIRouter(tags=["events"])

HEARTBEAT_S = 10.0
RETRY_S = 1.0
_HEARTBEAT = ": heartbeat\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EXAMPLE = 'id: 1750000000000-0\nevent: line_cross\ndata: {"stream": "gate", "rule": "in"}\n\n'


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    openapi_extra=documented.query(EventQuery),
    responses={
        200: {
            "description": "Events as they happen, without end.",
            "content": {"text/event-stream": {"example": _EXAMPLE}},
        },
        **problem_responses(422),
    },
)
async def follow_events(
    services: ServicesOf,
    query: EventQueryOf,
    last_event_id: Annotated[
        str | None, Header(description="Id of the last event that was seen: go on after it.")
    ] = None,
) -> StreamingResponse:
    """Events as they happen; `Last-Event-ID` or `since` begins earlier, as far as they are kept."""
    after = _asked_start(query, last_event_id) or await services.events.last_id()
    lines = _lines(services.events, after, query)
    opening = await anext(lines)
    return StreamingResponse(
        _continued(opening, lines), media_type="text/event-stream", headers=_HEADERS
    )


def _asked_start(query: EventQuery, last_event_id: str | None) -> str | None:
    name, given = ("Last-Event-ID", last_event_id) if last_event_id else ("since", query.since)
    if given is None:
        return None
    start = start_id(given)
    if start is None:
        remedy = "give an event id such as 1750000000000-0, or milliseconds since 1970"
        raise InvalidError([FieldFault(name, "is not a place in the events", remedy, given[:80])])
    return start


async def _lines(reader: EventReader, after: str, query: EventQuery) -> AsyncIterator[str]:
    """The text of the answer. Its first piece is empty, so that refusals still have a status."""
    with reader.admitted():
        yield ""
        beat_at = time.monotonic() + HEARTBEAT_S
        async for batch in _followed(reader, after):
            text = "".join(_text(event) for event in batch if _wanted(event, query))
            now = time.monotonic()
            if text or now >= beat_at:
                beat_at = now + HEARTBEAT_S
                yield text or _HEARTBEAT


async def _followed(reader: EventReader, after: str) -> AsyncIterator[list[Event]]:
    """All batches after an id. When Redis was away it goes on where it was."""
    while True:
        try:
            async for batch in reader.follow(after, HEARTBEAT_S):
                after = batch[-1].id if batch else after
                yield batch
        except UnavailableError:
            await asyncio.sleep(RETRY_S)
            yield []


async def _continued(opening: str, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield opening or "retry: 1000\n\n"
    async for text in lines:
        yield text


def _wanted(event: Event, query: EventQuery) -> bool:
    return (not query.stream or event.stream in query.stream) and (
        not query.type or event.type in query.type
    )


def _text(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(event.data)}\n\n"
