"""What this machine decodes: from the cache, or measured once in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from actors.errors import DecodeMeasurementError
from actors.ingest.config import DecoderName
from actors.ingest.decode_cost import DecodeCapacity

FORMAT = 2
"""Counts up when figures of before are not to be used any more."""

_TIMEOUT_S = 60.0
_CPUS = Path("/proc/cpuinfo")

Measure = Callable[[str, int], float]


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/sightline/decode``."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "sightline" / "decode"


def measure_apart(decoder: str, num_cores: int) -> float:
    """Frames a second of 1080p, measured in a process of its own (two seconds on two cores).

    Raises:
        DecodeMeasurementError: if it found nothing; with its last words.
    """
    command = [sys.executable, "-m", "actors.ingest.benchmark", decoder, str(num_cores)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DecodeMeasurementError(decoder, str(error)) from None
    if done.returncode:
        words = done.stderr.strip().rpartition("\n")[2]
        raise DecodeMeasurementError(decoder, words or f"exit status {done.returncode}")
    found = json.loads(done.stdout)
    if found["decoder"] != decoder:
        raise DecodeMeasurementError(decoder, f"{found['decoder']} decoded instead")
    return float(found["full_hd_fps"])


def decode_capacity(
    wanted: DecoderName,
    num_cores: int,
    *,
    folder: Path | None = None,
    measure: Measure = measure_apart,
) -> DecodeCapacity:
    """What the decoder that streams get here does; measured where the cache does not know it.

    Args:
        wanted: What should decode; the CPU does where the GPU cannot.
        num_cores: Cores that streams may use.
        folder: Of the cache; ``default_folder()`` if None.
        measure: Gives frames a second of 1080p.

    Raises:
        DecodeMeasurementError: if it can be neither read nor measured.
    """
    decoder, device = _decoder(wanted)
    path = (folder or default_folder()) / _file_name(decoder, device, num_cores)
    fps = _read(path)
    if fps is None:
        fps = measure(decoder, num_cores)
        _write(path, fps)
    return DecodeCapacity(decoder, device, num_cores, fps)


def cpu_name(path: Path = _CPUS) -> str:
    """Product name of the CPU; its architecture where it does not say."""
    try:
        found = re.search(r"(?m)^model name\s*:\s*(.+)$", path.read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def _decoder(wanted: DecoderName) -> tuple[str, str]:
    """What decodes here, and the name of the device that it runs on."""
    if wanted == "cpu":
        return "cpu", cpu_name()
    from actors.ingest.nvdec import nvdec_fault
    from engines.cuda.context import open_device

    return ("cpu", cpu_name()) if nvdec_fault() else ("nvdec", open_device().name)


def _file_name(decoder: str, device: str, num_cores: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-").lower()
    return f"{decoder}-{plain}-{num_cores}-{FORMAT}.json"


def _read(path: Path) -> float | None:
    """What ``_write`` wrote; None where it is missing or damaged."""
    try:
        fps = float(json.loads(path.read_text())["full_hd_fps"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return fps if 0 < fps < float("inf") else None


def _write(path: Path, fps: float) -> None:
    """Whole or not at all; a cache that cannot be written costs a measurement at the next start."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump({"full_hd_fps": fps}, file)
        os.replace(temporary, path)
    except OSError:
        return
