"""Files in shared memory that a killed slot could not remove: found by the pid in their name."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from engines.frames import shared_memory_dir

_FILE = re.compile(r"sightline-slot-(\d+)-")


def new_slot_name() -> str:
    """A name that no other slot has or had; it begins with ``slot-`` and this process's pid."""
    return f"slot-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def remove_leftovers() -> list[Path]:
    """Remove the files of slots of this machine whose process is gone; returns them."""
    removed = []
    for path in Path(shared_memory_dir()).glob("sightline-slot-*"):
        pid = slot_pid(path.name)
        if pid and not Path(f"/proc/{pid}").exists():
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def slot_pid(name: str) -> int:
    """Process of the slot that a file belongs to, by the file's name; 0 where it is no slot's."""
    match = _FILE.match(name)
    return int(match[1]) if match else 0
