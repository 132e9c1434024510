"""A camera server in a process of its own, so that its work is apart from what it serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.demo.rtsp.errors import CameraProcessError

PASSWORD_VARIABLE = "SIGHTLINE_CAMERA_PASSWORD"  # noqa: S105 - a name, not a password
_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ServedCamera:
    """A camera of another process.

    Attributes:
        name: Its name.
        url: Its address, without credentials.
        epoch: Wall clock of its first picture, seconds since 1970.
        fps: Mean pictures a second.
        duration_s: Length of a loop.
    """

    name: str
    url: str
    epoch: float
    fps: float
    duration_s: float

    def position_s(self, wall_s: float) -> float:
        """Return where in the clip the camera is at a wall clock time."""
        return (wall_s - self.epoch) % self.duration_s


class CameraProcess:
    """Runs ``python -m cluster.demo.rtsp`` while a ``with`` block does.

    Attributes:
        cameras: What it serves, by name, once it runs.

    Example:
        with CameraProcess({"cam0": "street.mp4"}) as process:
            process.inject("cam0", "stall")
    """

    def __init__(
        self,
        clips: Mapping[str, str | Path],
        *,
        port: int = 0,
        cache_dir: str | Path | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """Describe a process.

        Args:
            clips: A video for each camera.
            port: TCP port; 0 takes any that is free.
            cache_dir: Where videos are kept that had to be transcoded; None transcodes none.
            credentials: User name and password that all the cameras ask for.
        """
        self.cameras: dict[str, ServedCamera] = {}
        self._command = _command(clips, port, cache_dir, credentials)
        password = {} if credentials is None else {PASSWORD_VARIABLE: credentials[1]}
        self._environment = {**os.environ, **password}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> CameraProcess:
        """Start, and wait until all cameras are on the air.

        Raises:
            CameraProcessError: It ended instead; the message holds what it wrote.
        """
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in iter(self._answer, {"ready": True}):
                self.cameras[line["camera"]] = _served(line)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    @property
    def pid(self) -> int:
        """Process identifier."""
        return self._running().pid

    def inject(self, camera: str, fault: str, **parameters: object) -> None:
        """Let a fault begin, by its name and parameters as in ``faults.FAULTS``.

        Raises:
            CameraProcessError: The camera or the fault was refused.
        """
        self._ask({"camera": camera, "fault": fault, **parameters})

    def clear(self, camera: str) -> None:
        """Let all faults of a camera end."""
        self._ask({"camera": camera, "fault": "clear"})

    def stats(self) -> dict[str, Any]:
        """Return ``cpu_s``, ``peak_rss_bytes`` and the counters of all ``cameras``."""
        return self._ask({"stats": True})

    def close(self) -> None:
        """End the process, by force where it does not end by itself."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        stdin = self._running().stdin
        if stdin is None:
            raise CameraProcessError("the camera process has no input; start it in a with block")
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise CameraProcessError(answer["error"])
        return answer

    def _answer(self) -> dict[str, Any]:
        stdout = self._running().stdout
        line = stdout.readline() if stdout is not None else ""
        if not line:
            raise CameraProcessError("the camera process ended; its standard error says why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise CameraProcessError("the camera process is not running; use its with block")
        return self._process


def _command(
    clips: Mapping[str, str | Path],
    port: int,
    cache_dir: str | Path | None,
    credentials: tuple[str, str] | None,
) -> Sequence[str]:
    command = [sys.executable, "-m", "cluster.demo.rtsp", "--port", str(port)]
    for name, path in clips.items():
        command += ["--clip", f"{name}={path}"]
    if cache_dir is not None:
        command += ["--cache", str(cache_dir)]
    if credentials is not None:
        command += ["--username", credentials[0]]
    return command


def _served(line: Mapping[str, Any]) -> ServedCamera:
    return ServedCamera(
        name=line["camera"],
        url=line["url"],
        epoch=line["epoch"],
        fps=line["fps"],
        duration_s=line["duration_s"],
    )
