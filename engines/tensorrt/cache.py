"""Plans on disk, shared by the slots of a machine or a cluster: built once, published whole.

A file that is there is complete: it is written beside its place and renamed. Who wants to build
takes a lock first (``fcntl``, which a file system shared by machines honours too, and which dies
with its holder), and looks again when he has it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engines.errors import ModelError
from engines.tensorrt.plan import PlanRequest, Platform, pack, plain_name, unpack

FOLDER = "SIGHTLINE_PLAN_CACHE"


def default_folder() -> Path:
    """``$SIGHTLINE_PLAN_CACHE``, else ``$XDG_CACHE_HOME/sightline/plans``."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER) or Path(caches) / "sightline" / "plans")


class PlanCache:
    """Plans and timing caches in one folder.

    Args:
        folder: Made when something is written; ``default_folder()`` if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def path_of(self, request: PlanRequest) -> Path:
        """Where the plan of a request is, or would be."""
        return self.folder / request.file_name

    def read(self, request: PlanRequest) -> memoryview | None:
        """The plan of a request; None where it was not built yet.

        Raises:
            ModelError: if the file is damaged or from elsewhere.
        """
        path = self.path_of(request)
        return unpack(path, request.platform) if path.exists() else None

    def publish(self, request: PlanRequest, plan: bytes) -> Path:
        """Put a plan in its place, whole or not at all; what was there is replaced."""
        path = self.path_of(request)
        self._write(path, pack(request, plan))
        return path

    @contextmanager
    def lock(self, request: PlanRequest) -> Iterator[None]:
        """Hold the right to build a plan; waits while another process has it.

        Raises:
            ModelError: if the folder cannot be written.
        """
        with self._lock_file(request) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read_timings(self, platform: Platform) -> bytes:
        """What TensorRT measured on this platform before; empty at first."""
        path = self._timings(platform)
        return path.read_bytes() if path.exists() else b""

    def write_timings(self, platform: Platform, timings: bytes) -> None:
        """Keep what TensorRT measured; the last of several builds at once wins."""
        self._write(self._timings(platform), timings)

    def _timings(self, platform: Platform) -> Path:
        where = f"trt{platform.tensorrt}-{platform.arch}-{plain_name(platform.gpu)}"
        return self.folder / f"timings-{where}.bin"

    def _write(self, path: Path, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def _lock_file(self, request: PlanRequest) -> IO[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self.path_of(request).with_suffix(".lock").open("a")
        except OSError as error:
            raise ModelError(
                f"plans cannot be kept in {self.folder} ({error.strerror})",
                field="plan",
                remedy=f"Make it writable, or name another folder in ${FOLDER}.",
            ) from error
