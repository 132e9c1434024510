"""What the host of a GPU offers, seen without using the GPU: driver, libraries, MPS."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping
from pathlib import Path

CAPABILITIES = "NVIDIA_DRIVER_CAPABILITIES"
MPS_PIPES = "CUDA_MPS_PIPE_DIRECTORY"
NEEDED = ("compute", "video", "utility")
DECODER = "libnvcuvid.so.1"

_VERSION = Path("/proc/driver/nvidia/version")
_CONTROL = Path("/dev/nvidiactl")


def has_driver() -> bool:
    """Whether the kernel has NVIDIA's driver."""
    return _CONTROL.exists()


def driver_version(path: Path = _VERSION) -> str:
    """The driver's version; empty where it does not say."""
    try:
        found = re.search(r"\b(\d+\.\d+(?:\.\d+)*)\b", path.read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def cuda_version() -> str:
    """The newest CUDA that the driver runs; empty where it cannot be loaded."""
    driver = loaded("libcuda.so.1")
    number = ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(number)):
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def loaded(library: str) -> ctypes.CDLL | None:
    """A shared library; None where the loader does not find it."""
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


def missing_capabilities(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What a container was not given of the driver; empty outside containers, or where it has all.

    Args:
        environment: Where NVIDIA's container runtime says what it was asked for.
    """
    given = {word.strip() for word in environment.get(CAPABILITIES, "all").split(",")}
    return () if "all" in given else tuple(name for name in NEEDED if name not in given)


def is_mps_running(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the Multi-Process Service shares the GPU among processes."""
    return Path(environment.get(MPS_PIPES, "/tmp/nvidia-mps"), "control").exists()  # noqa: S108
