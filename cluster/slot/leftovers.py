"""Files in shared memory that a killed slot could not remove: found by the pid in their name."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from actors.orphans import orphans, pid_in
from engines.frames import shared_memory_dir

_PREFIX = "sightline-slot-"


def new_slot_name() -> str:
    """A name that no other slot has or had; it begins with ``slot-`` and this process's pid."""
    return f"slot-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def remove_leftovers() -> list[Path]:
    """Remove the files of slots of this machine whose process is gone; returns them."""
    removed = orphans(Path(shared_memory_dir()), _PREFIX)
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def slot_pid(name: str) -> int:
    """Process of the slot that a file belongs to, by the file's name; 0 where it is no slot's."""
    return pid_in(name, _PREFIX)
