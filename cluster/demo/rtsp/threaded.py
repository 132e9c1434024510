"""A camera server in a thread of its own, for callers that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from cluster.demo.rtsp.camera import Camera, CameraCounters
from cluster.demo.rtsp.errors import CameraServerError
from cluster.demo.rtsp.faults import Fault
from cluster.demo.rtsp.live import LiveCamera
from cluster.demo.rtsp.server import SESSION_TIMEOUT_S, CameraServer

Result = TypeVar("Result")
_TIMEOUT_S = 10.0


class RunningCameraServer:
    """A ``CameraServer`` that runs while a ``with`` block does; all methods are thread-safe.

    Example:
        with RunningCameraServer([Camera("cam0", clip)]) as server:
            server.inject("cam0", Stall())
    """

    def __init__(
        self,
        cameras: Iterable[Camera] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        session_timeout_s: int = SESSION_TIMEOUT_S,
    ) -> None:
        """Describe a server; it starts with the ``with`` block."""
        self._initial = list(cameras)
        self._server = CameraServer(host, port, session_timeout_s=session_timeout_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> RunningCameraServer:
        """Start, with the cameras given."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rtsp-cameras", daemon=True)
        self._thread.start()
        try:
            self._await(self._start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect all clients and end the thread."""
        try:
            self._await(self._server.close())
        finally:
            self._stop()

    def add(self, camera: Camera) -> LiveCamera:
        """Put a camera on the air and return it; read it, and change it only through here."""
        return self._call(lambda: self._server.add(camera))

    def remove(self, name: str) -> None:
        """Take a camera off the air."""
        self._call(lambda: self._server.remove(name))

    def camera(self, name: str) -> LiveCamera:
        """Return a camera, for its epoch, fps and duration."""
        return self._call(lambda: self._server.camera(name))

    def counters(self, name: str) -> CameraCounters:
        """Return a copy of a camera's counters."""
        return self._call(lambda: self._server.counters(name))

    def url(self, name: str, *, with_credentials: bool = True) -> str:
        """Return the address of a camera."""
        return self._call(lambda: self._server.url(name, with_credentials=with_credentials))

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._call(lambda: self._server.port)

    def inject(self, name: str, fault: Fault) -> None:
        """Let a fault begin; it is in force when this returns."""
        self._call(lambda: self._server.inject(name, fault))

    def clear(self, name: str) -> None:
        """Let all faults of a camera end."""
        self._call(lambda: self._server.clear(name))

    def _run(self) -> None:
        if self._loop is not None:
            self._loop.run_forever()

    async def _start(self) -> None:
        for camera in self._initial:
            self._server.add(camera)
        await self._server.start()

    def _call(self, action: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return action()

        return self._await(call())

    def _await(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            work.close()
            raise CameraServerError("the server is not running; use it inside its with block")
        future: Future[Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(_TIMEOUT_S)

    def _stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT_S)
        self._loop.close()
        self._loop = self._thread = None
