"""What the Sightline that ``up`` started on this machine says of itself, and where its API is."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cluster.folders import state_dir

_USUAL_API = "http://127.0.0.1:8000"


def announcement() -> Path:
    """The file in which a running ``up`` says what it is."""
    return state_dir() / "up.json"


def running() -> dict[str, str] | None:
    """What the running ``up`` said of itself; None where there is none."""
    try:
        says: dict[str, str] = json.loads(announcement().read_text())
        os.kill(int(says["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return says


def local_api() -> str:
    """Address of the API of this machine's ``up``; the usual one where none runs."""
    return (running() or {}).get("api") or _USUAL_API
