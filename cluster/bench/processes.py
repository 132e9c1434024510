"""Processes of Ray's actors, seen from outside by the title that Ray gives them."""

from __future__ import annotations

from collections import defaultdict
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


def descendants(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Processes that a process has started, and those that these have started, and so on."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in proc.glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
        children[parent].append(int(path.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children[waiting.pop()]
        found.update(new)
        waiting += new
    return frozenset(found)


def is_alive(pid: int, proc: Path = PROC) -> bool:
    """Whether there is a process of this number, dead ones that nobody has asked for included."""
    return (proc / str(pid)).exists()
