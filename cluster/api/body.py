"""Read a request's body as JSON, or say what is wrong with it in HTTP's own words."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fastapi import HTTPException, Request

MAX_BODY_BYTES = 1_000_000
_MAX_DEPTH = 32


async def json_body(request: Request) -> Any:
    """The body's value.

    Raises:
        HTTPException: 400 it is not JSON, 413 it is too large, 415 it is of another type.
    """
    _require_json(request.headers.get("content-type", ""))
    text = await _read(request)
    if not text.strip():
        raise HTTPException(400, "the body is empty: send a JSON value")
    value = _parsed(text)
    if _depth(value) > _MAX_DEPTH:
        raise HTTPException(400, f"the body is nested more than {_MAX_DEPTH} deep: send it flat")
    return value


def _require_json(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    raise HTTPException(
        415,
        f"the body is of type '{kind or 'unknown'}': send JSON, with Content-Type application/json",
    )


async def _read(request: Request) -> bytes:
    chunks: list[bytes] = []
    num_bytes = 0
    async for chunk in request.stream():
        num_bytes += len(chunk)
        if num_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes: send less")
        chunks.append(chunk)
    return b"".join(chunks)


def _parsed(text: bytes) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # finds halves of surrogate pairs
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise HTTPException(400, f"the body is not JSON ({place}): {error.msg}") from None
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON in UTF-8: correct its text") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not a JSON number", "", 0)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= _MAX_DEPTH:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
