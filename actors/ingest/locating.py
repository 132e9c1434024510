"""Find out where a URL leads, and refuse what may not be opened.

Names are looked up again each time that a source is opened: what they stand for may change.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from urllib.parse import unquote, urlsplit

from actors.errors import SourceError
from actors.source_policy import IPAddress, SourcePolicy, Target


def locate(url: str) -> Target:
    """Where a URL leads: looks its host up, or follows its file's links; may take seconds."""
    parts = urlsplit(url)
    if not url.isprintable():
        return Target(parts.scheme, is_plain=False)
    if parts.scheme == "file":
        return Target("file", path=os.path.realpath(unquote(parts.path)))
    host = (parts.hostname or "").rstrip(".")
    return Target(parts.scheme, host, _addresses_of(host))


def require_allowed(url: str, policy: SourcePolicy) -> None:
    """Refuse to open what the policy does not allow.

    Raises:
        SourceError: ``forbidden``, or ``refused`` where the host cannot be found; messages name
            the host, and no credentials.
    """
    target = locate(url)
    refusal = policy.refusal(target)
    if refusal is not None:
        message = f"the url {refusal.message}: {refusal.remedy}"
        raise SourceError("forbidden", message, permanent=refusal.is_final)
    if target.host and not target.addresses:
        message = f"{target.host} cannot be reached: check the host name and the network"
        raise SourceError("refused", message)


def _addresses_of(host: str) -> tuple[IPAddress, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter from names that cannot be
        return ()
    return tuple(dict.fromkeys(ipaddress.ip_address(str(entry[4][0])) for entry in found))
