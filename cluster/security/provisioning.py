"""Fill the tokens of a Sightline into its configuration before it starts, as hashes only."""

from __future__ import annotations

from cluster.config import ApiConfig, AuthConfig, SightlineConfig, TokenConfig
from cluster.errors import ConfigError, FieldFault
from cluster.security.finding import token_of_file
from cluster.security.token_file import default_file, make_file, read_file
from cluster.security.tokens import Keyring, Token


def with_tokens(config: SightlineConfig) -> SightlineConfig:
    """The configuration with the hashes of all tokens in ``api.auth.tokens``.

    Where it names neither tokens nor a file, those of this machine's state folder are taken; they
    are made at the first start.

    Raises:
        ConfigError: The file cannot be read or made.
    """
    auth = config.api.auth
    if auth.mode == "off" or (auth.tokens and auth.file is None):
        return config
    path = auth.file or default_file()
    if auth.file is None:
        make_file(path)
    found = tuple(
        TokenConfig(role=line.token.role, sha256=line.token.sha256, name=line.token.name)
        for line in read_file(path)
    )
    filled = auth.model_copy(update={"tokens": (*auth.tokens, *found), "file": None})
    return config.model_copy(update={"api": config.api.model_copy(update={"auth": filled})})


def own_token(auth: AuthConfig) -> str | None:
    """The token for clients of whoever starts the API, whatever the environment says.

    Returns:
        Empty where none is needed, None where the configuration has hashes alone.

    Raises:
        ConfigError: The file of tokens cannot be read.
    """
    if auth.mode == "off":
        return ""
    if auth.tokens and auth.file is None:
        return None
    return token_of_file(auth.file or default_file())


def keyring_of(api: ApiConfig) -> Keyring | None:
    """What opens the API; None where everybody may come in.

    Raises:
        ConfigError: Tokens are asked for, and there are none.
    """
    if api.auth.mode == "off":
        return None
    if not api.auth.tokens:
        remedy = "list tokens, or set api.auth.mode to off"
        raise ConfigError("configuration", [FieldFault("api.auth.tokens", "is empty", remedy)])
    return Keyring(Token(t.role, t.sha256, t.name) for t in api.auth.tokens)
