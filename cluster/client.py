"""A client of the HTTP API, for the CLI, the demo and the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx

from cluster.errors import ClusterError, FieldFault, InvalidError, UnavailableError
from cluster.security.finding import find_token

_TIMEOUT_S = 15.0


class ApiError(ClusterError):
    """The API refused a request.

    Args:
        problem: Its RFC 9457 problem document.
    """

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem)
        self.problem = problem

    @property
    def status(self) -> int:
        """HTTP status."""
        return int(self.problem.get("status", 0))

    def __str__(self) -> str:
        lines = [str(self.problem.get("detail") or self.problem.get("title") or "refused")]
        for fault in self.problem.get("errors", ()):
            remedy = f": {fault['remedy']}" if fault.get("remedy") else ""
            given = f" (given: {fault['value']})" if fault.get("value") else ""
            lines.append(f"  {fault.get('field', '')}: {fault.get('message', '')}{given}{remedy}")
        return "\n".join(lines)


class ApiClient:
    """Speaks to one Sightline API.

    Args:
        url: Its address, ``http://127.0.0.1:8000``.
        token: Opens it; None takes that of ``find_token``, empty sends none.

    Every method raises ApiError where the API refuses, UnavailableError where it does not answer.

    Raises:
        UnavailableError: ``url`` is no address.
        ConfigError: The token that it finds cannot be used.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.token = find_token(self.url) if token is None else token
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            self._http = httpx.Client(
                base_url=self.url, headers=headers, timeout=_TIMEOUT_S, trust_env=False
            )
        except httpx.InvalidURL as error:
            raise self._away(error) from error

    def get(self, path: str, **params: str) -> Any:
        """GET; the answer's JSON."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: object) -> Any:
        """POST JSON."""
        return self._send("POST", path, **_encoded(body))

    def put(self, path: str, body: object) -> Any:
        """PUT JSON."""
        return self._send("PUT", path, **_encoded(body))

    def patch(self, path: str, body: object) -> Any:
        """PATCH with a JSON merge patch (RFC 7396)."""
        return self._send("PATCH", path, **_encoded(body))

    def delete(self, path: str) -> None:
        """DELETE."""
        self._send("DELETE", path)

    def events(self, **params: str) -> Iterator[dict[str, Any]]:
        """Server-sent events as they come, until the connection ends."""
        timeout = httpx.Timeout(_TIMEOUT_S, read=None)
        try:
            with self._http.stream("GET", "/v1/events", params=params, timeout=timeout) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                for line in answer.iter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line[5:])
        except httpx.TransportError as error:
            raise self._away(error) from error

    def close(self) -> None:
        """Close the connections; a thread that reads events gets UnavailableError."""
        self._http.close()

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, method: str, path: str, **kwargs: Any) -> Any:
        try:
            answer = self._http.request(method, path, **kwargs)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:  # another program has the port
            raise self._away(error) from error

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no Sightline API answers at {self.url} ({error}): start one with `sightline up`, or "
            "name another with --api or SIGHTLINE_API"
        )


def _encoded(body: object) -> dict[str, Any]:
    try:
        content = json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"the request cannot be written as JSON ({error})"
        remedy = "give finite numbers, and put dates in quotes"
        raise InvalidError([FieldFault("", message, remedy)]) from error
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"detail": answer.text[:200]}
    if not isinstance(problem, dict):
        problem = {"detail": str(problem)[:200]}
    return ApiError({"status": answer.status_code, "title": answer.reason_phrase, **problem})
