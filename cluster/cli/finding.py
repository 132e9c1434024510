"""One thing that ``sightline doctor`` looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engines.errors import EngineError

REINSTALL = "reinstall: pip install --force-reinstall sightline"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it where that is not well."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def tried(what: str, attempt: Callable[[], str], remedy: str = REINSTALL) -> Finding:
    """What an attempt says, or why it failed."""
    try:
        return Finding(what, True, attempt())
    except (EngineError, OSError, ValueError, ImportError) as error:
        return Finding(what, False, str(error), remedy)
