"""What routes need: the parts of the application, and the headers and query of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cluster.api.body import json_body
from cluster.api.service import PipelineService, StreamService, validated
from cluster.events import EventReader
from cluster.registry import Registry

_ETAG = re.compile(r'"(\d{1,18})"')
_NO_GENERATION = -1


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that routes work with."""

    registry: Registry
    streams: StreamService
    pipelines: PipelineService
    events: EventReader


class StreamQuery(BaseModel):
    """Which streams to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = Field(None, ge=1, description="At most so many.")
    after: str | None = Field(None, max_length=64, description="Begin after this id.")


class EventQuery(BaseModel):
    """Which events to follow."""

    model_config = ConfigDict(extra="forbid")

    stream: list[str] = Field([], description="Only of these streams.")
    type: list[str] = Field([], description="Only of these types.")
    since: str | None = Field(
        None, description="An event id to go on after, or UTC in ms since 1970 to begin at."
    )


def services(request: Request) -> Services:
    """The parts of the application that serves the request."""
    return cast(Services, request.app.state.services)


def stream_query(request: Request) -> StreamQuery:
    """The query of a list of streams."""
    return validated(StreamQuery, dict(request.query_params))


def event_query(request: Request) -> EventQuery:
    """The query of the events; ``stream`` and ``type`` may be given several times."""
    values: dict[str, Any] = dict(request.query_params)
    values |= {
        name: request.query_params.getlist(name) for name in ("stream", "type") if name in values
    }
    return validated(EventQuery, values)


def if_match(
    header: Annotated[
        str | None,
        Header(alias="If-Match", description="ETag that must still hold, or `*` for any."),
    ] = None,
) -> frozenset[int] | None:
    """The generations that the client accepts; empty for any that exists, None for no demand."""
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset()
    return frozenset(map(int, _ETAG.findall(header))) or frozenset({_NO_GENERATION})


def set_etag(response: Response, generation: int) -> None:
    """Give the version of what is answered with."""
    response.headers["ETag"] = f'"{generation}"'


ServicesOf = Annotated[Services, Depends(services)]
JsonBody = Annotated[Any, Depends(json_body)]
IfMatch = Annotated["frozenset[int] | None", Depends(if_match)]
StreamQueryOf = Annotated[StreamQuery, Depends(stream_query)]
EventQueryOf = Annotated[EventQuery, Depends(event_query)]
