"""Routes of the stream jobs."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Response

from actors.specs import StreamSpec
from cluster.api import documented
from cluster.api.dependencies import (
    IfMatch,
    JsonBody,
    ServicesOf,
    StreamQuery,
    StreamQueryOf,
    set_etag,
)
from cluster.api.problems import problem_responses
from cluster.api.views import StatsView, StreamList, StreamView, stats_view, stream_view
from cluster.registry import Registry, StreamRecord

router = APIRouter(prefix="/v1/streams", tags=["streams"])

_RULE = {"kind": "line", "name": "entrance", "points": [[0.0, 0.5], [1.0, 0.5]]}
_JOB = {
    "id": "gate",
    "url": "rtsp://camera.example:554/main",
    "qos": {"class": "high"},
    "max_fps": 5,
    "rules": [_RULE],
}
_BODY_FAULTS = (400, 409, 412, 413, 415, 422)


@router.post(
    "",
    status_code=201,
    responses=problem_responses(400, 409, 413, 415, 422),
    openapi_extra=documented.body(documented.reference(StreamSpec), _JOB),
)
def create_stream(body: JsonBody, services: ServicesOf, response: Response) -> StreamView:
    """Submit a stream job. A slot claims it as soon as one has room."""
    record = services.streams.create(body)
    response.headers["Location"] = _location(record)
    return _answer(services.registry, record, response)


@router.get("", responses=problem_responses(422), openapi_extra=documented.query(StreamQuery))
def list_streams(services: ServicesOf, query: StreamQueryOf) -> StreamList:
    """All stream jobs and what they are doing, in order of their ids."""
    records = services.registry.streams.all()
    following = [name for name in records if query.after is None or name > query.after]
    page = following[: query.limit]
    known = services.registry.snapshot_of({name: records[name] for name in page})
    views = [stream_view(records[name], known.state(name)) for name in page]
    more = len(following) > len(page)
    return StreamList(streams=views, total=len(records), next=page[-1] if more else None)


@router.get("/{stream}", responses=problem_responses(404))
def get_stream(stream: str, services: ServicesOf, response: Response) -> StreamView:
    """One stream job and what it is doing."""
    return _answer(services.registry, services.registry.streams.get(stream), response)


@router.put(
    "/{stream}",
    responses=problem_responses(*_BODY_FAULTS),
    openapi_extra=documented.body(documented.reference(StreamSpec), _JOB),
)
def replace_stream(
    stream: str, body: JsonBody, services: ServicesOf, if_match: IfMatch, response: Response
) -> StreamView:
    """Put a whole job in place of the one that is there, or add it (201)."""
    record, added = services.streams.replace(stream, body, if_match)
    if added:
        response.status_code = 201
        response.headers["Location"] = _location(record)
    return _answer(services.registry, record, response)


@router.patch(
    "/{stream}",
    responses=problem_responses(404, *_BODY_FAULTS),
    openapi_extra=documented.body(
        {"type": "object"}, {"qos": {"class": "low"}}, "application/merge-patch+json"
    ),
)
def change_stream(
    stream: str, body: JsonBody, services: ServicesOf, if_match: IfMatch, response: Response
) -> StreamView:
    """Change parts of a job: a JSON merge patch (RFC 7396), where null takes a value out."""
    record = services.streams.patch(stream, body, if_match)
    return _answer(services.registry, record, response)


@router.delete("/{stream}", status_code=204, responses=problem_responses(404, 412))
def delete_stream(stream: str, services: ServicesOf, if_match: IfMatch) -> None:
    """Remove a stream job; its slot closes the camera."""
    services.streams.delete(stream, if_match)


@router.put(
    "/{stream}/rules",
    responses=problem_responses(404, *_BODY_FAULTS),
    openapi_extra=documented.body(documented.RULES, [_RULE]),
)
def replace_rules(
    stream: str, body: JsonBody, services: ServicesOf, if_match: IfMatch, response: Response
) -> StreamView:
    """Put a list of rules in place of the stream's rules."""
    rules = [] if body is None else body
    record = services.streams.patch(stream, {"rules": rules}, if_match)
    return _answer(services.registry, record, response)


@router.get("/{stream}/stats", responses=problem_responses(404))
def get_stats(stream: str, services: ServicesOf) -> StatsView:
    """Where the frames of a stream went, how fast, and its last event."""
    record = services.registry.streams.get(stream)
    known = services.registry.snapshot_of({stream: record})
    lease, status = known.leases.get(stream), known.statuses.get(stream)
    return stats_view(record, lease, known.state(stream), status)


def _answer(registry: Registry, record: StreamRecord, response: Response) -> StreamView:
    name = record.spec.id
    set_etag(response, record.generation)
    return stream_view(record, registry.snapshot_of({name: record}).state(name))


def _location(record: StreamRecord) -> str:
    return f"{router.prefix}/{quote(record.spec.id)}"
