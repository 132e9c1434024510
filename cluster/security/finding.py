"""Which token a client sends where nobody has told it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from cluster.errors import ConfigError, FieldFault
from cluster.folders import announcement
from cluster.security.roles import Role
from cluster.security.token_file import default_file, read_file

TOKEN_VARIABLE = "SIGHTLINE_TOKEN"  # noqa: S105 the name of a variable
FILE_VARIABLE = "SIGHTLINE_TOKEN_FILE"


def find_token(api_url: str) -> str | None:
    """The token of the environment, else the one that this machine's Sightline made for admins.

    The latter goes to this machine only.

    Args:
        api_url: Where it is to be sent.

    Raises:
        ConfigError: The token, or the file that the environment names, cannot be used.
    """
    if text := os.environ.get(TOKEN_VARIABLE, "").strip():
        return _sendable(TOKEN_VARIABLE, text)
    if path := os.environ.get(FILE_VARIABLE, "").strip():
        return _sendable(FILE_VARIABLE, _token_in(Path(path)))
    if is_of_this_machine(api_url) and default_file().is_file():
        return token_of_file(default_file())
    return None


def token_of_file(path: Path, role: Role | None = None) -> str:
    """The token of a role in a file of tokens; without one, of the highest role.

    Raises:
        ConfigError: There is none, or the file cannot be read.
    """
    lines = [line for line in read_file(path) if line.text is not None]
    for wanted in reversed(Role) if role is None else (role,):
        for line in lines:
            if line.token.role is wanted and line.text is not None:
                return line.text
    what = "no token" if role is None else f"no token of the role {role.value}"
    fault = FieldFault("", f"has {what}, or only its hash", "add a line with the role and a token")
    raise ConfigError(str(path), [fault])


def _token_in(path: Path) -> str:
    """The token of a file that holds nothing else, as secrets are mounted, or of a file of them."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        words = path.read_text(encoding="utf-8").split()
        if len(words) == 1:
            return words[0]
    return token_of_file(path)


def is_of_this_machine(api_url: str) -> bool:
    """Whether an API is on loopback, or is the one that ``up`` has started here."""
    try:
        host = urlsplit(api_url).hostname or ""
    except ValueError:
        return False
    return _is_local(host) or api_url.rstrip("/") == _announced()


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _announced() -> str | None:
    try:
        return str(json.loads(announcement().read_text())["api"]).rstrip("/")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sendable(source: str, text: str) -> str:
    """A token that fits into a header."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    fault = FieldFault("", "holds what no token can hold", "use letters, digits, '_' and '-'")
    raise ConfigError(source, [fault])
