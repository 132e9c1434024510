"""What the Sightline that ``up`` started on this machine says of itself, and where its API is."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.folders import announcement

_USUAL_API = "http://127.0.0.1:8000"


def running() -> dict[str, str] | None:
    """What the running ``up`` said of itself; None where there is none."""
    try:
        says: dict[str, str] = json.loads(announcement().read_text())
        return says if is_alive(int(says["pid"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def local_api() -> str:
    """Address of the API of this machine's ``up``; the usual one where none runs."""
    return (running() or {}).get("api") or _USUAL_API
