"""Read the event stream in Redis, for clients that follow it live or from where they left off."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from cluster.errors import UnavailableError
from cluster.redaction import redacted

_BATCH_SIZE = 200
_CONNECT_TIMEOUT_S = 2.0
_JSON_FIELDS = frozenset({"box", "labels", "data"})
_NUMBERS = frozenset({"schema", "ts", "pts", "track", "confidence"})
_ID = re.compile(r"(\d{1,20})-(\d{1,20})")
_MILLISECONDS = re.compile(r"\d{1,15}")


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was written, with its values typed.

    Attributes:
        id: Id in the Redis stream, ``1750000000000-0``; reading goes on after it.
        data: Fields of the event; ``box``, ``labels`` and ``data`` as JSON values.
    """

    id: str
    data: dict[str, Any]

    @property
    def type(self) -> str:
        """``line_cross``, ``zone_enter`` and so on."""
        return str(self.data.get("type", ""))

    @property
    def stream(self) -> str:
        """Id of the stream that it is about."""
        return str(self.data.get("stream", ""))


class EventReader:
    """Follows the event stream for a bounded number of clients, each from its own place.

    Args:
        url: Redis.
        key: The event stream.
        max_clients: So many may follow at once; each holds a connection while it waits.
    """

    def __init__(self, url: str, key: str, max_clients: int = 64) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            socket_timeout=None,  # a blocking read bounds itself
            health_check_interval=0,
            max_connections=max_clients + 8,
        )
        self._key = key
        self._max_clients = max_clients
        self._num_clients = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a client while it follows.

        Raises:
            UnavailableError: There are too many already.
        """
        if self._num_clients >= self._max_clients:
            raise UnavailableError(
                f"{self._max_clients} clients follow the events, the most allowed: try again later"
            )
        self._num_clients += 1
        try:
            yield
        finally:
            self._num_clients -= 1

    async def last_id(self) -> str:
        """Id of the newest event; ``0-0`` where there is none.

        Raises:
            UnavailableError: Redis does not answer.
        """
        try:
            newest = await self._client.xrevrange(self._key, count=1)
        except (RedisError, OSError) as error:
            raise _away(error) from None
        return str(newest[0][0]) if newest else "0-0"

    async def follow(self, after: str, wait_s: float) -> AsyncIterator[list[Event]]:
        """Batches of events after an id, in order, without end; an empty one each ``wait_s``.

        Raises:
            UnavailableError: Redis does not answer; following again after the last id goes on.
        """
        while True:
            batch = await self._read(after, wait_s)
            if batch:
                after = batch[-1].id
            yield batch

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _read(self, after: str, wait_s: float) -> list[Event]:
        block_ms = max(1, round(wait_s * 1e3))
        try:
            answer = await self._client.xread({self._key: after}, _BATCH_SIZE, block_ms)
        except (RedisError, OSError) as error:
            raise _away(error) from None
        return [event_of(entry, fields) for _, entries in answer for entry, fields in entries]


def event_of(entry: str, fields: dict[str, str]) -> Event:
    """An event from the flat fields that are written to Redis."""
    return Event(entry, {name: _typed(name, text) for name, text in fields.items()})


def start_id(since: str) -> str | None:
    """The id to read after, for an event id or UTC milliseconds; None where it is neither."""
    if _ID.fullmatch(since):
        return since
    if not _MILLISECONDS.fullmatch(since):
        return None
    milliseconds = int(since)
    return f"{milliseconds - 1}-{2**64 - 1}" if milliseconds else "0-0"


def _typed(name: str, text: str) -> Any:
    if name not in _JSON_FIELDS and name not in _NUMBERS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _away(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"the events cannot be read from Redis ({redacted(str(error))}): check that it runs"
    )
