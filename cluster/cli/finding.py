"""One thing that ``sightline doctor`` looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.errors import EngineError

REINSTALL = "reinstall: pip install --force-reinstall sightline"

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it where that is not well.

    Attributes:
        what: What was looked at.
        ok: Whether it is well.
        found: What was found, for people.
        remedy: What to do, if it is not well.
        facts: The versions and figures in ``found``, for programs.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""
    facts: Facts = field(default_factory=dict)


def tried(what: str, attempt: Callable[[], tuple[str, Facts]], remedy: str = REINSTALL) -> Finding:
    """What an attempt says, with its facts, or why it failed."""
    try:
        found, facts = attempt()
        return Finding(what, True, found, facts=facts)
    except (EngineError, OSError, ValueError, ImportError) as error:
        return Finding(what, False, str(error), remedy)
