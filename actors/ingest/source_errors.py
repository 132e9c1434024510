"""Turns FFmpeg's errors into SourceErrors that people can act on, without any credentials."""

from __future__ import annotations

import builtins
import errno
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from av.error import (
    ConnectionRefusedError,
    DecoderNotFoundError,
    DemuxerNotFoundError,
    ExitError,
    FFmpegError,
    FileNotFoundError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPServerError,
    HTTPTooManyRequestsError,
    HTTPUnauthorizedError,
    InvalidDataError,
    IsADirectoryError,
    PatchWelcomeError,
    PermissionError,
    ProtocolNotFoundError,
    TimeoutError,
)

from actors.errors import SourceError


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: str
    text: str


_NO_ANSWER = _Meaning("timeout", "does not answer: check its power, network and address")
_NO_ROUTE = _Meaning("refused", "cannot be reached: check the host name and the network")
_BROKEN = _Meaning("disconnected", "broke the connection off")
_LOGIN = _Meaning("unauthorized", "refuses the login: check user and password in the url")
_FAILING = _Meaning("refused", "answered with a server error: check how many clients it allows")
_BROKEN_OPEN = _Meaning(
    "disconnected", "broke off while it was opened: check port and path in the url, and the camera"
)
_NOT_FOUND = _Meaning("not_found", "has no such stream: check the path in the url")
_REFUSING = _Meaning("refused", "refuses connections: check the port in the url and that it is on")
_UNKNOWN_CODING = _Meaning(
    "unsupported", "sends a coding that cannot be decoded here: choose H.264 or H.265"
)

_BY_TYPE: tuple[tuple[type[FFmpegError], _Meaning], ...] = (
    (HTTPUnauthorizedError, _LOGIN),
    (HTTPForbiddenError, _LOGIN),
    (HTTPNotFoundError, _NOT_FOUND),
    (HTTPServerError, _FAILING),
    (HTTPTooManyRequestsError, _FAILING),
    (FileNotFoundError, _Meaning("not_found", "does not exist: check the path in the url")),
    (PermissionError, _Meaning("unauthorized", "may not be read: check its permissions")),
    (IsADirectoryError, _Meaning("invalid", "is a folder: give the path of a video file")),
    (ConnectionRefusedError, _REFUSING),
    (TimeoutError, _NO_ANSWER),
    (ExitError, _NO_ANSWER),
    (DecoderNotFoundError, _UNKNOWN_CODING),
    (PatchWelcomeError, _UNKNOWN_CODING),
    (DemuxerNotFoundError, _Meaning("unsupported", "is of an unknown format: give H.264 in MP4")),
    (ProtocolNotFoundError, _Meaning("unsupported", "asks for a protocol that is not allowed")),
    (InvalidDataError, _Meaning("invalid", "does not send video that can be read")),
)

_BY_ERRNO: dict[int, _Meaning] = {
    errno.EPROTONOSUPPORT: _Meaning(
        "unsupported", "does not offer this transport: set transport to auto"
    ),
    errno.ECONNREFUSED: _REFUSING,
    errno.ETIMEDOUT: _NO_ANSWER,
    errno.EHOSTUNREACH: _NO_ROUTE,
    errno.ENETUNREACH: _NO_ROUTE,
    errno.EIO: _NO_ROUTE,
    errno.ECONNRESET: _BROKEN,
    errno.ECONNABORTED: _BROKEN,
    errno.EPIPE: _BROKEN,
}

_BY_STATUS = {401: _LOGIN, 403: _LOGIN, 404: _NOT_FOUND, 429: _FAILING}


def source_error(error: FFmpegError, url: str) -> SourceError:
    """What an error of FFmpeg means for the source at ``url``.

    Errors of a file are permanent; a camera may be mended, so it is worth trying again.
    """
    meaning = _meaning_of(error)
    if isinstance(error, InvalidDataError) and is_rtsp(url):
        meaning = _BROKEN_OPEN  # all that FFmpeg says of a handshake that ends too early
    if meaning is None:
        meaning = _Meaning("invalid", f"cannot be read ({_code_name(error)})")
    return failure(url, meaning.reason, meaning.text)


def refusal(status: int, url: str) -> SourceError | None:
    """What a server's refusal means, by its status; None where FFmpeg knows no better either."""
    meaning = _FAILING if 500 <= status < 600 else _BY_STATUS.get(status)
    return None if meaning is None else failure(url, meaning.reason, meaning.text)


def connection_error(error: OSError | UnicodeError, url: str) -> SourceError:
    """What a failed connection means; names that cannot be found are errors without a known one."""
    is_late = isinstance(error, builtins.TimeoutError)
    meaning = _NO_ANSWER if is_late else _BY_ERRNO.get(getattr(error, "errno", 0) or 0, _NO_ROUTE)
    return failure(url, meaning.reason, meaning.text)


def broken_open(url: str) -> SourceError:
    """A SourceError about a camera that hung up before it played."""
    return failure(url, _BROKEN_OPEN.reason, _BROKEN_OPEN.text)


def failure(url: str, reason: str, text: str) -> SourceError:
    """A SourceError about the source at ``url``; ``text`` continues a sentence that names it."""
    return SourceError(reason, f"{describe(url)} {text}", permanent=is_file(url))


def describe(url: str) -> str:
    """The source for messages: host and port, or the file; paths and queries may hold passwords."""
    if is_file(url):
        return f"the file {file_path(url)}"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def timed_out(url: str) -> SourceError:
    """A SourceError about a source that did not open in time."""
    return failure(url, _NO_ANSWER.reason, _NO_ANSWER.text)


def is_rtsp(url: str) -> bool:
    """Whether the URL names a camera."""
    return url.startswith(("rtsp://", "rtsps://"))


def is_file(url: str) -> bool:
    """Whether the URL names a file of this machine."""
    return url.startswith("file://")


def file_path(url: str) -> str:
    """The path that a file URL names."""
    return unquote(urlsplit(url).path)


def is_unsupported_transport(error: FFmpegError) -> bool:
    """Whether a server has said that it does not offer RTP over this transport (RTSP 461)."""
    return error.errno == errno.EPROTONOSUPPORT


def _meaning_of(error: FFmpegError) -> _Meaning | None:
    for kind, meaning in _BY_TYPE:
        if isinstance(error, kind):
            return meaning
    return _BY_ERRNO.get(error.errno or 0)


def _code_name(error: FFmpegError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
