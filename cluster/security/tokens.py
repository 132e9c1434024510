"""Bearer tokens: made at random, kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.security.roles import Role

_NUM_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the API knows it.

    Attributes:
        role: What its bearer may do.
        sha256: Hash of its text, 64 hexadecimal digits.
        name: Whose it is, for people.
    """

    role: Role
    sha256: str
    name: str


class Keyring:
    """The tokens that open the API."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = tuple(tokens)

    def find(self, text: str) -> Token | None:
        """The token of this text; looks at all of them, so that the time it takes says nothing."""
        given = digest(text)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, given):
                found = token
        return found


def new_token(role: Role) -> str:
    """A token that nobody can guess: its hash needs neither salt nor a slow function."""
    return f"sightline_{role.value}_{secrets.token_urlsafe(_NUM_RANDOM_BYTES)}"


def digest(text: str) -> str:
    """Hash of a token's text: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
