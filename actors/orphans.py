"""Files and folders that a process which was killed has left: its pid is part of their names."""

from __future__ import annotations

from pathlib import Path


def orphans(folder: Path, prefix: str) -> list[Path]:
    """What is called ``{prefix}PID-...`` in a folder, of processes that are gone."""
    named = ((path, pid_in(path.name, prefix)) for path in folder.glob(f"{prefix}*"))
    return [path for path, pid in named if pid and not Path(f"/proc/{pid}").exists()]


def pid_in(name: str, prefix: str) -> int:
    """The process whose file it is, by its name; 0 where the name is of another kind."""
    if not name.startswith(prefix):
        return 0
    digits, dash, _ = name.removeprefix(prefix).partition("-")
    return int(digits) if dash and digits.isdecimal() else 0
