"""Answers to the RTSP requests of one connection (RFC 2326, sections 10 to 12)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cluster.demo.rtsp.digest import Credentials, Verdict, digest_fields
from cluster.demo.rtsp.faults import Down, Mute, NotFound, Unauthorized
from cluster.demo.rtsp.live import LiveCamera
from cluster.demo.rtsp.messages import Request, Response
from cluster.demo.rtsp.sdp import TRACK, describe
from cluster.demo.rtsp.session import Session
from cluster.demo.rtsp.sinks import DatagramSink, Delivery, InterleavedSink
from cluster.demo.rtsp.site import Site
from cluster.demo.rtsp.transport_header import TransportOffer, choose_transport

if TYPE_CHECKING:
    from cluster.demo.rtsp.connection import Connection

MAX_SESSIONS = 64
"""Sessions of one connection."""
_RANGE = re.compile(r"(npt|clock|smpte[\w-]*)=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names: a camera, by its track or as a whole."""

    camera: str
    base_url: str


def target_of(url: str) -> Target | None:
    """Return what an RTSP URL names, or None where it is no such URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("rtsp", ""):
        return None
    path = parts.path.rstrip("/")
    if path.endswith("/" + TRACK):
        path = path[: -len(TRACK) - 1]
    authority = parts.netloc.rpartition("@")[2]  # credentials in a URL are not for the answer
    base = f"rtsp://{authority}{path}/"
    return Target(camera=unquote(path).strip("/"), base_url=base)


class Responder:
    """Answers requests; holds no state beyond the sessions of its connection."""

    def __init__(self, site: Site, connection: Connection) -> None:
        self._site = site
        self._connection = connection
        self._methods: dict[str, Callable[[Request, Target, LiveCamera], Response]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "GET_PARAMETER": self._parameter,
            "SET_PARAMETER": self._parameter,
            "TEARDOWN": self._teardown,
        }

    def respond(self, request: Request) -> Response | None:
        """Return the answer to a request, or None where the camera is made to give none."""
        method = self._methods.get(request.method)
        if method is None:
            return Response(501, self._public())
        if "require" in request.headers:
            return Response(551, {"Unsupported": request.headers["require"]})
        target = target_of(request.url)
        if target is None:
            return Response(400)
        live = self._site.cameras.get(target.camera)
        if live is None:
            return self._without_camera(request)
        if live.faults.get(Down):
            self._connection.reset()
            return None
        if live.faults.get(Mute):
            return None
        return self._refusal(request, target, live) or method(request, target, live)

    def _public(self) -> dict[str, str]:
        return {"Public": ", ".join(self._methods)}

    def _without_camera(self, request: Request) -> Response:
        return Response(200, self._public()) if request.method == "OPTIONS" else Response(404)

    def _refusal(self, request: Request, target: Target, live: LiveCamera) -> Response | None:
        if request.method == "OPTIONS":
            return None
        if live.faults.get(NotFound):
            return Response(404)
        if live.faults.get(Unauthorized):
            return self._challenge(Verdict.REJECTED)
        camera = live.camera
        if camera.username is None or camera.password is None:
            return None
        verdict = self._verdict(request, target, Credentials(camera.username, camera.password))
        return None if verdict is Verdict.ACCEPTED else self._challenge(verdict)

    def _verdict(self, request: Request, target: Target, credentials: Credentials) -> Verdict:
        authorization = request.headers.get("authorization", "")
        fields = digest_fields(authorization)
        named = target_of(fields["uri"]) if fields is not None else None
        # Some clients sign the camera's URL in requests for its track, so cameras are compared.
        if named is None or named.camera != target.camera:
            return Verdict.REJECTED
        check = self._site.authenticator.check
        return check(authorization, request.method, credentials, self._site.now())

    def _challenge(self, verdict: Verdict) -> Response:
        stale = verdict is Verdict.STALE
        challenge = self._site.authenticator.challenge(self._site.now(), stale=stale)
        return Response(401, {"WWW-Authenticate": challenge})

    def _options(self, request: Request, target: Target, live: LiveCamera) -> Response:
        self._session(request, live)
        return Response(200, self._public())

    def _describe(self, request: Request, target: Target, live: LiveCamera) -> Response:
        accept = request.headers.get("accept", "*/*")
        if not any(kind in accept for kind in ("application/sdp", "application/*", "*/*")):
            return Response(406)
        headers = {"Content-Base": target.base_url, "Content-Type": "application/sdp"}
        return Response(200, headers, describe(live.camera.name, live.clip, self._site.host))

    def _setup(self, request: Request, target: Target, live: LiveCamera) -> Response:
        if "session" in request.headers:
            return Response(455 if self._session(request, live) else 454)
        if len(self._connection.sessions) >= MAX_SESSIONS:
            return Response(453)
        header = request.headers.get("transport", "")
        offer = choose_transport(header, live.camera.transports)
        if offer is None:
            return Response(461)
        return self._open(live, offer)

    def _open(self, live: LiveCamera, offer: TransportOffer) -> Response:
        delivery = self._tcp(offer) if offer.kind == "tcp" else self._udp(offer)
        session = Session(live, self._connection, delivery, self._site.now())
        self._site.open_session(session)
        headers = {
            "Transport": f"{delivery.header};ssrc={live.ssrc:08X}",
            "Session": f"{session.id};timeout={self._site.session_timeout_s}",
        }
        return Response(200, headers)

    def _tcp(self, offer: TransportOffer) -> Delivery:
        channels = self._connection.free_channels(offer)
        sink = InterleavedSink(self._connection.transport, channels)
        header = "RTP/AVP/TCP;unicast;interleaved={}-{}".format(*channels)
        return Delivery(sink, header, channels)

    def _udp(self, offer: TransportOffer) -> Delivery:
        ports = offer.first or 0, offer.second or 0
        udp, host = self._site.udp, self._connection.peer_host
        text = "RTP/AVP;unicast;client_port={}-{};server_port={}-{}".format(*ports, *udp.ports)
        sink = DatagramSink(udp.sockets, host, ports, self._site.loop)
        return Delivery(sink, text, rtcp_address=(host, ports[1]))

    def _play(self, request: Request, target: Target, live: LiveCamera) -> Response:
        session = self._session(request, live)
        if session is None:
            return Response(454)
        if not _RANGE.match(request.headers.get("range", "npt=now-")):
            return Response(457)
        headers = {"Session": session.id, "Range": "npt=now-"}
        if not session.playing:
            sequence, timestamp = self._site.play(session)
            if not live.faults.is_silent():
                track = target.base_url + TRACK
                headers["RTP-Info"] = f"url={track};seq={sequence};rtptime={timestamp}"
        return Response(200, headers)

    def _pause(self, request: Request, target: Target, live: LiveCamera) -> Response:
        session = self._session(request, live)
        if session is None:
            return Response(454)
        self._site.pause(session)
        return Response(200, {"Session": session.id})

    def _parameter(self, request: Request, target: Target, live: LiveCamera) -> Response:
        """Keep a session alive; there are no parameters to ask for or to set."""
        session = self._session(request, live)
        if "session" in request.headers and session is None:
            return Response(454)
        return Response(451 if request.body.strip() else 200)

    def _teardown(self, request: Request, target: Target, live: LiveCamera) -> Response:
        session = self._session(request, live)
        if session is None:
            return Response(454)
        self._site.end_session(session)
        return Response(200)

    def _session(self, request: Request, live: LiveCamera) -> Session | None:
        """Return the session that a request names, and note that its client is there."""
        identifier = request.headers.get("session", "").partition(";")[0].strip()
        session = self._site.sessions.get(identifier)
        if session is None or session.live is not live:
            return None
        session.last_seen = self._site.now()
        return session
