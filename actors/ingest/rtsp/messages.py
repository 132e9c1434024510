"""RTSP 1.0 messages (RFC 2326): requests as bytes, responses and requests of the other side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.ingest.rtsp.unfamiliar import UnfamiliarError

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
_USER_AGENT = "Sightline"


@dataclass(frozen=True, slots=True)
class Message:
    """What a server sends besides video.

    Attributes:
        status: Of a response; 0 where it is a request.
        method: Of a request; empty where it is a response.
        headers: All values of each header, by its name in lower case.
        body: Empty for most.
    """

    status: int
    method: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first value of a header, named in lower case; empty where it is not there."""
        values = self.headers.get(name)
        return values[0] if values else ""

    @property
    def cseq(self) -> int:
        """The request that it is or answers; -1 where it does not say."""
        text = self.header("cseq")
        return int(text) if _is_number(text) else -1


def request(method: str, url: str, cseq: int, headers: Mapping[str, str]) -> bytes:
    """A request without a body; headers that are empty are left out."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {cseq}", f"User-Agent: {_USER_AGENT}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join((*lines, "", "")).encode()


def answer(to: Message) -> bytes:
    """What a server's own request gets: it may ask whether this client is still there."""
    status = "200 OK" if to.method in ("OPTIONS", "GET_PARAMETER") else "501 Not Implemented"
    return f"RTSP/1.0 {status}\r\nCSeq: {to.header('cseq')}\r\n\r\n".encode()


def parse_head(head: bytes) -> tuple[Message, int]:
    """A message without its body, and the length of the body in bytes.

    Raises:
        UnfamiliarError: if it is no RTSP message, or one that is too long.
    """
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2:
        raise UnfamiliarError("sends what is no RTSP")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    message = Message(*_kind(words), headers)
    return message, _body_bytes(message.header("content-length") or "0")


def _kind(words: Sequence[str]) -> tuple[int, str]:
    """Status of a response or method of a request."""
    if words[0].startswith("RTSP/1."):
        if _is_number(words[1]) and len(words[1]) == 3:
            return int(words[1]), ""
    elif words[-1].startswith("RTSP/1.") and words[0].isascii() and words[0].isupper():
        return 0, words[0]
    raise UnfamiliarError("sends what is no RTSP 1.0")


def _body_bytes(text: str) -> int:
    if not _is_number(text) or int(text) > MAX_BODY_BYTES:
        raise UnfamiliarError(f"announces an answer of more than {MAX_BODY_BYTES >> 10} KiB")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
