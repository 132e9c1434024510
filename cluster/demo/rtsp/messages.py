"""RTSP 1.0 messages (RFC 2326): requests cut from a byte stream, responses as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    406: "Not Acceptable",
    413: "Request Entity Too Large",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    457: "Invalid Range",
    461: "Unsupported Transport",
    501: "Not Implemented",
    505: "RTSP Version not supported",
    551: "Option not supported",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; the names of its headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """A response, all but what it repeats of its request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encode(self, request: Request | None) -> bytes:
        """Return the bytes of the response; ``request`` is None where none could be read."""
        lines = [f"RTSP/1.0 {self.status} {REASONS[self.status]}"]
        if request is not None and "cseq" in request.headers:
            lines.append(f"CSeq: {request.headers['cseq']}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join((*lines, "", "")).encode() + self.body


class MalformedRequestError(Exception):
    """Bytes that are no request; the connection cannot go on.

    Attributes:
        status: What to answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {REASONS[status]}")
        self.status = status


class RequestReader:
    """Cuts requests from what a connection receives; at most one request is held in memory."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Request]:
        """Take in bytes and yield the requests that are complete.

        Interleaved packets from the client (receiver reports) are read over.

        Raises:
            MalformedRequestError: The bytes are no RTSP request, or one that is too long.
        """
        self._buffer += data
        while self._buffer:
            if self._buffer[0] == 0x24:
                if not self._skip_interleaved():
                    return
            elif self._buffer[0] in b"\r\n":
                del self._buffer[0]
            else:
                request = self._next_request()
                if request is None:
                    return
                yield request

    def _skip_interleaved(self) -> bool:
        end = 4 + int.from_bytes(self._buffer[2:4], "big")
        if len(self._buffer) < max(end, 4):
            return False
        del self._buffer[:end]
        return True

    def _next_request(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise MalformedRequestError(413)
            return None
        method, url, headers = _parse_head(bytes(self._buffer[:end]))
        body_begin, body_end = end + 4, end + 4 + _content_length(headers)
        if len(self._buffer) < body_end:
            return None
        body = bytes(self._buffer[body_begin:body_end])
        del self._buffer[:body_end]
        return Request(method, url, headers, body)


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    try:
        first, *lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise MalformedRequestError(400) from error
    words = first.split(" ")
    if len(words) != 3 or not words[0].isupper():
        raise MalformedRequestError(400)
    if words[2] != "RTSP/1.0":
        raise MalformedRequestError(505)
    pairs = [line.partition(":") for line in lines]
    if not all(separator for _, separator, _ in pairs):
        raise MalformedRequestError(400)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if not headers.get("cseq", "").isdecimal():
        raise MalformedRequestError(400)
    return words[0], words[1], headers


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise MalformedRequestError(400)
    if int(text) > MAX_BODY_BYTES:
        raise MalformedRequestError(413)
    return int(text)
