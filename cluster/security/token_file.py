"""Files of tokens: a line each, with role, token and, where wanted, a name.

    viewer sightline_viewer_6Wp...
    operator sha256:9f86d081884c... night-shift

``#`` begins a comment. Where only the API reads the file, the hash of a token is enough.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ConfigError, FieldFault
from cluster.folders import make_private, state_dir
from cluster.security.roles import Role
from cluster.security.tokens import Token, digest, new_token

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_HEAD = """\
# Tokens of Sightline's API: role and token. Whoever can read them can use them.
# Delete the file and start Sightline again to make new ones.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A token of a file.

    Attributes:
        token: As the API knows it.
        text: What clients send; None where the file has the hash alone.
    """

    token: Token
    text: str | None


def default_file() -> Path:
    """Where a Sightline of this machine keeps its tokens, and its clients find them."""
    return state_dir() / "tokens"


def make_file(path: Path) -> None:
    """Make a file with a token for each role that its owner alone can read; keep one that is there.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        if path.exists():
            path.chmod(0o600)
            return
        _publish(path, _HEAD + "".join(f"{role.value} {new_token(role)}\n" for role in Role))
    except OSError as error:
        remedy = "make its folder writable, or set XDG_STATE_HOME to one that is"
        fault = FieldFault("", f"cannot be written ({error.strerror})", remedy)
        raise ConfigError(str(path), [fault]) from None


def read_file(path: Path) -> list[Line]:
    """The tokens of a file.

    Raises:
        ConfigError: It cannot be read, or a line is no token; never shows a token.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        fault = FieldFault("", "cannot be read", "name a file of tokens that this user may read")
        raise ConfigError(str(path), [fault]) from None
    lines = list(_parsed(str(path), text))
    if not lines:
        raise ConfigError(str(path), [FieldFault("", "has no token", "add a role and a token")])
    return lines


def _publish(path: Path, text: str) -> None:
    """Write a whole file at once; who comes first wins, as two may start at the same time."""
    make_private(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _parsed(file: str, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        roles = [role for role in Role if role.value == words[0]]
        if not roles or not 2 <= len(words) <= 3:
            remedy = "write viewer, operator or admin, then the token, then a name if you like"
            fault = FieldFault("", "is no token", remedy, line=number)
            raise ConfigError(file, [fault])
        yield _line(roles[0], words[1], words[2] if words[2:] else words[0])


def _line(role: Role, text: str, name: str) -> Line:
    known = _HASH.fullmatch(text)
    if known:
        return Line(Token(role, known[1], name), None)
    return Line(Token(role, digest(text), name), text)
