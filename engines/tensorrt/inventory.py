"""What a plan cache holds: which plans, whether they can be used here, and what is rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engines.errors import PlanError
from engines.tensorrt.plan import FORMAT, PlanHeader, Platform, read_header

LEFT_BEHIND_AFTER_S = 3600.0
"""No writer takes so long: a temporary file of that age is of one that was killed."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan's file.

    Attributes:
        path: The file.
        size_bytes: Of the file.
        written_at: When, in seconds since 1970.
        header: What it says of itself; None where it is damaged.
        fault: Why no machine can use it, damaged or of another format; empty where one can.
    """

    path: Path
    size_bytes: int
    written_at: float
    header: PlanHeader | None
    fault: str = ""

    def misfit(self, here: Platform) -> str:
        """Why it cannot be used here, in a word or two; empty where it can."""
        if self.fault or self.header is None:
            return self.fault
        built_for = self.header.platform
        if (built_for.gpu, built_for.arch) != (here.gpu, here.arch):
            return "another GPU"
        return "" if built_for.tensorrt == here.tensorrt else "another TensorRT"


def stored_plans(folder: Path) -> list[StoredPlan]:
    """The plans in a folder, by name; headers are read, the plans themselves are not.

    Args:
        folder: Of a ``PlanCache``; it need not exist.

    Raises:
        PlanError: if it cannot be looked into.
    """
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PlanError(
            f"{folder} cannot be looked into ({error.strerror})", remedy="Let this user read it."
        ) from error
    return [plan for path in paths if path.suffix == ".plan" for plan in _stored(path)]


def useless(plans: list[StoredPlan], here: Platform | None) -> list[StoredPlan]:
    """Plans that nobody will load any more.

    Those are what is damaged or of an older format, and what another TensorRT built for the GPU
    that is here. Plans for other GPUs stay: machines that have those may share the folder.

    Args:
        plans: Of ``stored_plans``.
        here: The platform of this machine; None without a GPU.
    """
    return [p for p in plans if p.fault or (here and p.misfit(here) == "another TensorRT")]


def left_behind(folder: Path, now: float) -> list[Path]:
    """Temporary files of writers that were killed.

    Args:
        folder: Of a ``PlanCache``.
        now: Seconds since 1970.
    """
    found = []
    for path in sorted(folder.glob(".*-*")):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < now - LEFT_BEHIND_AFTER_S:
                found.append(path)
    return found


def _stored(path: Path) -> Iterator[StoredPlan]:
    """One, or none where it has gone meanwhile."""
    with suppress(FileNotFoundError):
        found = path.stat()
        try:
            header = read_header(path)
        except PlanError as error:
            yield StoredPlan(path, found.st_size, found.st_mtime, None, f"damaged: {error.message}")
            return
        number = header.request.get("format")
        fault = "" if number == FORMAT else f"of format {number}, not {FORMAT}"
        yield StoredPlan(path, found.st_size, found.st_mtime, header, fault)
