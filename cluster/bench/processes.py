"""Processes of Ray's actors, seen from outside by the title that Ray gives them."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def pids_of(actor_class: str, proc: Path = PROC) -> frozenset[int]:
    """Processes that are actors of a class, from the moment that Ray makes the actor."""
    title = f"ray::{actor_class}".encode()
    found = set()
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(title):
                found.add(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return frozenset(found)
