"""The server's pair of UDP ports: RTP leaves by the even one, RTCP uses the odd one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from cluster.demo.rtsp.errors import CameraServerError

_MAX_TRIES = 100
_SEND_BUFFER_BYTES = 1 << 20
_MAX_READS = 64


class UdpPorts:
    """Two UDP sockets on neighbouring ports (RFC 3550, section 11)."""

    def __init__(self, host: str) -> None:
        self.sockets = _bound_pair(host)
        self.ports: tuple[int, int] = (_port(self.sockets[0]), _port(self.sockets[1]))

    def listen(
        self, loop: asyncio.AbstractEventLoop, heard: Callable[[tuple[str, int]], None]
    ) -> None:
        """Call ``heard`` with the address of every RTCP packet that comes."""
        loop.add_reader(self.sockets[1], self._read, heard)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close both."""
        loop.remove_reader(self.sockets[1])
        for each in self.sockets:
            each.close()

    def _read(self, heard: Callable[[tuple[str, int]], None]) -> None:
        for _ in range(_MAX_READS):
            try:
                _, address = self.sockets[1].recvfrom(2048)
            except OSError:
                return
            heard(address[:2])


def _bound_pair(host: str) -> tuple[socket.socket, socket.socket]:
    for _ in range(_MAX_TRIES):
        rtp = _bound(host, 0)
        if _port(rtp) % 2 == 0:
            try:
                return rtp, _bound(host, _port(rtp) + 1)
            except OSError:
                pass  # the odd port is taken: try another pair
        rtp.close()
    raise CameraServerError(f"no two neighbouring UDP ports are free on {host}; free some")


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])
