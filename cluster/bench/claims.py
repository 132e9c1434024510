"""What a benchmark promises, held against what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise.

    Attributes:
        text: In words, with its limit.
        found: The figure; None where it could not be had, which breaks the promise.
        holds: Whether it is kept.
    """

    text: str
    found: Any
    holds: bool


def at_most(text: str, found: float | None, limit: float | None) -> Claim:
    """A claim that holds where both are known and the figure is not beyond its limit."""
    holds = found is not None and limit is not None and found <= limit
    return Claim(text, found, holds)


def all_hold(claims: Iterable[Claim]) -> bool:
    """Whether every promise is kept."""
    return all(claim.holds for claim in claims)


def plain(claims: Iterable[Claim]) -> list[dict[str, Any]]:
    """Claims for JSON."""
    return [asdict(claim) for claim in claims]
