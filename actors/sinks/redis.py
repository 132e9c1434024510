"""Redis Streams: events as flat fields, appended in pipelines, and not by slots that lost a stream.

A slot that was cut off goes on for a while, and tells late what it saw. The registry keeps, for
each stream, a list of who has claimed it when: ``owners:{stream}``, newest first, of
``<token> <claimed at, Redis ms> <slot>``. A script asks that list before it appends: what a slot
saw before the next one had claimed is true, and is written however late it comes; what it saw
after is its successor's to tell. A slot that took a lapsed lease back succeeded only itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.typing import EncodableT, FieldT

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks.formats import to_entry
from actors.sinks.specs import RedisSinkSpec

# KEYS: event stream, owners. ARGV: token, slot, ts of the event, MAXLEN, then fields and values.
# Returns 1 if the event was appended, 0 if it was refused. For Redis 6.2 or any Valkey.
_APPEND = """
local successor
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  local token, claimed_at, slot = string.match(entry, '^(%d+) (%d+) ?(.*)$')
  if not token or tonumber(token) <= tonumber(ARGV[1]) then break end
  if slot ~= ARGV[2] then successor = tonumber(claimed_at) end
end
if successor and tonumber(ARGV[3]) >= successor then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, 5))
return 1
"""
_SHA = sha1(_APPEND.encode(), usedforsecurity=False).hexdigest()


class RedisTransport:
    """Appends events with an approximate MAXLEN, a pipeline a batch.

    The connection is made with the first batch. A batch that fails is sent again as a whole, so
    entries may come twice, with the same event ``id`` and in order.
    """

    kind = "redis"

    def __init__(self, spec: RedisSinkSpec) -> None:
        self._stream = spec.stream
        self._max_len = spec.max_len
        self._fence = spec.fence
        self._format = spec.format
        self._client = redis.Redis.from_url(
            spec.url,
            socket_connect_timeout=spec.timeout_s,
            socket_timeout=spec.timeout_s,
            retry=Retry(NoBackoff(), 0),  # a repeated pipeline would hide what was sent twice
        )

    def send(self, events: Sequence[Event]) -> int:
        """Append all events but those of former owners; see ``Transport``."""
        pipeline = self._client.pipeline(transaction=False)
        fenced = [bool(self._fence and event.token) for event in events]
        if any(fenced):
            pipeline.script_load(_APPEND)  # in the same round trip: the server may be a new one
        for event, is_fenced in zip(events, fenced, strict=True):
            self._append_fenced(pipeline, event) if is_fenced else self._append(pipeline, event)
        try:
            answers = pipeline.execute()
        except redis.RedisError as error:
            raise SinkError(f"Redis took not all of {len(events)} events: {error}") from error
        return sum(answer == 0 for answer in answers)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _append(self, pipeline: redis.client.Pipeline, event: Event) -> None:
        fields: dict[FieldT, EncodableT] = {k: v for k, v in to_entry(event, self._format).items()}
        pipeline.xadd(self._stream, fields, maxlen=self._max_len, approximate=True)

    def _append_fenced(self, pipeline: redis.client.Pipeline, event: Event) -> None:
        owners = f"{self._fence}:owners:{event.stream}"
        words = [word for field in to_entry(event, self._format).items() for word in field]
        asked = [str(event.token), event.slot, str(event.ts), str(self._max_len)]
        pipeline.evalsha(_SHA, 2, self._stream, owners, *asked, *words)
