"""Roles, and which of them a request needs. Pure."""

from __future__ import annotations

from enum import Enum

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OPERATED = ("/v1/streams", "/v1/pipelines")


class Role(str, Enum):
    """What the bearer of a token may do; each role may do all that those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Whether who has this role may do what needs another."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


def required_role(method: str, path: str) -> Role:
    """The least role that may send a request; what is not known here is for admins.

    Args:
        method: Of HTTP, in capitals.
        path: The route's, beginning with a slash.
    """
    if method in _READING:
        return Role.VIEWER
    if any(path == prefix or path.startswith(f"{prefix}/") for prefix in _OPERATED):
        return Role.OPERATOR
    return Role.ADMIN
