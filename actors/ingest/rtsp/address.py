"""What the URL of a camera says: where to connect, what to ask for, who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from actors.ingest.rtsp.unfamiliar import UnfamiliarError

_PORT = 554
_FFMPEG_OPTIONS = {"tcp", "udp", "multicast", "filter_src"}


@dataclass(frozen=True, slots=True)
class Address:
    """A camera's URL, taken apart.

    Attributes:
        host: Name or address.
        port: TCP port.
        url: For requests, without credentials.
        username: Decoded; None where there is none.
        password: Decoded; None where there is none.
    """

    host: str
    port: int
    url: str = field(repr=False)
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)


def parse_address(url: str) -> Address:
    """Take an ``rtsp://`` URL apart.

    Raises:
        UnfamiliarError: if it is none, or has what FFmpeg alone understands.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host = None
    if host is None or parts.scheme != "rtsp":
        raise UnfamiliarError("has an address that is not plain rtsp://host:port/path")
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.fragment or _FFMPEG_OPTIONS.intersection(parts.query.split("&")):
        raise UnfamiliarError("has an address with options for FFmpeg")
    return Address(
        host, port, checked_url(plain), _decoded(parts.username), _decoded(parts.password)
    )


def resolve(base: str, control: str) -> str:
    """The URL that a control attribute names; relative ones are put behind the base, as usual."""
    if control in ("", "*"):
        return base
    if "://" in control:
        return checked_url(control)
    return checked_url(base + ("" if base.endswith("/") else "/") + control)


def checked_url(url: str) -> str:
    """A URL that fits into the first line of a request.

    Raises:
        UnfamiliarError: if it does not.
    """
    if not (url.startswith("rtsp://") and url.isascii() and url.isprintable() and " " not in url):
        raise UnfamiliarError("has an address with characters that no request can hold")
    return url


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)
