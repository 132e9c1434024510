"""The index beside the records of streams: who is wanted, and what each asks of a slot.

It is kept by the scripts with every write. Where a version without an index has written, or none
was ever built, the first call that notices builds it from all records, once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from actors.specs import StreamSpec
from cluster.errors import UnavailableError
from cluster.placement import RANK, Axes, Need
from cluster.registry import scripts
from cluster.registry.records import StreamRecord
from cluster.registry.store import StaleIndexError, Store

_NUM_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the index knows of a stream that should run.

    Attributes:
        generation: Of its spec.
        rank: Of its class; 0 is the most important.
        floor_fps: Frames a second that are promised to it.
        pipeline: The one that it belongs to.
        labels: What its slot must be labelled with.
        spread: Streams with the same word are kept apart.
    """

    generation: int
    rank: int
    floor_fps: float
    pipeline: str
    labels: dict[str, str]
    spread: str

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """From the words of the index, ``<generation> <rank> <need>``."""
        generation, rank, need = text.split(" ", 2)
        return cls(int(generation), int(rank), *json.loads(need))

    def need(self, stream: str, decode_mpx_s: float | None, assumed_mpx_s: float) -> Need:
        """The same as placement sees it; ``decode_mpx_s`` is None where that is not known."""
        is_assumed = decode_mpx_s is None
        axes = Axes(self.floor_fps, assumed_mpx_s if decode_mpx_s is None else decode_mpx_s)
        return Need(stream, self.rank, axes, self.labels, self.spread, is_assumed)


def need_text(spec: StreamSpec) -> str:
    """What a stream asks of a slot, for the index: rank and JSON; empty where it is disabled."""
    if not spec.enabled:
        return ""
    place = spec.placement
    need = [spec.floor_fps, spec.pipeline, place.labels, place.spread]
    return f"{RANK[spec.qos.class_name]} {json.dumps(need, separators=(',', ':'))}"


class Index:
    """Runs scripts that use the index, and builds it where it is missing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, script: str, args: Sequence[str | int | bytes], *, is_raw: bool = False) -> Any:
        """Run a script.

        Raises:
            UnavailableError: Redis does not answer, or an older version keeps writing.
        """
        for _ in range(_NUM_ATTEMPTS):
            try:
                return self._store.script(script, args, is_raw=is_raw)
            except StaleIndexError:
                self._build()
        raise UnavailableError(
            f"another version of Sightline keeps writing to Redis at {self._store.address}: "
            "stop it, or give this one another redis.prefix"
        )

    def _build(self) -> None:
        """Of the revision that is read first; a later write makes it start again."""
        store = self._store
        revision = store.command("GET", store.key("revision")) or ""
        args = [revision]
        for text in store.command("HVALS", store.key("streams")):
            args += _entry(text)
        store.script(scripts.REINDEX, args)


def _entry(text: str) -> list[str]:
    """Arguments for a record; none where it cannot be read."""
    try:
        record = StreamRecord.model_validate_json(text)
    except ValidationError:
        return []
    return [record.spec.id, str(record.generation), need_text(record.spec)]
