"""NVIDIA's Multi-Process Service: the processes of a slot use the GPU together, not in turns.

Its pipes lie in a folder of their own, so that a service that runs already is left alone. What is
started inside a ``with`` finds the service by its environment.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from actors.orphans import orphans
from cluster.config import SlotsConfig
from cluster.environment import environment_with
from cluster.errors import UnavailableError
from cluster.gpu_host import MPS_PIPES, has_driver, is_mps_running

MPS_LOGS = "CUDA_MPS_LOG_DIRECTORY"
_CONTROL = "nvidia-cuda-mps-control"
_PREFIX = "sightline-mps-"
_TIMEOUT_S = 30.0
_QUIT_S = 10
"""After so long processes that still use it are ended."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def mps_where_it_can(slots: SlotsConfig) -> Iterator[None]:
    """Run the service where slots are to have it, and nobody runs it already.

    Raises:
        UnavailableError: if it is asked for, and does not start.
    """
    with contextlib.ExitStack() as stack:
        if _is_wanted(slots):
            try:
                stack.enter_context(mps_running())
            except UnavailableError as error:
                if slots.mps:
                    raise UnavailableError(f"slots.mps: {error}") from error
                log.warning("the processes of a slot take turns on the GPU: %s", error)
        yield


@contextlib.contextmanager
def mps_running() -> Iterator[None]:
    """Start the service, and end it.

    Raises:
        UnavailableError: if it does not start.
    """
    with tempfile.TemporaryDirectory(
        prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True
    ) as folder:
        environment = _environment(folder)
        _control(environment, "-d")
        try:
            with environment_with(environment):
                yield
        finally:
            _quit(environment)


def end_leftovers(parent: Path | None = None) -> list[Path]:
    """End services whose ``sightline up`` was killed; returns their folders, which are removed.

    Args:
        parent: Where the folders lie; None for the folder of temporary files.
    """
    ended = orphans(parent or Path(tempfile.gettempdir()), _PREFIX)
    for folder in ended:
        with contextlib.suppress(UnavailableError):  # it has ended, too
            _quit(_environment(str(folder)))
        shutil.rmtree(folder, ignore_errors=True)
    return ended


def _is_wanted(slots: SlotsConfig) -> bool:
    if slots.mps is False or slots.device == "cpu" or is_mps_running():
        return False
    return slots.mps is True or has_driver()


def _environment(folder: str) -> dict[str, str]:
    return {MPS_PIPES: folder, MPS_LOGS: folder}


def _quit(environment: Mapping[str, str]) -> None:
    _control(environment, text=f"quit -t {_QUIT_S}\n")


def _control(environment: Mapping[str, str], *options: str, text: str = "") -> None:
    # Into a file: the service that `-d` leaves behind would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as said:
        try:
            subprocess.run(
                [_CONTROL, *options],
                input=text,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                check=True,
                text=True,
                timeout=_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            said.seek(0)
            raise UnavailableError(
                f"{_CONTROL} {' '.join(options) or text.strip()}: {said.read().strip() or error}; "
                "it comes with the driver, and may be kept from starting in a container"
            ) from error
