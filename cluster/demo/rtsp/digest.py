"""Digest authentication (RFC 2617 and RFC 7616, MD5, ``qop`` absent or ``auth``)."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

REALM = "sightline"
NONCE_LIFETIME_S = 300.0
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_REQUIRED = {"username", "realm", "nonce", "uri", "response"}


class Verdict(enum.Enum):
    """What became of a client's credentials."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    STALE = "stale"
    """Right, but for a nonce that has expired: the client may try again without asking."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may watch a camera."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"


class DigestAuthenticator:
    """Makes nonces and checks what clients make of them.

    A nonce is the time of its making and a keyed hash of it, so that none need be remembered.
    """

    def __init__(self, nonce_lifetime_s: float = NONCE_LIFETIME_S) -> None:
        self._secret = secrets.token_bytes(32)
        self._nonce_lifetime_s = nonce_lifetime_s

    def challenge(self, now: float, *, stale: bool = False) -> str:
        """Return the value of ``WWW-Authenticate``; ``now`` is a clock that never steps back."""
        nonce = self._nonce(f"{int(now * 1000):x}")
        end = ", stale=true" if stale else ""
        return f'Digest realm="{REALM}", nonce="{nonce}", algorithm=MD5, qop="auth"{end}'

    def check(
        self, authorization: str, method: str, credentials: Credentials, now: float
    ) -> Verdict:
        """Check the value of ``Authorization``; the caller compares its ``uri`` to the request."""
        fields = digest_fields(authorization)
        if fields is None:
            return Verdict.REJECTED
        expected = _expected_response(fields, method, credentials)
        right_user = _same(fields["username"], credentials.username)
        right_response = _same(fields["response"].lower(), expected)
        if not (right_user and right_response and self._is_ours(fields["nonce"])):
            return Verdict.REJECTED
        age_s = now - int(fields["nonce"].partition(".")[0], 16) / 1000
        return Verdict.STALE if age_s > self._nonce_lifetime_s else Verdict.ACCEPTED

    def _nonce(self, made: str) -> str:
        tag = hmac.new(self._secret, made.encode(), hashlib.sha256).hexdigest()
        return f"{made}.{tag[:32]}"

    def _is_ours(self, nonce: str) -> bool:
        return _same(nonce, self._nonce(nonce.partition(".")[0]))


def digest_fields(authorization: str) -> Mapping[str, str] | None:
    """Return the fields of a digest, or None where it is another scheme or lacks one."""
    scheme, _, rest = authorization.partition(" ")
    fields = {
        match[1].lower(): match[3] or re.sub(r"\\(.)", r"\1", match[2] or "")
        for match in _PARAMETER.finditer(rest)
    }
    if scheme.lower() != "digest" or not fields.keys() >= _REQUIRED:
        return None
    known = fields.get("algorithm", "MD5").upper() == "MD5" and fields["realm"] == REALM
    qop = fields.get("qop")
    whole = qop is None or (qop == "auth" and fields.keys() >= {"nc", "cnonce"})
    return fields if known and whole else None


def _expected_response(fields: Mapping[str, str], method: str, credentials: Credentials) -> str:
    """RFC 2617, section 3.2.2.1; without ``qop``, the form of RFC 2069."""
    user = _md5(f"{credentials.username}:{REALM}:{credentials.password}")
    request = _md5(f"{method}:{fields['uri']}")
    if "qop" in fields:
        extra = f"{fields['nc']}:{fields['cnonce']}:{fields['qop']}"
        return _md5(f"{user}:{fields['nonce']}:{extra}:{request}")
    return _md5(f"{user}:{fields['nonce']}:{request}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
