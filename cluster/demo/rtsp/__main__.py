"""``python -m cluster.demo.rtsp``: cameras in a process of their own, ruled by JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.demo.rtsp.camera import TRANSPORTS, Camera
from cluster.demo.rtsp.clip import MAX_PACKET_BYTES, Clip
from cluster.demo.rtsp.commands import Command, describe_cameras, obey, read_command
from cluster.demo.rtsp.errors import CameraServerError, InvalidCameraError
from cluster.demo.rtsp.parent import on_death_of_parent
from cluster.demo.rtsp.process import PASSWORD_VARIABLE
from cluster.demo.rtsp.server import CameraServer
from cluster.demo.rtsp.transcode import playable_clip


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the standard input or the parent process ends; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except (CameraServerError, OSError) as error:
        print(f"cluster.demo.rtsp: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m cluster.demo.rtsp", description=__doc__)
    add = parser.add_argument
    add("--clip", action="append", required=True, metavar="NAME=FILE", help="a camera; repeat")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="TCP port (default: any that is free)")
    add("--transport", action="append", choices=sorted(TRANSPORTS), help="default: tcp and udp")
    add("--max-packet-bytes", type=int, default=MAX_PACKET_BYTES, help="default: %(default)s")
    add("--cache", metavar="DIR", help="transcode what must be, and keep it in this folder")
    add("--username", help=f"ask for it and the password in {PASSWORD_VARIABLE}")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    on_death_of_parent(lambda: loop.call_soon_threadsafe(stopped.set))
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    server = CameraServer(options.host, options.port)
    names = [server.add(camera).camera.name for camera in _cameras(options)]
    await server.start()
    for line in (*describe_cameras(server, names), {"ready": True}):
        _write(line)
    reader = threading.Thread(target=_read_commands, args=(loop, server, stopped), daemon=True)
    reader.start()
    await stopped.wait()
    await server.close()


def _cameras(options: argparse.Namespace) -> list[Camera]:
    clips: dict[str, Clip] = {}
    cameras = []
    for text in options.clip:
        name, equals, path = text.partition("=")
        if not equals:
            raise InvalidCameraError(f"--clip {text}: write NAME=FILE")
        if path not in clips:
            clips[path] = _clip(path, options)
        cameras.append(_camera(name, clips[path], options))
    return cameras


def _clip(path: str, options: argparse.Namespace) -> Clip:
    if options.cache is None:
        return Clip.open(path, max_packet_bytes=options.max_packet_bytes)
    return playable_clip(path, options.cache, max_packet_bytes=options.max_packet_bytes)


def _camera(name: str, clip: Clip, options: argparse.Namespace) -> Camera:
    transports = options.transport or TRANSPORTS
    if options.username is None:
        return Camera(name, clip, transports=transports)
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        raise InvalidCameraError(f"--username: set the password in {PASSWORD_VARIABLE}")
    return Camera(name, clip, options.username, password, transports)


def _read_commands(
    loop: asyncio.AbstractEventLoop, server: CameraServer, stopped: asyncio.Event
) -> None:
    # Unbuffered: a daemon thread that holds the lock of sys.stdin would hang the interpreter's end.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as commands:
        for line in commands:
            loop.call_soon_threadsafe(_obey_and_answer, server, read_command(line))
    loop.call_soon_threadsafe(stopped.set)


def _obey_and_answer(server: CameraServer, command: Command) -> None:
    _write(obey(server, command))


def _write(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
