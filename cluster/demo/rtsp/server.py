"""The RTSP camera server: cameras on one port of one event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from urllib.parse import quote

from cluster.demo.rtsp.camera import Camera, CameraCounters
from cluster.demo.rtsp.connection import Connection
from cluster.demo.rtsp.errors import CameraServerError, InvalidCameraError, UnknownCameraError
from cluster.demo.rtsp.faults import ENDS_SESSIONS, Fault
from cluster.demo.rtsp.live import LiveCamera, WallClock
from cluster.demo.rtsp.site import Site

SESSION_TIMEOUT_S = 60
IDLE_TIMEOUT_S = 60.0
"""A connection without sessions that asks nothing for so long is closed."""
_NUM_PHASES = 8
"""Real cameras are not in step; in more groups than this, waking up for each costs CPU."""


class CameraServer:
    """Serves cameras over RTSP. Not thread-safe: ``RunningCameraServer`` is.

    Example:
        server = CameraServer()
        server.add(Camera("cam0", Clip.open("street.mp4")))
        await server.start()
        print(server.url("cam0"))
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        session_timeout_s: int = SESSION_TIMEOUT_S,
    ) -> None:
        """Prepare a server on ``host``; port 0 takes any that is free."""
        self._host = host
        self._port = port
        self._session_timeout_s = session_timeout_s
        self._created = time.monotonic()
        self._clock = WallClock(offset_s=time.time() - self._created)
        self._cameras: dict[str, LiveCamera] = {}
        self._num_added = 0
        self._connections: set[Connection] = set()
        self._site: Site | None = None
        self._listener: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def add(self, camera: Camera) -> LiveCamera:
        """Put a camera on the air, before or after the start.

        Raises:
            InvalidCameraError: The name is taken.
        """
        if camera.name in self._cameras:
            raise InvalidCameraError(f"camera {camera.name}: the name is taken; give another")
        epoch = self._next_epoch(camera.clip.fps) if camera.epoch is None else camera.epoch
        self._num_added += 1
        live = LiveCamera(camera, epoch, self._clock)
        self._cameras[camera.name] = live
        return live

    def camera(self, name: str) -> LiveCamera:
        """Return a camera with its epoch, counters and faults.

        Raises:
            UnknownCameraError: There is none of that name.
        """
        if name not in self._cameras:
            names = ", ".join(self._cameras) or "none"
            raise UnknownCameraError(f"camera {name!r} is not on this server; it has: {names}")
        return self._cameras[name]

    def names(self) -> list[str]:
        """Return the names of the cameras."""
        return list(self._cameras)

    def counters(self, name: str) -> CameraCounters:
        """Return a copy of a camera's counters."""
        return dataclasses.replace(self.camera(name).counters)

    def remove(self, name: str) -> None:
        """Take a camera off the air; its clients are disconnected."""
        live = self.camera(name)
        del self._cameras[name]
        self._disconnect(live)

    def inject(self, name: str, fault: Fault) -> None:
        """Let a fault begin on a camera, for the clients it has and those to come."""
        live = self.camera(name)
        live.inject(fault, time.monotonic())
        if isinstance(fault, ENDS_SESSIONS):
            self._disconnect(live)

    def clear(self, name: str) -> None:
        """Let all faults of a camera end."""
        self.camera(name).clear(time.monotonic())

    def url(self, name: str, *, with_credentials: bool = True) -> str:
        """Return the address of a camera, once the server runs."""
        camera = self.camera(name).camera
        user = ""
        if with_credentials and camera.username is not None and camera.password is not None:
            user = f"{quote(camera.username, safe='')}:{quote(camera.password, safe='')}@"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"rtsp://{user}{host}:{self.port}/{camera.name}"

    @property
    def port(self) -> int:
        """The TCP port, once the server runs."""
        if self._listener is None:
            raise CameraServerError("the server is not running; await start() first")
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(self) -> int:
        """Listen, and return the TCP port."""
        loop = asyncio.get_running_loop()
        site = Site(loop, self._host, self._session_timeout_s, self._cameras)
        try:
            self._listener = await loop.create_server(
                lambda: Connection(site, self._connections), self._host, self._port
            )
        except OSError:
            site.close()
            raise
        self._site = site
        self._sweep_later(site)
        return self.port

    async def close(self) -> None:
        """Disconnect all clients and free the ports."""
        if self._site is None or self._listener is None:
            return
        if self._sweep is not None:
            self._sweep.cancel()
        self._listener.close()
        self._site.close()
        for connection in list(self._connections):
            connection.reset()
        await self._listener.wait_closed()
        self._site = self._listener = None

    def _next_epoch(self, fps: float) -> float:
        num_frames = int((time.monotonic() - self._created) * fps)
        phase = self._num_added % _NUM_PHASES / _NUM_PHASES
        return self._clock.wall(self._created + (num_frames + phase) / fps)

    def _disconnect(self, live: LiveCamera) -> None:
        if self._site is not None:
            for session in self._site.sessions_of(live):
                session.connection.reset()
                self._site.end_session(session)

    def _sweep_later(self, site: Site) -> None:
        interval_s = min(1.0, self._session_timeout_s / 4)
        self._sweep = site.loop.call_later(interval_s, self._sweep_now, site)

    def _sweep_now(self, site: Site) -> None:
        site.end_silent_sessions()
        oldest = site.now() - IDLE_TIMEOUT_S
        for connection in list(self._connections):
            if not connection.sessions and connection.last_request < oldest:
                connection.reset()
        self._sweep_later(site)
