"""Brings the degrade ladder what ingest and the scheduler report, and carries its steps back."""

from __future__ import annotations

import logging

from actors.inference.ladder import DegradeLadder, LadderStatus
from actors.inference.overload import LadderConfig, Load
from actors.inference.policy import BatchPolicy, Drop
from actors.inference.snapshot import SchedulerSnapshot
from actors.messages import DropReason, StreamStep, SubmitRequest
from actors.specs import QosClass

logger = logging.getLogger(__name__)

_URGENT = (QosClass.CRITICAL, QosClass.HIGH)
_WINDOW_S = 1.0
_MIN_LOSS = 0.01


class Degrading:
    """The ladder of one engine with the counts that it decides by. Not thread-safe.

    Args:
        config: When it moves; None for never.
        shares_cores: See ``DegradeLadder``.
    """

    def __init__(self, config: LadderConfig | None, *, shares_cores: bool = True) -> None:
        self._is_on = config is not None
        self._ladder = DegradeLadder(config, shares_cores=shares_cores)
        self._num_given_up = 0
        self._num_missed = 0
        self._lags_s: dict[str, float] = {}
        self._num_taken = 0
        self._window = 0.0, 0, 0  # when it began; frames given up and taken until then
        self._is_losing = False

    def take(self, request: SubmitRequest) -> None:
        """What an ingest actor says, before the scheduler gets it."""
        for opened in request.opened:
            self._ladder.open(request.ingest, opened)
        for ticket in request.tickets:
            self._ladder.learn(ticket)
        self._num_given_up += request.num_given_up
        self._num_taken += len(request.tickets)
        self._lags_s[request.ingest] = request.decode_lag_s

    def count_drop(self, drop: Drop) -> None:
        """The engine gives a frame up."""
        self._num_given_up += drop.reason is not DropReason.CLOSED
        is_late = drop.reason is DropReason.DEADLINE
        self._num_missed += is_late and self._ladder.class_of(drop.ticket.stream) in _URGENT

    def close(self, stream: str) -> None:
        """A stream leaves."""
        self._ladder.close(stream)

    def forget(self, ingest: str) -> None:
        """An ingest actor begins anew."""
        self._lags_s.pop(ingest, None)

    def reset(self, now: float) -> None:
        """Another engine serves."""
        self._ladder.reset(now)

    def decide(self, policy: BatchPolicy, now: float) -> None:
        """Let the ladder move if it is time.

        Args:
            policy: The scheduler, asked for its counts only when they are needed.
            now: Seconds, the clock of the tickets.
        """
        if not self._is_on or not self._ladder.is_due(now):
            return
        if self._ladder.update(self._load(policy.snapshot(with_streams=False)), now):
            status = self._ladder.status(now, 0.0)
            logger.warning(
                "degrade ladder: rung %d, %s; %d streams held back",
                status.rung,
                status.name,
                status.num_held,
            )

    def is_short(self, now: float) -> bool:
        """Whether frames need all the time that there is, so that nothing else may take of it.

        That is while the ladder takes anything from streams, and for a second after one in which
        one frame in a hundred was given up.
        """
        began, num_given_up, num_taken = self._window
        if now - began >= _WINDOW_S:
            lost = self._num_given_up - num_given_up
            self._is_losing = lost > _MIN_LOSS * (lost + self._num_taken - num_taken)
            self._window = now, self._num_given_up, self._num_taken
        return self._is_losing or self._ladder.rung > 0

    def take_steps(self, ingest: str) -> tuple[StreamStep, ...]:
        """See ``SubmitReply.steps``."""
        return self._ladder.take_steps(ingest)

    def status(self, now: float, utc: float) -> LadderStatus:
        """See ``DegradeLadder.status``."""
        return self._ladder.status(now, utc)

    def _load(self, scheduler: SchedulerSnapshot) -> Load:
        urgent = [scheduler.classes[name] for name in _URGENT if name in scheduler.classes]
        num_on_time = sum(each.num_on_time for each in urgent)
        return Load(
            utilisation=scheduler.utilisation,
            batches_fps=scheduler.capacity_fps,
            num_inferred=scheduler.num_batched - scheduler.num_in_flight,
            num_given_up=self._num_given_up,
            decode_lags_s=dict(self._lags_s),
            num_on_time=num_on_time,
            num_late=self._num_missed + sum(each.num_inferred for each in urgent) - num_on_time,
        )
