"""The Transport header of SETUP (RFC 2326, section 12.39)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class TransportOffer:
    """One way of delivery that a client offers.

    Attributes:
        kind: ``"tcp"`` or ``"udp"``.
        first: First interleaved channel, or port of RTP; None where the client leaves it open.
        second: Channel or port of RTCP.
    """

    kind: str
    first: int | None
    second: int | None


def choose_transport(header: str, allowed: Collection[str]) -> TransportOffer | None:
    """Return the first offer of a Transport header that can be served, or None."""
    offers = (offer for offer in _offers(header) if offer.kind in allowed)
    return next(offers, None)


def _offers(header: str) -> Iterator[TransportOffer]:
    for text in header.split(","):
        profile, *fields = (part.strip() for part in text.split(";"))
        names = {field.partition("=")[0].lower(): field.partition("=")[2] for field in fields}
        if "multicast" in names:
            continue
        if profile.upper() == "RTP/AVP/TCP":
            yield from _offer("tcp", names.get("interleaved"), max_value=255)
        elif profile.upper() in ("RTP/AVP", "RTP/AVP/UDP"):
            yield from _offer("udp", names.get("client_port", ""), max_value=65535)


def _offer(kind: str, pair: str | None, max_value: int) -> Iterator[TransportOffer]:
    if pair is None:
        yield TransportOffer(kind, None, None)
        return
    match = _PORTS.fullmatch(pair.strip())
    if match is None:
        return
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    if (kind == "tcp" or first) and max(first, second) <= max_value:
        yield TransportOffer(kind, first, second)
