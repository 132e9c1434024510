"""Keeps a slot's streams as the registry wants them: claims, renews, changes, ends, publishes.

What a slot asks of the registry depends on its own streams, never on how many there are in all:
specs are read when a lease's renewal or a wake-up call says that they have changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

from actors.ledger import Ledger
from actors.specs import StreamSpec
from cluster.placement import NOTHING, Axes, Decision, Free, SlotLoad, decide
from cluster.registry import Registry
from cluster.slot.crew import Crew
from cluster.slot.departures import Departed, Departures
from cluster.slot.endings import Endings
from cluster.slot.far import decodes_far
from cluster.slot.holdings import PIPELINE, Holdings, is_ours
from cluster.slot.needs import Needs
from cluster.slot.own_load import OwnLoad
from cluster.slot.publishing import Publishing
from cluster.slot.statuses import Statuses
from cluster.slot.surroundings import Surroundings, look_after_end_s, wait_for_others_s

logger = logging.getLogger(__name__)

_MIN_LOAD_TTL_MS = 3_000
_MAX_LEAVING = 8
_LEAVE_TOGETHER_S = 0.25
"""Within which slots that are told to leave at the same moment say so to each other."""
_LEASE_LASTS = 0.9
"""Of ``lease.ttl_s``; in the rest of it others find that a lease has ended, and take the stream."""
_NO_LABELS: Mapping[str, str] = {}


class StreamKeeper:
    """The streams of one slot.

    Args:
        name: The slot's.
        registry: Where leases and desired streams are.
        crew: The slot's actors.
        ledger: Its frame ledger.
        holdings: The streams that it holds, shared with the crew.
        max_streams: How many it may hold.
        ttl_ms: Within which others shall have its streams when it has died.
        labels: By which streams choose the slot.

    Attributes:
        near_limit_mpx_s: Up to which the slot's own machine decodes, where others may do so, too;
            0 while that is not known.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        crew: Crew,
        ledger: Ledger,
        holdings: Holdings,
        *,
        max_streams: int,
        ttl_ms: int,
        labels: Mapping[str, str] = _NO_LABELS,
    ) -> None:
        self.near_limit_mpx_s = 0.0
        self._name = name
        self._registry = registry
        self._crew = crew
        self._ledger = ledger
        self._holdings = holdings
        self._ttl_ms = ttl_ms
        self._lease_ms = round(_LEASE_LASTS * ttl_ms)
        self._drains_from = float("inf")
        self._own_load = OwnLoad(name, max_streams, labels)
        self._departures = Departures(crew, holdings, ledger)
        self._endings = Endings(name, registry, crew, holdings)
        self._surroundings = Surroundings(registry, name, (PIPELINE,))
        self._statuses = Statuses(name, crew, ledger, holdings)
        self._publishing = Publishing(registry, crew, holdings)
        self._needs = Needs(holdings, self._statuses)

    def renew(self) -> float:
        """Renew all leases; a stream that somebody else has claimed meanwhile is ended.

        Returns:
            Seconds after which to look for streams, as the first lease of any slot has ended then,
            unless that one is renewed.
        """
        held = self._holdings.tokens()
        renewal = self._registry.leases.renew(self._name, held, self._lease_ms)
        self._endings.num_left = renewal.num_left
        if renewal.regained:
            logger.info("leases taken back that nobody had claimed: %d", len(renewal.regained))
        for stream in renewal.lost:
            logger.warning("%s: the lease is lost", stream)
        self._close_all(renewal.lost)
        self.refresh(
            stream
            for stream, generation in renewal.generations.items()
            if generation != self._holdings[stream].assignment.generation
        )
        return renewal.next_end_s + look_after_end_s(self._name, self.num_others)

    def refresh(self, streams: Iterable[str]) -> None:
        """Follow what has changed of some streams; those that are not held change nothing."""
        held = [stream for stream in streams if stream in self._holdings]
        records = self._registry.streams.some(held)
        self._publishing.deleted(stream for stream in held if stream not in records)
        self._close_all(stream for stream in held if not is_ours(records.get(stream)))
        for stream in held:
            holding = self._holdings[stream]
            if holding.closing or records[stream].generation == holding.assignment.generation:
                continue
            self._crew.update(self._holdings.update(records[stream]))

    def place(self, capacity: Axes = NOTHING) -> float | None:
        """Decide with the other slots what is taken, given up and moved.

        Args:
            capacity: What the slot has on each axis; 0 while that is unknown.

        Returns:
            Seconds after which there may be more to take; None where nothing is on its way.
        """
        self._endings.end_left(self._lease_ms)
        decision = self._decide(self._load(capacity))
        self._close_all(decision.release)
        self._hand_over(decision.move)
        num_won = self._claim(decision.claim)
        self._surroundings.claimed(num_won)
        self._tell(self._load(capacity))
        if num_won:
            return 0.0
        return wait_for_others_s(self.num_others) if decision.is_waiting else None

    def stand_by(self) -> None:
        """Say that nothing can be placed here for now."""
        self._tell(self._load(NOTHING, is_ready=False))

    def drain(self, now: float, capacity: Axes = NOTHING) -> bool:
        """Hand streams to slots that have room for them, few at a time.

        Not at the first moment: one that went to a slot which leaves, too, would move twice.

        Args:
            now: Seconds, never going back.
            capacity: What the slot has on each axis; 0 while that is unknown.

        Returns:
            True where none is on its way, and what is left has no place elsewhere.
        """
        load = self._load(capacity, is_ready=False, is_draining=True)
        self._tell(load)
        self._drains_from = min(self._drains_from, now + _LEAVE_TOGETHER_S)
        if now < self._drains_from and self._holdings and self.num_others:
            return False
        self._hand_over(moves := self._decide(load).move)
        return not moves and not self._departures

    def finish_closing(self, now: float) -> bool:
        """Let go of streams whose frames have all ended; True where none is left to end."""
        for departed in self._departures.finished(now):
            self._let_go(departed)
        return not self._departures

    def publish(self, now: float) -> None:
        """Tell of changes, and write the status of all streams; ``now`` never goes back."""
        doing = self._statuses.look([stream for stream, _ in self._holdings.items()], now)
        self._publishing.all(doing, self._statuses.of, now)

    @property
    def num_assumed(self) -> int:
        """Streams that were claimed by a guess of what decoding them takes, which is still one."""
        return self._needs.num_assumed

    @property
    def num_others(self) -> int:
        """Other slots that are alive."""
        return self._surroundings.num_others

    @property
    def is_ending_some(self) -> bool:
        """Whether there are streams whose frames have not all ended yet."""
        return bool(self._departures)

    @property
    def decode_load_mpx_s(self) -> float:
        """What decoding the held streams takes; those whose source is not known yet left out."""
        return self._statuses.decode_load_mpx_s

    def close_all(self) -> None:
        """Begin to end every stream."""
        self._close_all(stream for stream, _ in self._holdings.items())

    def abandon(self) -> None:
        """Give up the leases of what could not be ended in time."""
        self._registry.leases.release(self._name, self._holdings.tokens())

    def _decide(self, own: SlotLoad) -> Decision:
        """What is on its way to another slot takes room there already."""
        others = self._surroundings.others()
        free = self._surroundings.free()
        waiting = [each for each in free if each.need.stream not in self._holdings]
        on_their_way = [
            Free(self._needs.of(stream, self._assumed_mpx_s), reserved_for=to)
            for stream, to in self._departures.targets.items()
        ]
        held = self._needs.staying(self._assumed_mpx_s)
        decision = decide(own, held, others, waiting + on_their_way)
        self._needs.judged()
        return decision

    @property
    def _assumed_mpx_s(self) -> float:
        return self._surroundings.assumed_mpx_s

    def _load(
        self, capacity: Axes, *, is_ready: bool = True, is_draining: bool = False
    ) -> SlotLoad:
        needs = self._needs.staying(self._assumed_mpx_s)
        return self._own_load.of(needs, capacity, is_ready=is_ready, is_draining=is_draining)

    def _tell(self, load: SlotLoad) -> None:
        self._surroundings.tell(load, max(self._ttl_ms, _MIN_LOAD_TTL_MS))

    def _claim(self, streams: Iterable[str]) -> int:
        """Claim what there is room for: a stream that is closing keeps its place until it ends."""
        leases = self._registry.leases
        won = leases.claim(self._name, list(streams)[: self._holdings.room], self._lease_ms)
        records = self._registry.streams.some(won)
        self._publishing.begin(won)
        ours = {stream: token for stream, token in won.items() if is_ours(records.get(stream))}
        states = leases.take_states(ours)
        for stream, token in won.items():
            if stream in ours:
                is_far = self._decodes_far(records[stream].spec)
                holding = self._holdings.add(records[stream], token, is_far=is_far)
                self._needs.begin(stream, self._surroundings.known_mpx_s(stream))
                self._crew.open(holding, states.get(stream, b""))
            else:
                leases.release(self._name, {stream: token})
        return len(won)

    def _decodes_far(self, spec: StreamSpec) -> bool:
        if self._crew.far is None:
            return False
        near = [stream for stream, holding in self._holdings.items() if not holding.is_far]
        needs = [self._needs.of(stream, self._assumed_mpx_s) for stream in near]
        near_mpx_s = sum(need.axes.decode_mpx_s for need in needs)
        wish = spec.placement.decode
        cost_mpx_s = self._surroundings.known_mpx_s(spec.id) or self._assumed_mpx_s
        return decodes_far(wish, cost_mpx_s, near_mpx_s, self.near_limit_mpx_s)

    def _hand_over(self, moves: Mapping[str, str]) -> None:
        for stream, to in moves.items():
            if len(self._departures) < _MAX_LEAVING and not self._holdings[stream].closing:
                self._departures.begin(stream, to)

    def _close_all(self, streams: Iterable[str]) -> None:
        """A lease whose claim was never answered is ours but holds no stream: it runs out."""
        for stream in [stream for stream in streams if stream in self._holdings]:
            if self._holdings[stream].closing:
                self._departures.end_here(stream)
            else:
                self._departures.begin(stream)

    def _let_go(self, departed: Departed) -> None:
        """Publish the last counts, then give up the lease; a stream that nobody takes ends here."""
        stream, holding = departed.stream, self._holdings[departed.stream]
        row = self._ledger.row(holding.assignment.ledger_row)
        row.settle()
        if departed.to is None:
            self._crew.close_rules(stream, holding, departed.state)
        self._statuses.look([stream], time.monotonic())
        self._publishing.write(self._statuses.of([stream]))
        if not self._give_up(departed, holding.token):
            self._departures.end_here(stream)
            return
        row.clear()
        self._departures.forget(stream)
        self._holdings.drop(stream)
        self._needs.forget(stream)
        self._statuses.forget(stream)
        self._publishing.end(stream)

    def _give_up(self, departed: Departed, token: int) -> bool:
        leases, stream = self._registry.leases, departed.stream
        if departed.to is None:
            leases.release(self._name, {stream: token})
            return True
        return leases.hand_over(self._name, stream, token, departed.state, departed.to)
