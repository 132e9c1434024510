"""The slots that are alive: each says so again and again, and is forgotten when it stops."""

from __future__ import annotations

from pydantic import ValidationError

from cluster.registry.records import SlotInfo
from cluster.registry.store import Store


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

    def remove(self, name: str) -> None:
        """Forget a slot that has ended."""
        self._store.commands([("DEL", self._key(name)), ("SREM", self._index, name)])

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
