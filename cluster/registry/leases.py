"""Leases: which slot runs which stream, until when, and what it may write meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from cluster.placement import Free
from cluster.registry import lease_scripts as scripts
from cluster.registry.index import Index, Wanted
from cluster.registry.records import Lease, StreamRecord, StreamStatus
from cluster.registry.store import Store

_LOG = logging.getLogger(__name__)
_KEPT_FOR_MS = 1_000
"""A slot that is given a stream looks at once; one that does not may be dead."""


@dataclass(frozen=True, slots=True)
class FreeStream:
    """A stream that should run and has no slot.

    Attributes:
        stream: Its id.
        wanted: What it asks for.
        decode_mpx_s: What decoding it took when it last ran with this spec; None if not known.
        free_s: How long it has been free.
        reserved_for: The slot that shall have it; empty where anybody may.
    """

    stream: str
    wanted: Wanted
    decode_mpx_s: float | None
    free_s: float
    reserved_for: str

    def free(self, assumed_mpx_s: float) -> Free:
        """The same as placement sees it.

        Args:
            assumed_mpx_s: What decoding it takes while that is not known.
        """
        need = self.wanted.need(self.stream, self.decode_mpx_s, assumed_mpx_s)
        return Free(need, self.free_s, self.reserved_for)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a slot's leases.

    Attributes:
        generations: Of each lease that goes on, the generation of its stream's spec; 0 where
            nobody wants the stream to run any more.
        regained: Those of them that had expired and that nobody had claimed since; their tokens
            are still the newest of their streams, and good again.
        lost: Streams that somebody else has claimed.
        next_end_s: When the first lease of all slots ends, unless it is renewed; infinite where
            there is none.
        num_left: Streams that some slot has to end; see ``Left``.
    """

    generations: Mapping[str, int]
    regained: frozenset[str]
    lost: frozenset[str]
    next_end_s: float
    num_left: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """A stream that nobody goes on with, though what is open in its rules has not ended.

    It was switched off or deleted when one slot had handed it over, and no other had it yet.

    Attributes:
        record: With which it ran.
        token: Of the lease under which it is ended.
        state: What its tracker and rules remember.
    """

    record: StreamRecord
    token: int
    state: bytes


class Leases:
    """Claim, renew, hand over and release leases; write and read what goes with one.

    A lease that is not renewed for its time to live is gone, and another slot may claim the
    stream. Every lease has a fencing token that is higher than all before it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = Index(store)
        self._told_costs: dict[str, str] = {}  # they seldom change, statuses always do

    def free(self, limit: int, offset: int = 0) -> list[FreeStream]:
        """Streams without a slot, the most important first, then by id.

        Args:
            limit: How many at most.
            offset: How many of the first to leave out.
        """
        answer = self._index.run(scripts.FREE, [offset, limit])
        if not answer:
            return []
        now_ms, ids, *columns = answer
        unknown = [None] * len(ids)
        rows = zip(ids, *(column or unknown for column in columns), strict=True)
        return [_free_stream(int(now_ms), *row) for row in rows]

    def claim(self, slot: str, streams: Iterable[str], ttl_ms: int) -> dict[str, int]:
        """Claim free streams; returns the token of each that was won.

        A stream that is disabled, deleted, held, or kept for another slot is not won.
        """
        names = list(streams)
        if not names:
            return {}
        tokens = self._index.run(scripts.CLAIM, [slot, ttl_ms, *names])
        answers = zip(names, map(int, tokens), strict=True)
        won = {name: token for name, token in answers if token}
        for name in won:
            self._told_costs.pop(name, None)  # others may have told another one since
        return won

    def renew(self, slot: str, held: Mapping[str, int], ttl_ms: int) -> Renewal:
        """Renew leases by their tokens; what has expired and is unclaimed is taken back."""
        args = [slot, ttl_ms, *_in_turn(held)]
        next_end_ms, num_left, *found = self._index.run(scripts.RENEW, args)
        fates = dict(zip(held, found[::2], strict=True))
        generations = dict(zip(held, map(int, found[1::2]), strict=True))
        lost = frozenset(name for name, fate in fates.items() if fate == "lost")
        return Renewal(
            {name: number for name, number in generations.items() if name not in lost},
            frozenset(name for name, fate in fates.items() if fate == "regained"),
            lost,
            max(0.0, float(next_end_ms) / 1e3) if next_end_ms else float("inf"),
            int(num_left),
        )

    def release(self, slot: str, held: Mapping[str, int]) -> int:
        """Give up leases, so that others can claim at once; returns how many were still held."""
        return int(self._index.run(scripts.RELEASE, [slot, *_in_turn(held)])) if held else 0

    def hand_over(
        self, slot: str, stream: str, token: int, state: bytes = b"", to: str = ""
    ) -> bool:
        """Give up a lease, and leave what the next owner needs to go on.

        Args:
            slot: Who holds it.
            stream: The stream.
            token: Of its lease.
            state: What its tracker and rules remember; kept for a day.
            to: The slot that shall have it: nobody else may claim it for a second, unless that
                slot begins to leave. One that takes no streams any more has no such right.

        Returns:
            False where the token is no longer that of the lease, or nobody wants the stream to run
            any more; then nothing was written, and whoever holds the stream has to end it.
        """
        words = (slot, stream, token, state, to, _KEPT_FOR_MS)
        return bool(self._index.run(scripts.HAND_OVER, words))

    def take_states(self, held: Mapping[str, int]) -> dict[str, bytes]:
        """What those before left of these streams, by the tokens of their leases; taken once."""
        if not held:
            return {}
        states = self._index.run(scripts.TAKE_STATES, list(_in_turn(held)), is_raw=True)
        return {name: state for name, state in zip(held, states, strict=True) if state}

    def take_left(self, slot: str, limit: int, ttl_ms: int) -> list[Left]:
        """Streams that nobody goes on with, for this slot to end; it owns them until ``end_left``.

        No other slot gets them meanwhile, and nobody can claim a stream of that name.
        """
        words = self._index.run(scripts.TAKE_LEFT, [slot, ttl_ms, limit], is_raw=True)
        left = []
        for n in range(0, len(words), 4):
            stream, token, text, state = words[n : n + 4]
            try:
                record = StreamRecord.model_validate_json(text)
            except ValidationError:
                _LOG.warning(
                    "stream %s was left by another version: it is forgotten", stream.decode()
                )
                self.end_left(slot, stream.decode(), int(token))
            else:
                left.append(Left(record, int(token), state))
        return left

    def end_left(self, slot: str, stream: str, token: int) -> bool:
        """Say that such a stream was ended; False where somebody else has it by now."""
        return bool(self._index.run(scripts.END_LEFT, [slot, stream, token]))

    def lookup(self, streams: Iterable[str]) -> dict[str, Lease]:
        """The live leases of these streams."""
        names = list(streams)
        answers = self._store.commands(
            [("HMGET", self._store.key("lease", name), "slot", "token") for name in names]
        )
        return {
            name: Lease(slot=slot, token=int(token))
            for name, (slot, token) in zip(names, answers, strict=True)
            if slot is not None and token is not None
        }

    def publish_status(self, stream: str, token: int, status: StreamStatus, ttl_ms: int) -> bool:
        """Write a stream's status; False where the token is no longer that of its lease."""
        return not self.publish_statuses({stream: (token, status)}, ttl_ms)

    def publish_statuses(
        self, statuses: Mapping[str, tuple[int, StreamStatus]], ttl_ms: int
    ) -> frozenset[str]:
        """Write the status of many streams; returns those whose token is no longer good."""
        if not statuses:
            return frozenset()
        args: list[str | int | bytes] = [ttl_ms]
        for name, (token, status) in statuses.items():
            cost = _cost_text(status)
            is_told = self._told_costs.get(name) == cost
            args += [name, token, status.model_dump_json(), "" if is_told else cost]
        accepted = self._index.run(scripts.PUBLISH_STATUS, args)
        refused = {name for name, ok in zip(statuses, accepted, strict=True) if not ok}
        self._remember_costs(statuses, refused)
        return frozenset(refused)

    def _remember_costs(
        self, statuses: Mapping[str, tuple[int, StreamStatus]], refused: Collection[str]
    ) -> None:
        for name, (_, status) in statuses.items():
            if name in refused:
                self._told_costs.pop(name, None)
            else:
                self._told_costs[name] = _cost_text(status)

    def statuses(self, streams: Iterable[str]) -> dict[str, StreamStatus]:
        """The last status of each of these streams that has one."""
        names = list(streams)
        if not names:
            return {}
        keys = [self._store.key("status", name) for name in names]
        texts = self._store.command("MGET", *keys)
        parsed = {name: _parsed(text) for name, text in zip(names, texts, strict=True) if text}
        return {name: status for name, status in parsed.items() if status is not None}


def _in_turn(held: Mapping[str, int]) -> Iterator[str | int]:
    for name, token in held.items():
        yield name
        yield token


def _cost_text(status: StreamStatus) -> str:
    """A spec that is changed later may name another source, so its generation goes with it."""
    cost = status.decode_mpx_s
    return "" if cost is None else f"{status.generation} {cost}"


def _free_stream(
    now_ms: int, stream: str, wanted: str, cost: str | None, since: str | None, move: str | None
) -> FreeStream:
    need = _wanted(wanted)
    generation, _, mpx_s = (cost or "").partition(" ")
    to, _, until_ms = (move or "").partition(" ")
    return FreeStream(
        stream=stream,
        wanted=need,
        decode_mpx_s=float(mpx_s) if generation == str(need.generation) else None,
        free_s=max(0, now_ms - int(since or now_ms)) / 1e3,
        reserved_for=to if int(until_ms or 0) > now_ms else "",
    )


_wanted = lru_cache(maxsize=32768)(Wanted.parse)


@lru_cache(maxsize=16384)
def _parsed(text: str) -> StreamStatus | None:
    try:
        return StreamStatus.model_validate_json(text)
    except ValidationError:
        return None
