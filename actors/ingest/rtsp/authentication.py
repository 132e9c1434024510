"""How a client proves who it is: Digest (RFC 7616, MD5 and SHA-256) and Basic (RFC 7617)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from actors.ingest.rtsp.unfamiliar import UnfamiliarError

_PART = re.compile(
    r'(?:([A-Za-z][\w-]*)[ \t]+)?([A-Za-z][\w-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))'
)
_HASHES: Mapping[str, str] = {"": "md5", "MD5": "md5", "SHA-256": "sha256"}
_PREFERENCE = ("sha256", "md5", "basic")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server wants to be answered with.

    Attributes:
        kind: ``basic``, or the hash of a digest: ``md5`` or ``sha256``.
        fields: As they came, quotes taken off and escapes left in.
    """

    kind: str
    fields: Mapping[str, str]


class Authenticator:
    """The credentials of one camera, and what it last asked for.

    Args:
        username: As the URL has it, decoded; None where it has none.
        password: Likewise.

    Raises:
        UnfamiliarError: if the name cannot be written into a header.
    """

    def __init__(self, username: str | None, password: str | None) -> None:
        self._username = username or ""
        self._password = password or ""
        self._has_credentials = username is not None
        self._challenge: Challenge | None = None
        self._num_used = 0
        if not self._username.isprintable():
            raise UnfamiliarError("has a user name with control characters")

    def take(self, challenges: Sequence[str]) -> bool:
        """Take up what a refusal asks for; whether it is worth asking again.

        Raises:
            UnfamiliarError: if it asks for something else than Digest or Basic.
        """
        if not self._has_credentials:
            return False
        best = best_challenge(challenges)
        if best is None:
            raise UnfamiliarError("asks for a login other than Digest or Basic")
        has_failed = self._challenge is not None and self._challenge.kind == best.kind
        is_stale = best.fields.get("stale", "").lower() == "true"
        is_new = best.fields.get("nonce") != (self._challenge or best).fields.get("nonce")
        self._challenge, self._num_used = best, 0
        return not has_failed or (is_stale and is_new)

    def header(self, method: str, url: str) -> str:
        """The value of ``Authorization`` for a request; empty where none was asked for."""
        if self._challenge is None:
            return ""
        if self._challenge.kind == "basic":
            pair = f"{self._username}:{self._password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        self._num_used += 1
        return self._digest(self._challenge, method, url)

    def _digest(self, challenge: Challenge, method: str, url: str) -> str:
        digest, fields = _hasher(challenge.kind), challenge.fields
        count, own_nonce = f"{self._num_used:08x}", secrets.token_hex(8)
        user = digest(f"{self._username}:{_plain(fields['realm'])}:{self._password}")
        has_qop = "qop" in fields
        middle = f"{count}:{own_nonce}:auth:" if has_qop else ""
        response = digest(f"{user}:{_plain(fields['nonce'])}:{middle}{digest(f'{method}:{url}')}")
        parts = {
            "username": re.sub(r'(["\\])', r"\\\1", self._username),
            "realm": fields["realm"],
            "nonce": fields["nonce"],
            "uri": url,
            "response": response,
            **{name: fields[name] for name in ("opaque",) if name in fields},
            **({"cnonce": own_nonce} if has_qop else {}),
        }
        bare = [f"algorithm={fields['algorithm']}"] if "algorithm" in fields else []
        bare += [f"qop=auth, nc={count}"] if has_qop else []
        return "Digest " + ", ".join([*(f'{k}="{v}"' for k, v in parts.items()), *bare])


def best_challenge(values: Iterable[str]) -> Challenge | None:
    """The strongest challenge of ``WWW-Authenticate`` that can be met, or None."""
    known = [challenge for value in values for challenge in _known(value)]
    return min(known, key=lambda each: _PREFERENCE.index(each.kind), default=None)


def _known(value: str) -> Iterator[Challenge]:
    for scheme, fields in _schemes(value):
        if scheme == "basic":
            yield Challenge("basic", fields)
        elif scheme == "digest" and {"realm", "nonce"} <= fields.keys():
            kind = _HASHES.get(fields.get("algorithm", "").upper())
            offers = {each.strip().lower() for each in fields.get("qop", "auth").split(",")}
            if kind is not None and "auth" in offers:
                yield Challenge(kind, fields)


def _schemes(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each scheme that a header names, with its fields."""
    scheme, fields = "", dict[str, str]()
    for begin, name, quoted, token in _PART.findall(value):
        if begin:
            if scheme:
                yield scheme, fields
            scheme, fields = begin.lower(), {}
        fields[name.lower()] = quoted or token
    if scheme:
        yield scheme, fields


def _hasher(kind: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)
