"""Events and states in the words and colours that people see on a terminal."""

from __future__ import annotations

from typing import Any


def describe_event(event: dict[str, Any]) -> str:
    """An event in a few words: type, rule, class, track and direction."""
    what = " ".join(str(event.get(k) or "") for k in ("rule", "class")).strip()
    track = event.get("track")
    number = f" #{track}" if track not in (None, "", -1, "-1") else ""
    data = event.get("data") or {}
    detail = data.get("direction") or data.get("state") or ""
    if data.get("degrade_step", "none") != "none":
        detail += f" {data['degrade_step']}"
    return f"{event['type']} {what}{number} {detail}".rstrip()


def state_style(state: str) -> str:
    """The colour of a stream's state."""
    return {"running": "green", "ended": "blue", "failed": "red", "disabled": "dim"}.get(
        state, "yellow"
    )
