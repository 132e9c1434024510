"""Commands to a camera server as JSON lines, and its answers."""

from __future__ import annotations

import dataclasses
import json
import resource
import time
from collections.abc import Callable
from typing import Any

from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.errors import CameraServerError, InvalidFaultError
from cluster.demo.rtsp.faults import fault_named
from cluster.demo.rtsp.server import CameraServer

Command = Callable[[CameraServer], dict[str, Any]]


def read_command(line: bytes) -> Command:
    """Return what a line asks for, ready to be carried out in the server's event loop.

    Commands: ``{"camera": NAME, "fault": KIND, ...parameters}``,
    ``{"camera": NAME, "fault": "clear"}`` and ``{"stats": true}``. The clip of a
    ``resolution_change`` is the path of a video; it is read here, which may take a while.
    """
    try:
        return _parsed(line)
    except (CameraServerError, ValueError) as error:
        answer = {"error": f"{error}"}
        return lambda _: answer


def obey(server: CameraServer, command: Command) -> dict[str, Any]:
    """Carry out a command and return the answer; an ``error`` in it says what is wrong."""
    try:
        return command(server)
    except CameraServerError as error:
        return {"error": str(error)}


def describe_cameras(server: CameraServer, names: list[str]) -> list[dict[str, Any]]:
    """Return what a client of each camera needs to know, without credentials."""
    return [_description(server, name) for name in names]


def _description(server: CameraServer, name: str) -> dict[str, Any]:
    live = server.camera(name)
    return {
        "camera": name,
        "url": server.url(name, with_credentials=False),
        "epoch": live.epoch,
        "fps": live.fps,
        "duration_s": live.duration_s,
    }


def _parsed(line: bytes) -> Command:
    command = json.loads(line)
    if not isinstance(command, dict):
        raise InvalidFaultError("command: not an object; send camera and fault")
    if command == {"stats": True}:
        return _stats
    name, kind = command.pop("camera", None), command.pop("fault", None)
    if not isinstance(name, str) or not isinstance(kind, str):
        raise InvalidFaultError("command: camera and fault are strings; give both")
    return _fault_command(name, kind, command)


def _fault_command(name: str, kind: str, parameters: dict[str, Any]) -> Command:
    if "clip" in parameters:
        parameters["clip"] = Clip.open(str(parameters["clip"]))
    fault = None if kind == "clear" else fault_named(kind, parameters)

    def apply(server: CameraServer) -> dict[str, Any]:
        if fault is None:
            server.clear(name)
        else:
            server.inject(name, fault)
        return {"camera": name, "fault": kind}

    return apply


def _stats(server: CameraServer) -> dict[str, Any]:
    counters = {name: dataclasses.asdict(server.counters(name)) for name in server.names()}
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu_s": time.process_time(), "peak_rss_bytes": peak_kib * 1024, "cameras": counters}
