"""Everything that cluster raises.

ClusterError
├── ConfigError        a configuration file cannot be used; lists every fault with its line
├── InvalidError       a request's values are not acceptable; lists every fault with its field
├── AuthenticationError   a request brings no token that is known
├── PermissionDeniedError  its token's role may not do what it asks
├── NotFoundError      what was asked for does not exist
├── ConflictError      it exists already, or a limit is reached
│   ├── CapacityError  more is asked for than the slots can do; names the field
│   ├── InUseError     streams need what would go away; names each
│   └── StaleError     it was changed by somebody else since it was read
└── UnavailableError   Redis, or what else is needed, does not answer
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One value that cannot be accepted.

    Attributes:
        field: Dotted path, list items by number: ``rules.0.points``; empty for the whole.
        message: What is wrong, in words for people.
        remedy: What to write instead.
        value: The given value as text, without credentials; None where it must not be shown.
        line: Line in the file, from 1; None outside files.
        column: Column in the file, from 1; None outside files.
    """

    field: str
    message: str
    remedy: str = ""
    value: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        given = f" (given: {self.value})" if self.value is not None else ""
        remedy = f": {self.remedy}" if self.remedy else ""
        subject = f"{self.field}: " if self.field else ""
        return f"{subject}{self.message}{given}{remedy}"


class ClusterError(Exception):
    """Root of all errors raised by cluster."""


class ConfigError(ClusterError):
    """A configuration file cannot be used.

    Args:
        file: The file as the user named it.
        faults: Everything that is wrong with it.
    """

    def __init__(self, file: str, faults: Iterable[FieldFault]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__(file, self.faults)

    def __str__(self) -> str:
        return "\n".join(f"{self._place(fault)}: {fault}" for fault in self.faults)

    def _place(self, fault: FieldFault) -> str:
        return ":".join(str(p) for p in (self.file, fault.line, fault.column) if p is not None)


class InvalidError(ClusterError):
    """The values of a request are not acceptable; ``faults`` has each of them."""

    def __init__(self, faults: Iterable[FieldFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "; ".join(str(fault) for fault in self.faults)


class AuthenticationError(ClusterError):
    """A request brings no token that is known.

    Args:
        fault: What is wrong with the header that should have it.
        is_missing: Whether there was none at all.
    """

    def __init__(self, fault: FieldFault, *, is_missing: bool) -> None:
        self.faults = (fault,)
        self.is_missing = is_missing
        super().__init__(str(fault))


class PermissionDeniedError(ClusterError):
    """A token's role may not do what is asked; ``needed`` is the least role that may."""

    def __init__(self, fault: FieldFault, needed: str) -> None:
        self.faults = (fault,)
        self.needed = needed
        super().__init__(str(fault))


class NotFoundError(ClusterError):
    """What was asked for does not exist."""


class ConflictError(ClusterError):
    """It exists already, or a limit is reached."""


class CapacityError(ConflictError):
    """More is asked for than the slots can do; ``faults`` has the field, with the figures."""

    def __init__(self, message: str, fault: FieldFault) -> None:
        self.faults = (fault,)
        super().__init__(message)


class InUseError(ConflictError):
    """Streams need what a change would take away; ``faults`` has each of them."""

    def __init__(self, message: str, faults: Iterable[FieldFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(message)


class StaleError(ConflictError):
    """It was changed by somebody else since it was read."""


class UnavailableError(ClusterError):
    """Redis, or what else is needed, does not answer."""
