"""Every error as a problem document (RFC 9457) that names the fields and the remedies."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cluster.errors import (
    AuthenticationError,
    CapacityError,
    ClusterError,
    ConflictError,
    FieldFault,
    InUseError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    StaleError,
    UnavailableError,
)
from cluster.redaction import redacted, redacted_url, shown_value

_LOG = logging.getLogger(__name__)
_MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 2
_STATUS: dict[type[ClusterError], int] = {
    InvalidError: 422,
    AuthenticationError: 401,
    PermissionDeniedError: 403,
    NotFoundError: 404,
    StaleError: 412,
    ConflictError: 409,
    UnavailableError: 503,
}
_KINDS = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthenticated", "A token is needed"),
    403: ("forbidden", "The token does not allow it"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    409: ("conflict", "Conflict"),
    412: ("stale", "Changed since it was read"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
    422: ("invalid", "Values are not acceptable"),
    500: ("internal", "Internal error"),
    503: ("unavailable", "Unavailable"),
}
_WITH_FAULTS = (CapacityError, InUseError, AuthenticationError, PermissionDeniedError)
_DETAIL = {
    404: "there is nothing at {path}: see /docs for what there is",
    405: "{method} is not possible at {path}: see /docs for what is",
}


class Fault(BaseModel):
    """One value that cannot be accepted."""

    field: str = Field(description="Dotted path: `rules.0.points`.", examples=["qos.weight"])
    message: str = Field(description="What is wrong.", examples=["is too small"])
    remedy: str = Field(description="What to write instead.", examples=["give more than 0"])
    value: str | None = Field(None, description="The given value, unless it may be secret.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Kind of problem.", examples=["urn:sightline:problem:invalid"])
    title: str = Field(description="The kind in words.", examples=["Values are not acceptable"])
    status: int = Field(description="HTTP status.", examples=[422])
    detail: str = Field(description="What happened and what to do.")
    instance: str = Field(description="Path of the request.", examples=["/v1/streams"])
    errors: list[Fault] = Field([], description="Each value at fault.")


def problem_response(
    request: Request,
    status: int,
    detail: str,
    faults: Sequence[FieldFault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as an answer; credentials in any text are taken out."""
    kind, title = _KINDS.get(status, ("refused", "Refused"))
    problem = Problem(
        type=f"urn:sightline:problem:{kind}",
        title=title,
        status=status,
        detail=redacted(detail),
        instance=_path(request),
        errors=[_fault(fault) for fault in faults],
    )
    document = problem.model_dump(exclude_none=True)
    return Response(json.dumps(document), status, headers, media_type=_MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    app.add_exception_handler(ClusterError, _cluster_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected_error)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these statuses; 503 is always possible."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _KINDS[status][1],
            "content": {_MEDIA_TYPE: {"schema": schema}},
        }
        for status in (*statuses, 503)
    }


def _path(request: Request) -> str:
    """The request's path without credentials, which hide in percent-encoding, too."""
    return quote(redacted_url(unquote(request.url.path)), safe="/:?=&*@")


def _fault(fault: FieldFault) -> Fault:
    return Fault(
        field=redacted(fault.field),
        message=redacted(fault.message),
        remedy=redacted(fault.remedy),
        value=shown_value(fault.value),
    )


def _cluster_error(request: Request, error: Exception) -> Response:
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error, InvalidError):
        names = ", ".join(fault.field or "the body" for fault in error.faults)
        return problem_response(request, status, f"not acceptable: {names}", error.faults)
    faults = error.faults if isinstance(error, _WITH_FAULTS) else ()
    return problem_response(request, status, str(error), faults, _headers(error))


def _headers(error: Exception) -> dict[str, str] | None:
    """What HTTP wants besides: when to try again, or how to ask for the token (RFC 6750)."""
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(_RETRY_AFTER_S)}
    if isinstance(error, AuthenticationError):
        why = "" if error.is_missing else ' error="invalid_token"'
        return {"WWW-Authenticate": f"Bearer{why}"}
    if isinstance(error, PermissionDeniedError):
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.needed}"'}
    return None


def _http_error(request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)  # handlers are registered by class
    status, detail = refusal.status_code, str(refusal.detail)
    if detail == HTTPStatus(status).phrase:  # the framework's own words
        template = _DETAIL.get(status, detail)
        detail = template.format(path=_path(request), method=request.method)
    return problem_response(request, status, detail, headers=refusal.headers)


def _unexpected_error(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed: %s", request.method, _path(request), type(error).__name__)
    return problem_response(
        request, 500, "a fault of ours: nothing that you sent is at fault; the log says more"
    )
