"""Let a request in, or say which token it needs (RFC 6750)."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from cluster.config import ApiConfig
from cluster.errors import AuthenticationError, FieldFault, PermissionDeniedError
from cluster.security.provisioning import keyring_of
from cluster.security.roles import Role, required_role

_OPEN = frozenset({"/", "/healthz", "/readyz"})
_REMEDY = (
    "send 'Authorization: Bearer TOKEN'; `sightline token show` prints a token of the machine that "
    "Sightline was started on, and the `sightline` command takes one from SIGHTLINE_TOKEN"
)


class Guard:
    """Knows the tokens, and what can be asked for without one.

    Args:
        api: With all tokens in ``auth.tokens``.

    Raises:
        ConfigError: Tokens are asked for, and there are none.
    """

    def __init__(self, api: ApiConfig) -> None:
        self._keyring = keyring_of(api)
        self._open = _OPEN | ({"/metrics"} if api.auth.open_metrics else set())

    def is_open(self, path: str) -> bool:
        """Whether a route can be asked without a token."""
        return self._keyring is None or path in self._open

    def admit(self, method: str, path: str, authorization: str | None) -> None:
        """Let a request pass.

        Args:
            method: Of HTTP.
            path: The route's.
            authorization: The header, if it was sent.

        Raises:
            AuthenticationError: It has no token, or one that is not known.
            PermissionDeniedError: Its token's role may not do this.
        """
        if self._keyring is None or self.is_open(path):
            return
        token = self._keyring.find(_bearer(authorization))
        if token is None:
            raise AuthenticationError(
                FieldFault("Authorization", "has no token that is known here", _REMEDY),
                is_missing=False,
            )
        needed = required_role(method, path)
        if not token.role.includes(needed):
            raise PermissionDeniedError(_refused(token.role, needed), needed.value)


async def authorise(connection: HTTPConnection) -> None:
    """What every route of the API depends on, also those that are added later."""
    guard: Guard = connection.app.state.guard
    method = connection.scope.get("method", "GET")  # a WebSocket has none: it is opened by GET
    path = connection.scope["route"].path
    guard.admit(method, path, connection.headers.get("authorization"))


def install_guard(app: FastAPI, api: ApiConfig) -> Guard:
    """Set the guard that ``authorise`` asks."""
    guard = Guard(api)
    app.state.guard = guard
    return guard


def _bearer(authorization: str | None) -> str:
    scheme, _, text = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        fault = FieldFault("Authorization", "brings no bearer token", _REMEDY)
        raise AuthenticationError(fault, is_missing=True)
    return text.strip()


def _refused(role: Role, needed: Role) -> FieldFault:
    can = [r.value for r in Role if r.includes(needed)]
    return FieldFault(
        "Authorization",
        f"the token's role is {role.value}, and this needs {needed.value}",
        f"send a token of the role {' or '.join(can)}",
    )
