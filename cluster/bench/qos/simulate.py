"""A workload through a policy on a virtual clock: arrivals, one engine, nothing else.

The loop is that of the engine's actor: whenever the engine is free the policy is asked; without a
batch it is asked again when tickets come or at the time that it named.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.inference.policy import Batch, Batcher, Drop
from actors.messages import DropReason
from actors.specs import QosSpec
from cluster.bench.qos.engine import SimulatedEngine
from cluster.bench.qos.workload import Workload

NEVER = float("inf")
_WAKEUP_STEP_S = 1e-5  # a thread does not wake up earlier than that after it went to sleep


@dataclass(frozen=True, slots=True)
class Span:
    """One batch in the engine: when, and how many frames."""

    began: float
    ended: float
    num_frames: int


@dataclass(slots=True)
class Run:
    """What became of a workload.

    Attributes:
        done: By frame, when its detections were there; infinite where it was dropped.
        dropped: By frame that was not inferred, why.
        spans: The engine's batches in order.
    """

    done: list[float]
    dropped: dict[int, DropReason] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)


def simulate(workload: Workload, policy: Batcher, engine: SimulatedEngine) -> Run:
    """Play the trace to its end, and on until nothing waits.

    Raises:
        AssertionError: if the policy lets a frame end twice or not at all.
    """
    return _Simulation(workload, policy, engine).run()


class _Simulation:
    def __init__(self, workload: Workload, policy: Batcher, engine: SimulatedEngine) -> None:
        self._workload = workload
        self._policy = policy
        self._engine = engine
        self._run = Run([NEVER] * len(workload.tickets))
        self._batch: Batch | None = None
        self._ends_at = NEVER
        self._wakeup = NEVER
        self._num_arrived = 0
        self._ended = bytearray(len(workload.tickets))

    def run(self) -> Run:
        for camera in self._workload.cameras:
            self._policy.open(camera.name, QosSpec(class_name=camera.qos_class), 0.0)
        while (now := min(self._next_arrival(), self._ends_at, self._wakeup)) < NEVER:
            if self._ends_at <= now:
                self._complete(now)
            self._arrive(now)
            if self._batch is None:
                self._ask(now)
        for camera in self._workload.cameras:
            self._drop(self._policy.close(camera.name))
        if not all(self._ended):
            raise AssertionError(f"frame {self._ended.index(0)} never ended")
        return self._run

    def _next_arrival(self) -> float:
        tickets = self._workload.tickets
        return tickets[self._num_arrived].arrival if self._num_arrived < len(tickets) else NEVER

    def _arrive(self, now: float) -> None:
        first = self._num_arrived
        while self._next_arrival() <= now:
            self._num_arrived += 1
        if self._num_arrived > first:
            come = self._workload.tickets[first : self._num_arrived]
            self._drop(self._policy.submit(come, now))

    def _ask(self, now: float) -> None:
        decision = self._policy.next_batch(now)
        self._drop(decision.drops)
        self._batch, self._wakeup = decision.batch, NEVER
        if self._batch is not None:
            self._ends_at = now + self._engine.batch_s(len(self._batch.tickets))
        elif (wakeup := self._policy.next_wakeup()) is not None:
            self._wakeup = max(wakeup, now + _WAKEUP_STEP_S)

    def _complete(self, now: float) -> None:
        batch = self._batch
        if batch is None:
            raise AssertionError("a batch ended that had not begun")
        self._policy.complete(batch, now)
        self._run.spans.append(Span(batch.taken_at, now, len(batch.tickets)))
        for ticket in batch.tickets:
            self._end(ticket.slot)
            self._run.done[ticket.slot] = now
        self._batch, self._ends_at = None, NEVER

    def _drop(self, drops: tuple[Drop, ...]) -> None:
        for drop in drops:
            self._end(drop.ticket.slot)
            self._run.dropped[drop.ticket.slot] = drop.reason

    def _end(self, frame: int) -> None:
        if self._ended[frame]:
            raise AssertionError(f"frame {frame} ended twice")
        self._ended[frame] = 1
