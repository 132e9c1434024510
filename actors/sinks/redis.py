"""Redis Streams: events as flat fields, appended in pipelines."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.typing import EncodableT, FieldT

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks.specs import RedisSinkSpec


class RedisTransport:
    """Appends events with XADD and an approximate MAXLEN, a pipeline a batch.

    The connection is made with the first batch. A batch that fails is sent again as a whole, so
    entries may come twice, with the same event ``id`` and in order.
    """

    kind = "redis"

    def __init__(self, spec: RedisSinkSpec) -> None:
        self._stream = spec.stream
        self._max_len = spec.max_len
        self._client = redis.Redis.from_url(
            spec.url,
            socket_connect_timeout=spec.timeout_s,
            socket_timeout=spec.timeout_s,
            retry=Retry(NoBackoff(), 0),  # a repeated pipeline would hide what was sent twice
        )

    def send(self, events: Sequence[Event]) -> None:
        """Append all events; see ``Transport``."""
        pipeline = self._client.pipeline(transaction=False)
        for event in events:
            fields: dict[FieldT, EncodableT] = {k: v for k, v in event.to_fields().items()}
            pipeline.xadd(self._stream, fields, maxlen=self._max_len, approximate=True)
        try:
            pipeline.execute()
        except redis.RedisError as error:
            raise SinkError(f"Redis took not all of {len(events)} events: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
