"""The connection to Redis that the parts of a registry share, and the names of its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from cluster.errors import ConfigError, FieldFault, UnavailableError
from cluster.redaction import redacted

_CONNECT_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 5.0
_CHECK_IDLE_AFTER_S = 15


def connect(url: str) -> redis.Redis:
    """A client for a Redis or Valkey URL; it connects at its first use.

    Raises:
        ConfigError: The URL is not one that Redis clients understand.
    """
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_timeout=_ANSWER_TIMEOUT_S,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            health_check_interval=_CHECK_IDLE_AFTER_S,
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise ConfigError(
            "configuration",
            [FieldFault("redis.url", "is not a Redis URL", "write it as redis://host:6379/0")],
        ) from None


class StaleIndexError(Exception):
    """Records were written by a version that keeps no index: it has to be built anew."""


class Store:
    """Commands and scripts on one Redis, with all keys under one prefix."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.client: Any = client  # redis-py types each answer as one that may be awaited
        self.prefix = prefix

    @property
    def address(self) -> str:
        """Host and port for messages, without credentials."""
        options = self.client.connection_pool.connection_kwargs
        return str(options.get("path") or f"{options.get('host')}:{options.get('port')}")

    def key(self, *parts: str) -> str:
        """A key of this registry."""
        return ":".join((self.prefix, *parts))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn every fault of Redis into an UnavailableError.

        Raises:
            UnavailableError: Redis does not answer, or refuses.
        """
        try:
            yield
        except (RedisError, OSError) as error:
            raise UnavailableError(
                f"Redis at {self.address} does not serve us ({redacted(str(error))}): "
                "check that it runs, that redis.url is right, and that it accepts writes"
            ) from None

    def command(self, *words: str | int | float) -> Any:
        """Run one command."""
        with self.guarded():
            return self.client.execute_command(*words)

    def commands(self, batch: Sequence[tuple[str | int | float, ...]]) -> list[Any]:
        """Run many commands in one round trip; they are not atomic."""
        if not batch:
            return []
        with self.guarded(), self.client.pipeline(transaction=False) as pipeline:
            for words in batch:
                pipeline.execute_command(*words)
            return list(pipeline.execute())

    def script(
        self, source: str, args: Sequence[str | int | bytes], *, is_raw: bool = False
    ) -> Any:
        """Run a Lua script atomically, with the prefix as its key.

        Args:
            source: The script.
            args: What it gets.
            is_raw: Take strings of the answer as bytes.

        Raises:
            StaleIndexError: The script found that the index is not of the current revision.
            UnavailableError: Redis does not answer, or refuses.
        """
        options = {NEVER_DECODE: True} if is_raw else {}
        words = (1, self.prefix, *args)
        with self.guarded():
            try:
                return self.client.execute_command("EVALSHA", _sha1(source), *words, **options)
            except NoScriptError:
                return self._first_run(source, words, options)
            except ResponseError as error:
                raise _stale_or(error) from None

    def _first_run(self, source: str, words: Sequence[Any], options: dict[str, Any]) -> Any:
        """The server keeps the script from now on, until it is started again."""
        try:
            return self.client.execute_command("EVAL", source, *words, **options)
        except ResponseError as error:
            raise _stale_or(error) from None


@lru_cache(maxsize=64)
def _sha1(source: str) -> str:
    """The name by which the server knows a script."""
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _stale_or(error: ResponseError) -> Exception:
    return StaleIndexError() if str(error).startswith("STALEINDEX") else error
