"""Open what may be opened, and follow servers of HTTP that send clients elsewhere only so far.

FFmpeg would follow them wherever they lead, so it is told not to; what it then cannot open is asked
for its ``Location``, which is looked at as the URL was. What a playlist names is not looked at.
"""

from __future__ import annotations

import http.client
import ssl
from contextlib import closing
from urllib.parse import SplitResult, urljoin, urlsplit

from actors.errors import SourceError
from actors.ingest.locating import require_allowed
from actors.ingest.source import Source, Transport, open_source
from actors.source_policy import SourcePolicy

_MAX_REDIRECTS = 5


def open_allowed(
    url: str,
    policy: SourcePolicy,
    *,
    transport: Transport = "auto",
    open_timeout_s: float = 3.5,
    read_timeout_s: float = 3.0,
) -> Source:
    """Open the best video stream of a source; see ``open_source``.

    Raises:
        SourceError: as ``open_source`` does, and ``forbidden`` where it may not be opened.
    """
    require_allowed(url, policy)
    for _ in range(_MAX_REDIRECTS):
        try:
            return open_source(
                url,
                transport=transport,
                open_timeout_s=open_timeout_s,
                read_timeout_s=read_timeout_s,
            )
        except SourceError as error:
            location = redirect_of(url, open_timeout_s) if error.reason == "refused" else None
            if location is None:
                raise
        _require_allowed_redirect(location, policy)
        url = location
    raise SourceError("refused", f"the url is redirected {_MAX_REDIRECTS} times: give the last one")


def redirect_of(url: str, timeout_s: float) -> str | None:
    """Where the server of HTTP at a URL sends its clients; None where it does not.

    Credentials of the URL are not sent, and not taken along.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return None
    try:
        with closing(_connection(parts, timeout_s)) as connection:
            connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl())
            answer = connection.getresponse()
            location = answer.getheader("Location") if answer.status // 100 == 3 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return None if location is None else urljoin(plain, location)


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context()  # cameras sign their own; FFmpeg does not ask either
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _require_allowed_redirect(location: str, policy: SourcePolicy) -> None:
    """A server may send its clients elsewhere tomorrow, so a refusal is never final."""
    if urlsplit(location).scheme not in ("http", "https"):
        message = "the url is redirected to something else than http:// or https://"
        raise SourceError("forbidden", f"{message}: give a url that is not")
    try:
        require_allowed(location, policy)
    except SourceError as error:
        raise SourceError(error.reason, f"{error.message} (it was redirected)") from None
