"""What a batching policy must offer: the seam between the engine's loop and who decides for it.

``Scheduler`` is the policy that ships. Others keep the same contract, so that the loop, the
benchmarks and the tests can run any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from actors.inference.snapshot import SchedulerSnapshot
from actors.messages import DropReason, Ticket
from actors.specs import QosSpec


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """What the scheduler must know of the engine.

    Attributes:
        batch_sizes: Sizes that the engine was built for, ascending, beginning with 1.
        max_queue_delay_s: Longest wait of a batch that is not full, seconds.
    """

    batch_sizes: tuple[int, ...] = (1,)
    max_queue_delay_s: float = 0.005


@dataclass(frozen=True, slots=True)
class Batch:
    """Tickets that go through the engine together, padded to one of its batch sizes."""

    number: int
    tickets: tuple[Ticket, ...]
    taken_at: float


@dataclass(frozen=True, slots=True)
class Drop:
    """A ticket that will not be inferred, and why."""

    ticket: Ticket
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``next_batch`` decided: a batch or none, and the tickets that it gave up."""

    batch: Batch | None
    drops: tuple[Drop, ...] = ()


class Batcher(Protocol):
    """Takes tickets and makes batches of them. Pure: ``now`` is an argument, in seconds.

    Every ticket ends exactly once: in a batch, or as a drop that one of the calls returned.
    """

    def open(self, stream: str, qos: QosSpec, now: float) -> None:
        """A stream enters, or its quality of service changes."""

    def close(self, stream: str) -> tuple[Drop, ...]:
        """A stream leaves; what waited of it is dropped as ``closed``."""

    def submit(self, tickets: Iterable[Ticket], now: float) -> tuple[Drop, ...]:
        """Bring tickets; returns those, of now or before, that will not be inferred for it."""

    def next_batch(self, now: float) -> Decision:
        """Asked whenever the engine is free: what it shall run, if anything yet."""

    def next_wakeup(self) -> float | None:
        """When ``next_batch`` could decide otherwise by itself; None where nothing waits."""

    def complete(self, batch: Batch, now: float) -> None:
        """The engine has finished a batch."""


class BatchPolicy(Batcher, Protocol):
    """A batcher that the engine's actor can run: reconfigured at a swap, looked at by people."""

    def configure(self, config: SchedulerConfig) -> None:
        """Work for another engine from now on."""

    def snapshot(self, *, with_streams: bool = True) -> SchedulerSnapshot:
        """Counts and costs as they are now.

        Args:
            with_streams: False leaves out the streams, and with them what classes say of those
                that are in them now: what is counted costs the same for any number of them.
        """

    @property
    def is_backlogged(self) -> bool:
        """Whether more tickets are of no use yet."""
