"""The slots that are alive: each says so again and again, and is forgotten when it stops."""

from __future__ import annotations

from pydantic import ValidationError

from cluster.registry.records import SlotInfo
from cluster.registry.scripts import FREE_MOVES, HEARD, NAMES, TAKERS
from cluster.registry.store import Store

# What was kept for a slot is anybody's, and all are called.
_KEEPING = (
    NAMES
    + FREE_MOVES
    + """
local function keep_nothing_for(slot)
  local freed = free_moves(function(to) return to == slot end)
  if freed then redis.call('PUBLISH', key('wake'), freed) end
end
"""
)

# ARGV: slot, load, time to live in ms.
_PUBLISH_LOAD = (
    _KEEPING
    + HEARD
    + TAKERS
    + """
local until_ms = string.format('%.0f', now_ms + ARGV[3])
redis.call('HSET', key('loads'), ARGV[1], until_ms .. ' ' .. ARGV[2])
if not takes_streams(ARGV[1]) then keep_nothing_for(ARGV[1]) end
return 1
"""
)

# ARGV: slot.
_FORGET = (
    _KEEPING
    + """
redis.call('HDEL', key('loads'), ARGV[1])
keep_nothing_for(ARGV[1])
return 1
"""
)

# Returns the time in ms, then slot and load in turn; no more, since each slot asks each second.
_LOADS = (
    NAMES
    + """
return {string.format('%.0f', now_ms), redis.call('HGETALL', key('loads'))}
"""
)

# ARGV: slots, of which some may have published again meanwhile.
_BURY = (
    NAMES
    + """
for _, slot in ipairs(ARGV) do
  local until_ms = string.match(redis.call('HGET', key('loads'), slot) or '', '^%d+')
  if until_ms and tonumber(until_ms) <= now_ms then redis.call('HDEL', key('loads'), slot) end
end
return 1
"""
)


class Slots:
    """Slots by name. A slot that does not publish within its time to live is dead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = store.key("slots")

    def publish(self, info: SlotInfo, ttl_ms: int) -> None:
        """Say that a slot lives, and how it is."""
        self._store.commands(
            [
                ("SET", self._key(info.name), info.model_dump_json(), "PX", ttl_ms),
                ("SADD", self._index, info.name),
            ]
        )

    def publish_load(self, name: str, load: str, ttl_ms: int) -> None:
        """Say what a slot can do and what it has, for the decisions of the others.

        Args:
            name: The slot's.
            load: One line of text.
            ttl_ms: How long it is true without being said again.
        """
        self._store.script(_PUBLISH_LOAD, [name, load, ttl_ms])

    def loads(self) -> dict[str, str]:
        """What each slot last said of its load; what is too old is forgotten."""
        now_ms, pairs = self._store.script(_LOADS, [])
        live, dead = {}, []
        for name, text in zip(pairs[::2], pairs[1::2], strict=True):
            until_ms, _, load = text.partition(" ")
            if int(until_ms) > int(now_ms):
                live[name] = load
            else:
                dead.append(name)
        if dead:
            self._store.script(_BURY, dead)
        return live

    def remove(self, name: str) -> None:
        """Forget a slot that has ended."""
        self._store.commands(
            [
                ("DEL", self._key(name)),
                ("SREM", self._index, name),
            ]
        )
        self._store.script(_FORGET, [name])

    def all(self) -> dict[str, SlotInfo]:
        """The live slots by name, in order; dead ones are dropped from the index."""
        names = sorted(self._store.command("SMEMBERS", self._index))
        if not names:
            return {}
        texts = dict(zip(names, self._store.command("MGET", *map(self._key, names)), strict=True))
        dead = [name for name, text in texts.items() if text is None]
        if dead:
            self._store.command("SREM", self._index, *dead)
        parsed = {name: _parsed(text) for name, text in texts.items() if text is not None}
        return {name: info for name, info in parsed.items() if info is not None}

    def _key(self, name: str) -> str:
        return self._store.key("slot", name)


def _parsed(text: str) -> SlotInfo | None:
    try:
        return SlotInfo.model_validate_json(text)
    except ValidationError:
        return None
