"""NVIDIA's Multi-Process Service for the length of a ``with``: processes share the GPU's context.

Its pipes lie in a folder of their own, so that a service that runs already is left alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator

from cluster.errors import UnavailableError
from cluster.gpu_host import MPS_PIPES

MPS_LOGS = "CUDA_MPS_LOG_DIRECTORY"
_CONTROL = "nvidia-cuda-mps-control"
_TIMEOUT_S = 30.0
_QUIT_S = 10
"""After so long processes that still use it are ended."""


@contextlib.contextmanager
def mps_running() -> Iterator[None]:
    """Start the service; processes that are started inside find it by their environment.

    Raises:
        UnavailableError: if it does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="sightline-mps-") as folder,
        _environment({MPS_PIPES: folder, MPS_LOGS: folder}),
    ):
        _control("-d")
        try:
            yield
        finally:
            _control(text=f"quit -t {_QUIT_S}\n")


def _control(*options: str, text: str = "") -> None:
    # Into a file: the service that `-d` leaves behind would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as said:
        try:
            subprocess.run(
                [_CONTROL, *options],
                input=text,
                stdout=said,
                stderr=subprocess.STDOUT,
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


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
