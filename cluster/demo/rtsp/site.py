"""What all connections of a server share: its cameras, its sessions and the clock."""

from __future__ import annotations

import asyncio

from cluster.demo.rtsp.digest import DigestAuthenticator
from cluster.demo.rtsp.live import LiveCamera
from cluster.demo.rtsp.scheduler import Scheduler
from cluster.demo.rtsp.session import Session
from cluster.demo.rtsp.udp import UdpPorts


class Site:
    """The shared state of a running server.

    Attributes:
        loop: The event loop that everything runs in.
        host: Address the server is bound to.
        session_timeout_s: A UDP session that is not heard of for so long ends.
        cameras: By name.
        sessions: By their identifier.
        connections: RTSP connections that are open.
        authenticator: For cameras that have credentials.
        udp: The server's UDP ports.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        session_timeout_s: int,
        cameras: dict[str, LiveCamera],
    ) -> None:
        self.loop = loop
        self.host = host
        self.session_timeout_s = session_timeout_s
        self.cameras = cameras
        self.sessions: dict[str, Session] = {}
        self.authenticator = DigestAuthenticator()
        self.udp = UdpPorts(host)
        self.udp.listen(loop, self._heard)
        self._scheduler = Scheduler(loop)
        self._by_rtcp_address: dict[tuple[str, int], Session] = {}

    def now(self) -> float:
        """Return the loop's clock."""
        return self.loop.time()

    def open_session(self, session: Session) -> None:
        """Take in a session that SETUP made."""
        self.sessions[session.id] = session
        session.connection.sessions[session.id] = session
        if session.rtcp_address is not None:
            self._by_rtcp_address[session.rtcp_address] = session

    def play(self, session: Session) -> tuple[int, int]:
        """Let a session begin and return sequence number and RTP time of its first packet."""
        sequence, timestamp, begins = session.live.join(session, self.now())
        session.playing = True
        if begins is not None:
            self._scheduler.start(session.live, begins)
        return sequence, timestamp

    def pause(self, session: Session) -> None:
        """Let a session rest."""
        session.playing = False
        session.live.leave(session)

    def end_session(self, session: Session) -> None:
        """Forget a session."""
        self.pause(session)
        session.close()
        self.sessions.pop(session.id, None)
        session.connection.sessions.pop(session.id, None)
        address = session.rtcp_address
        if address is not None and self._by_rtcp_address.get(address) is session:
            del self._by_rtcp_address[address]

    def end_silent_sessions(self) -> None:
        """End the UDP sessions whose clients were not heard of for too long."""
        oldest = self.now() - self.session_timeout_s
        for session in list(self.sessions.values()):
            if session.rtcp_address is not None and session.last_seen < oldest:
                self.end_session(session)

    def sessions_of(self, live: LiveCamera) -> list[Session]:
        """Return the sessions of a camera."""
        return [session for session in self.sessions.values() if session.live is live]

    def close(self) -> None:
        """Send nothing more."""
        self._scheduler.stop()
        for session in list(self.sessions.values()):
            self.end_session(session)
        self.udp.close(self.loop)

    def _heard(self, address: tuple[str, int]) -> None:
        session = self._by_rtcp_address.get(address)
        if session is not None:
            session.last_seen = self.now()
