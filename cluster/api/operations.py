"""Routes for those who run the system: health, readiness, metrics, slots, and the front page."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client.exposition import choose_encoder

from cluster.api.dependencies import ServicesOf
from cluster.api.problems import problem_response, problem_responses
from cluster.api.views import SlotList
from cluster.errors import FieldFault, UnavailableError
from cluster.metrics import collector_registry
from cluster.registry import Registry, SlotState

router = APIRouter(tags=["operations"])

_LINKS = {
    "/docs": "try the API",
    "/openapi.json": "the API in OpenAPI",
    "/v1/streams": "stream jobs",
    "/v1/slots": "slots",
    "/v1/pipelines": "pipelines",
    "/v1/events": "events as they happen",
    "/metrics": "metrics for Prometheus",
    "/readyz": "whether streams can run",
}


@router.get("/", include_in_schema=False)
def index(accept: Annotated[str, Header()] = "") -> Response:
    """Where to go from here."""
    if "text/html" not in accept:
        return JSONResponse({"name": "Sightline", "links": _LINKS})
    items = "".join(
        f'<li><a href="{path}">{path}</a> {escape(about)}</li>' for path, about in _LINKS.items()
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sightline</title>'
        f"<h1>Sightline</h1><ul>{items}</ul></html>"
    )


@router.get("/healthz")
def is_alive() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None, responses=problem_responses())
def is_ready(request: Request, services: ServicesOf) -> dict[str, str] | Response:
    """Redis answers and at least one slot is ready."""
    fault = _readiness_fault(services.registry)
    if fault is None:
        return {"status": "ready"}
    return problem_response(request, 503, f"not ready: {fault}", [fault])


@router.get("/v1/slots", responses=problem_responses())
def list_slots(services: ServicesOf) -> SlotList:
    """The slots that are alive, what they hold, and how many are wanted."""
    registry = services.registry
    return SlotList(slots=list(registry.slots.all().values()), autoscaling=registry.scaling.get())


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Metrics.", "content": {"text/plain": {}}}},
)
def metrics(services: ServicesOf, accept: Annotated[str, Header()] = "") -> Response:
    """Metrics for Prometheus."""
    encode, content_type = choose_encoder(accept)
    text = encode(collector_registry(services.registry))
    return Response(text, headers={"Content-Type": content_type})


def _readiness_fault(registry: Registry) -> FieldFault | None:
    try:
        slots = registry.slots.all().values()
    except UnavailableError as error:
        return FieldFault("redis", str(error), "start Redis, or correct redis.url")
    if any(slot.state is SlotState.READY for slot in slots):
        return None
    waiting = "; ".join(f"{s.name} is {s.state.value}: {s.message}".rstrip(": ") for s in slots)
    message = waiting or "no slot is alive"
    return FieldFault("slots", message, "wait for a slot to load its model, or start one")
