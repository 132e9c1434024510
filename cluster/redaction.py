"""Take credentials out of any text that leaves the registry: answers, logs, states, metrics."""

from __future__ import annotations

import re

# Greedy to the last '@': a password may hold '/', ':' or '@' without being percent-encoded.
_USER_INFO = re.compile(r"(?<=://)\S*@")
_USER_INFO_OF_URL = re.compile(r"(?s)(?<=://).*@")
# Cameras also take them in the path or query: ?user=a&pwd=b, /user=a_password=b_channel=1.
_NAME = (
    r"(?i)((?:^|[?&/;#_])(?:u|p|pw|tk|jwt|[\w.-]*"
    r"(?:user|usr|login|account|pas|pwd|psw|auth|token|secret|key|sig|cred|session)[\w.-]*)=)"
)
_PARAMETER = re.compile(_NAME + r"[^&\s#/'\"]*")
_PARAMETER_OF_QUERY = re.compile(_NAME + r"[^&#]*")
PLACEHOLDER = "***"


def redacted(text: str) -> str:
    """The text with user, password and secret parameters of every URL in it replaced by ``***``."""
    return _PARAMETER.sub(rf"\1{PLACEHOLDER}", _USER_INFO.sub(f"{PLACEHOLDER}@", text))


def shown_value(text: str | None) -> str | None:
    """A value that was given, for a message; None where it is a URL in whatever form."""
    return None if text is None or "://" in text else redacted(text)


def redacted_url(url: str) -> str:
    """The same for a text that is one URL and nothing else: its passwords may hold anything."""
    url = _USER_INFO_OF_URL.sub(f"{PLACEHOLDER}@", url, count=1)
    path, mark, query = url.partition("?")
    return redacted(path) + _PARAMETER_OF_QUERY.sub(rf"\1{PLACEHOLDER}", mark + query)
