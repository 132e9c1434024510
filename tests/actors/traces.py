"""Arrivals of frames, and a virtual machine that plays them through the scheduler.

The machine checks with every step what must hold at all times; what it returns is what became of
the frames.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from actors.inference.policy import Batch, Drop, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.messages import DropReason, Ticket
from actors.specs import QosClass, QosSpec
from engines.fake import CostModel, VirtualClock
from engines.frames import Picture

PICTURE = Picture(64, 36)
NEVER = float("inf")
NO_FLOOR = 0.0

Arrivals = Callable[[float, float, random.Random], list[float]]
"""Times of one camera's frames, given its frames a second, the length and a source of chance."""


@dataclass(frozen=True)
class Camera:
    name: str
    qos: QosSpec
    fps: float


def make_ticket(stream: str, index: int, arrival: float, deadline_s: float = 10.0) -> Ticket:
    return Ticket(
        stream=stream,
        session=1,
        index=index,
        slot=index,
        picture=PICTURE,
        source_size=(64, 36),
        pts_s=arrival,
        ts=arrival,
        arrival=arrival,
        deadline=arrival + deadline_s,
        ready=arrival,
    )


def qos(name: str, **fields: float) -> QosSpec:
    return QosSpec(class_name=QosClass(name), **fields)


def cameras(num: int, fps: float, spec: QosSpec, prefix: str = "") -> list[Camera]:
    name = prefix or spec.class_name.value
    return [Camera(f"{name}{i}", spec, fps) for i in range(num)]


def regular(fps: float, seconds: float, chance: random.Random) -> list[float]:
    first = chance.random() / fps
    return [first + i / fps for i in range(int((seconds - first) * fps))]


def jittered(fps: float, seconds: float, chance: random.Random) -> list[float]:
    return sorted(t + chance.random() * 0.6 / fps for t in regular(fps, seconds, chance))


def paused(fps: float, seconds: float, chance: random.Random) -> list[float]:
    """Every two seconds 400 ms of silence; what was held up comes together."""
    offset = chance.random() * 2.0
    times = regular(fps, seconds, chance)
    return sorted(t if (t - offset) % 2.0 > 0.4 else t - (t - offset) % 2.0 + 0.4 for t in times)


def stalled(fps: float, seconds: float, chance: random.Random) -> list[float]:
    """One stall of a second and a half, the same for all, then a burst."""
    return sorted(t if not 3.0 < t < 4.5 else 4.5 for t in regular(fps, seconds, chance))


def in_beats(fps: float, seconds: float, chance: random.Random) -> list[float]:
    """As ingest's calls bring them, every 32 ms, some a little late."""
    times = regular(fps, seconds, chance)
    return sorted(math.ceil(t / 0.032) * 0.032 + chance.random() * 0.004 for t in times)


def tickets_of(group: Sequence[Camera], arrivals: Arrivals, seconds: float) -> list[Ticket]:
    chance = random.Random(1)
    tickets = [
        make_ticket(camera.name, index, time, camera.qos.resolved().deadline_ms / 1e3)
        for camera in group
        for index, time in enumerate(arrivals(camera.fps, seconds, chance))
    ]
    return sorted(tickets, key=lambda ticket: ticket.arrival)


@dataclass
class Outcome:
    """What became of the tickets; one is named by its stream and index."""

    tickets: list[Ticket]
    taken: dict[tuple[str, int], float] = field(default_factory=dict)
    done: dict[tuple[str, int], float] = field(default_factory=dict)
    drops: dict[tuple[str, int], DropReason] = field(default_factory=dict)
    batches: list[tuple[float, float, int]] = field(default_factory=list)
    waits_idle: list[float] = field(default_factory=list)

    def served(self, since: float = 0.0, until: float = NEVER) -> Counter[str]:
        """Frames by stream."""
        return Counter(stream for (stream, _), at in self.done.items() if since <= at < until)

    def shares(self, group: Iterable[Camera], since: float, until: float) -> dict[QosClass, float]:
        class_of = {camera.name: camera.qos.class_name for camera in group}
        counts: Counter[QosClass] = Counter()
        for stream, num in self.served(since, until).items():
            counts[class_of[stream]] += num
        return {name: num / counts.total() for name, num in counts.items()}

    def on_time(self, streams: Iterable[Camera], since: float = 0.0) -> float:
        """Part of the frames that were done before their deadline."""
        names = {camera.name for camera in streams}
        due = [t for t in self.tickets if t.stream in names and t.arrival >= since]
        return sum(self.done.get((t.stream, t.index), NEVER) <= t.deadline for t in due) / len(due)

    def busy(self, since: float, until: float) -> float:
        """Part of the time in which at least one batch was in flight."""
        total, reached = 0.0, since
        for began, ended, _ in sorted(self.batches):
            total += max(0.0, min(ended, until) - max(began, reached))
            reached = max(reached, min(ended, until))
        return total / (until - since)


@dataclass
class Machine:
    """An engine that runs ``num_workers`` batches side by side, each as long as its cost."""

    cost: CostModel
    sizes: tuple[int, ...] = (1, 2, 4, 8)
    delay_s: float = 0.005
    num_workers: int = 1
    slowness: Callable[[int], float] = lambda _number: 1.0

    def play(self, group: Sequence[Camera], tickets: list[Ticket]) -> Outcome:
        """Every ticket through the scheduler until none waits and nothing is in flight."""
        return _Play(self, group, tickets).run()

    @property
    def capacity_fps(self) -> float:
        return max(size / self.cost.batch_ms(size) for size in self.sizes) * 1e3


class _Play:
    def __init__(self, machine: Machine, group: Sequence[Camera], tickets: list[Ticket]) -> None:
        self.machine, self.clock = machine, VirtualClock()
        self.scheduler = Scheduler(SchedulerConfig(machine.sizes, machine.delay_s))
        self.outcome = Outcome(tickets)
        self.coming = list(reversed(tickets))
        self.running: list[tuple[float, Batch]] = []
        self.wakeup = NEVER
        self.waits_since: float | None = None
        self.last_index: dict[str, int] = defaultdict(lambda: -1)
        for camera in group:
            self.scheduler.open(camera.name, camera.qos, 0.0)

    def run(self) -> Outcome:
        while (now := self._next_time()) < NEVER:
            self.clock.advance(max(0.0, now - self.clock()))
            for ended, batch in sorted(self.running, key=lambda run: run[0]):
                if ended <= now:
                    self._complete(batch, now)
            due = []
            while self.coming and self.coming[-1].arrival <= now:
                due.append(self.coming.pop())
            if due:
                self._book(self.scheduler.submit(due, now))
            self._ask(now)
        ended = Counter([*self.outcome.done, *self.outcome.drops])
        assert ended == Counter((t.stream, t.index) for t in self.outcome.tickets)
        return self.outcome

    def _next_time(self) -> float:
        arrival = self.coming[-1].arrival if self.coming else NEVER
        return min(arrival, self.wakeup, *(ended for ended, _ in self.running), NEVER)

    def _ask(self, now: float) -> None:
        self.wakeup = NEVER
        while len(self.running) < self.machine.num_workers:
            decision = self.scheduler.next_batch(now)
            self._book(decision.drops)
            if decision.batch is None:
                self._rest(now)
                return
            self._start(decision.batch, now)

    def _rest(self, now: float) -> None:
        wakeup = self.scheduler.next_wakeup()
        self.wakeup = NEVER if wakeup is None else max(wakeup, now + 1e-6)
        if not self.running and wakeup is not None:
            self.waits_since = now if self.waits_since is None else self.waits_since
        elif self.waits_since is not None:
            self._end_wait(now)

    def _end_wait(self, now: float) -> None:
        if self.waits_since is not None:
            self.outcome.waits_idle.append(now - self.waits_since)
        self.waits_since = None

    def _start(self, batch: Batch, now: float) -> None:
        self._end_wait(now)
        size = next(size for size in self.machine.sizes if size >= len(batch.tickets))
        busy = {ticket.stream for _, other in self.running for ticket in other.tickets}
        assert not busy & {ticket.stream for ticket in batch.tickets}
        for ticket in batch.tickets:
            assert ticket.deadline > now
            assert ticket.index > self.last_index[ticket.stream]
            self.last_index[ticket.stream] = ticket.index
            self.outcome.taken[ticket.stream, ticket.index] = now
        seconds = self.machine.cost.batch_ms(size) / 1e3 * self.machine.slowness(batch.number)
        self.outcome.batches.append((now, now + seconds, size))
        self.running.append((now + seconds, batch))

    def _complete(self, batch: Batch, now: float) -> None:
        self.running = [run for run in self.running if run[1] is not batch]
        self.scheduler.complete(batch, now)
        for ticket in batch.tickets:
            assert (ticket.stream, ticket.index) not in self.outcome.done
            self.outcome.done[ticket.stream, ticket.index] = now

    def _book(self, drops: Iterable[Drop]) -> None:
        for drop in drops:
            key = drop.ticket.stream, drop.ticket.index
            assert key not in self.outcome.drops
            self.outcome.drops[key] = drop.reason
