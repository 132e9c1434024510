"""Plans on disk, shared by the slots of a machine or a cluster: built once, published whole.

A file that is there is complete: it is written beside its place and renamed. Who wants to build
takes a lock first, and looks again when he has it. A plan that does not fit is never given out;
whoever may build replaces it, and says so.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from engines.errors import PlanError
from engines.tensorrt.lock import Waiting, locked
from engines.tensorrt.plan import PlanRequest, Platform, pack, plain_name, unpack

FOLDER = "SIGHTLINE_PLAN_CACHE"

_READABLE = 0o644
"""A temporary file is its owner's alone, but slots of other users share the folder."""

_log = logging.getLogger(__name__)


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
            PlanError: if the file is damaged, or holds another plan.
        """
        try:
            return unpack(self.path_of(request), request)
        except FileNotFoundError:
            return None

    def holds(self, request: PlanRequest) -> bool:
        """Whether the plan of a request is there, and can be used."""
        try:
            return self.read(request) is not None
        except PlanError:
            return False

    def publish(self, request: PlanRequest, plan: bytes) -> Path:
        """Put a plan in its place, whole or not at all; what was there is replaced.

        Raises:
            PlanError: if it cannot be written.
        """
        path = self.path_of(request)
        try:
            self._write(path, pack(request, plan))
        except OSError as error:
            raise PlanError(
                f"{path} of {len(plan)} bytes cannot be written ({error.strerror})",
                remedy=f"Make room there, or name another folder in ${FOLDER}.",
            ) from error
        return path

    @contextmanager
    def lock(self, request: PlanRequest, waiting: Waiting = lambda _: None) -> Iterator[None]:
        """Hold the right to build a plan; waits while another process has it.

        What a builder left behind that was killed while it wrote is removed.

        Args:
            request: Of the plan.
            waiting: Told who builds it, while another process does.

        Raises:
            PlanError: if the folder cannot be written.
        """
        with ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.path_of(request)
                held.enter_context(locked(path.with_suffix(".lock"), waiting))
                for rubbish in self.folder.glob(f".{path.name}-*"):
                    rubbish.unlink(missing_ok=True)
            except OSError as error:
                raise PlanError(
                    f"plans cannot be kept in {self.folder} ({error.strerror})",
                    remedy=f"Make it writable, or name another folder in ${FOLDER}.",
                ) from error
            yield

    def check_room(self, num_bytes: int) -> None:
        """Find a full disk before minutes are spent on a plan that cannot be kept.

        Raises:
            PlanError: if less is free than this.
        """
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes < num_bytes:
            raise PlanError(
                f"{self.folder} has {free_bytes} bytes free; a plan takes {num_bytes} and more",
                remedy=f"Make room there, or name another folder in ${FOLDER}.",
            )

    def read_timings(self, platform: Platform) -> bytes:
        """What TensorRT measured on this platform before; empty at first."""
        try:
            return self._timings(platform).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            _log.warning("earlier timings are not used: %s", error)
            return b""

    def merge_timings(self, platform: Platform, combine: Callable[[bytes], bytes]) -> None:
        """Add what TensorRT measured to what builds of other plans have measured meanwhile.

        Timings only save time: where they cannot be written, that is said and no more.

        Args:
            platform: Where they were measured.
            combine: From the timings that are kept to those that are to be kept.
        """
        path = self._timings(platform)
        try:
            with locked(path.with_suffix(".lock"), lambda _: None):
                self._write(path, combine(self.read_timings(platform)))
        except OSError as error:
            _log.warning("the timings of this build are not kept: %s", error)

    def _timings(self, platform: Platform) -> Path:
        where = f"trt{platform.tensorrt}-{platform.arch}-{plain_name(platform.gpu)}"
        return self.folder / f"timings-{where}.bin"

    def _write(self, path: Path, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, _READABLE)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
