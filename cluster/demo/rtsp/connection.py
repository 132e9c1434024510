"""One RTSP connection: bytes in, answers and interleaved packets out."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

from cluster.demo.rtsp.messages import MalformedRequestError, Request, RequestReader, Response
from cluster.demo.rtsp.responder import Responder
from cluster.demo.rtsp.session import Session
from cluster.demo.rtsp.site import Site
from cluster.demo.rtsp.transport_header import TransportOffer

SEND_BUFFER_BYTES = 256 * 1024
"""Kept small: what waits in the kernel is video that is late."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """A client's connection.

    Attributes:
        transport: Set once the connection is made.
        peer_host: The client's address.
        sessions: Those that were made by this connection; they end with it.
        last_request: When a request came last, on the loop's clock.
    """

    transport: asyncio.Transport
    peer_host: str

    def __init__(self, site: Site, connections: set[Connection]) -> None:
        self.sessions: dict[str, Session] = {}
        self.last_request = site.now()
        self._site = site
        self._connections = connections
        self._reader = RequestReader()
        self._responder = Responder(site, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)
        self.peer_host = str(transport.get_extra_info("peername")[0])
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the sessions that the connection made."""
        self._connections.discard(self)
        for session in list(self.sessions.values()):
            self._site.end_session(session)

    def pause_writing(self) -> None:
        """Read no requests from a client that does not read its answers."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Answer the requests in ``data``."""
        try:
            for request in self._reader.feed(data):
                self._answer(request)
                if self.transport.is_closing():
                    return
        except MalformedRequestError as error:
            self.transport.write(Response(error.status, {"Connection": "close"}).encode(None))
            self.transport.close()

    def free_channels(self, offer: TransportOffer) -> tuple[int, int]:
        """Return two interleaved channels: those offered, or the next that are free."""
        wanted = (offer.first or 0, offer.second if offer.second is not None else 1)
        used = {channel for session in self.sessions.values() for channel in session.channels}
        pairs = [wanted, *((even, even + 1) for even in range(0, 256, 2))]
        return next(pair for pair in pairs if used.isdisjoint(pair))

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if not self.transport.is_closing() and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def _answer(self, request: Request) -> None:
        self.last_request = self._site.now()
        response = self._responder.respond(request)
        if response is not None:
            self.transport.write(response.encode(request))
