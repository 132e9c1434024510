"""The folder where a local Sightline keeps its streams, and who may look into it."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path:
    """Where a local Sightline keeps its streams and says that it runs."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "sightline"


def announcement() -> Path:
    """The file in which a running ``up`` says what it is."""
    return state_dir() / "up.json"


def make_private(folder: Path) -> Path:
    """Make a folder, if need be, that only its owner may enter: camera passwords lie in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
