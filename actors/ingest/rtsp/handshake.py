"""The requests by which a camera begins to play (RFC 2326)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.ingest.rtsp.address import Address, resolve
from actors.ingest.rtsp.authentication import Authenticator
from actors.ingest.rtsp.messages import Message, request
from actors.ingest.rtsp.sdp import VideoDescription, parse_sdp
from actors.ingest.rtsp.unfamiliar import UnfamiliarError
from actors.ingest.rtsp.wire import Wire
from actors.ingest.source_errors import refusal

_TRANSPORT = "RTP/AVP/TCP;unicast;interleaved=0-1"
_CHANNELS = re.compile(r"interleaved=(\d{1,3})-(\d{1,3})", re.ASCII)
_TIMEOUT = re.compile(r"timeout\s*=\s*(\d{1,6})", re.IGNORECASE | re.ASCII)
_SESSION_ID = re.compile(r"[\x21-\x3A\x3C-\x7E]+")
_DEFAULT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a camera and this client have agreed on.

    Attributes:
        video: What will come.
        url: For requests about the session.
        session: Its identifier.
        timeout_s: The camera may end the session when it has heard nothing for so long.
        keep_alive: The method by which it hears of this client.
        channels: Interleaved channels of RTP and RTCP.
    """

    video: VideoDescription
    url: str
    session: str
    timeout_s: int
    keep_alive: str
    channels: tuple[int, int]


class Dialogue:
    """Numbers, signs and sends requests.

    Args:
        url: Of the camera, with all it has, for messages.
        address: The same, taken apart.
        wire: The connection.
    """

    def __init__(self, url: str, address: Address, wire: Wire) -> None:
        self.cseq = 0
        self.authenticator = Authenticator(address.username, address.password)
        self._url = url
        self._wire = wire

    def encode(self, method: str, url: str, **headers: str) -> bytes:
        """The next request."""
        self.cseq += 1
        login = self.authenticator.header(method, url)
        return request(method, url, self.cseq, {"Authorization": login, **headers})

    def ask(self, method: str, url: str, **headers: str) -> Message:
        """Send a request and wait for its answer, signing in where that is asked for.

        Raises:
            SourceError: if it is refused, or not answered in time.
        """
        while True:
            self._wire.send(self.encode(method, url, **headers))
            answer = self._answer()
            challenges = answer.headers.get("www-authenticate", ())
            if answer.status != 401 or not self.authenticator.take(challenges):
                return self.accepted(answer)

    def accepted(self, answer: Message) -> Message:
        """An answer, if it grants what was asked for.

        Raises:
            SourceError: if it does not.
        """
        if answer.status == 200:
            return answer
        refused = refusal(answer.status, self._url)
        raise refused or UnfamiliarError(f"answered with status {answer.status}")

    def _answer(self) -> Message:
        while True:
            message = self._wire.take_message()
            if message is None:
                self._wire.fill()
            elif message.status and message.cseq in (self.cseq, -1):
                return message


def agree(dialogue: Dialogue, address: Address) -> Agreement:
    """Find out what a camera offers and set its video up; it does not play yet.

    Raises:
        SourceError: if it refuses; an UnfamiliarError where FFmpeg should try.
    """
    public = dialogue.ask("OPTIONS", address.url).header("public")
    described = dialogue.ask("DESCRIBE", address.url, Accept="application/sdp")
    video = parse_sdp(described.body)
    base = described.header("content-base") or address.url
    if "://" in video.aggregate_control:
        base = video.aggregate_control
    base = resolve(base, "*")
    track = resolve(base, video.control)
    answer = dialogue.ask("SETUP", track, Transport=_TRANSPORT)
    session, timeout_s = _session(answer.header("session"))
    return Agreement(
        video=video,
        url=base,
        session=session,
        timeout_s=timeout_s,
        keep_alive="GET_PARAMETER" if "GET_PARAMETER" in public.upper() else "OPTIONS",
        channels=_channels(answer.header("transport")),
    )


def _session(header: str) -> tuple[str, int]:
    identifier, _, parameters = header.partition(";")
    timeout = _TIMEOUT.search(parameters)
    if not _SESSION_ID.fullmatch(identifier.strip()):
        raise UnfamiliarError("names no session")
    seconds = int(timeout[1]) if timeout else _DEFAULT_TIMEOUT_S
    return identifier.strip(), seconds or _DEFAULT_TIMEOUT_S


def _channels(transport: str) -> tuple[int, int]:
    found = _CHANNELS.search(transport)
    channels = (int(found[1]), int(found[2])) if found else (0, 0)
    if channels[0] == channels[1] or max(channels) > 255:
        raise UnfamiliarError("sends its video by another way than inside the connection")
    return channels
