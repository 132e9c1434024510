"""AuthConfig: whom the API lets in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from cluster.config.section import Section
from cluster.security.roles import Role


class TokenConfig(Section):
    """A token that opens the API, by its hash."""

    role: Role = Field(description="viewer may read, operator change streams, admin everything.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the token, in hexadecimal; `sightline token new` prints both.",
    )
    name: str = Field("", max_length=64, description="Whose it is, for people.")


class AuthConfig(Section):
    """Whom the API lets in."""

    mode: Literal["token", "off"] = Field(
        "token", description="token asks for a bearer token, off lets everybody in."
    )
    tokens: tuple[TokenConfig, ...] = Field(
        (), max_length=1000, description="Hashes of the tokens that open it."
    )
    file: Path | None = Field(
        None,
        description="File with more tokens, a line each: role, token or sha256:HASH, name. null "
        "takes ~/.local/state/sightline/tokens where `tokens` is empty, and makes it if need be.",
    )
    open_metrics: bool = Field(
        False, description="Whether /metrics can be read without a token, as /healthz can."
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _off_is_a_word(cls, mode: object) -> object:
        return "off" if mode is False else mode  # YAML reads a bare `off` as false
