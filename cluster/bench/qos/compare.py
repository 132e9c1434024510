"""All policies through all workloads: what ``scripts/bench qos`` measures. Pure.

The virtual clock and the seeded traces make it the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.inference.fifo import Fifo
from actors.inference.policy import Batcher, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.specs import CLASS_DEFAULTS
from cluster.bench.qos.baselines import RoundRobin, dynamic_batching, strict_priority
from cluster.bench.qos.engine import SimulatedEngine
from cluster.bench.qos.figures import RunFigures, figures_of
from cluster.bench.qos.scenarios import Cell, cells
from cluster.bench.qos.simulate import simulate

OURS = "qos"
WARM_UP_S = 2.0
_QUEUE_DELAY_S = 0.005
_POOL_SLOTS = 128  # the default of ``pool.num_slots``
_SHORTEST_DEADLINE_S = min(d.deadline_ms for d in CLASS_DEFAULTS.values()) / 1e3

Report = Callable[[int, int], None]
MakePolicy = Callable[[SimulatedEngine, int], Batcher]


def _tuned(engine: SimulatedEngine) -> SchedulerConfig:
    return SchedulerConfig(engine.tuned_sizes, _QUEUE_DELAY_S)


def _tuned_room(engine: SimulatedEngine) -> int:
    """A queue that is worked off in half the shortest deadline, or two batches if that is more."""
    in_time = round(engine.capacity_fps * _SHORTEST_DEADLINE_S / 2)
    return max(in_time, 2 * engine.tuned_sizes[-1])


def _fifo(engine: SimulatedEngine, num_streams: int) -> Batcher:
    return Fifo(_tuned(engine), max(_POOL_SLOTS, num_streams))


def _strict(engine: SimulatedEngine, _num_streams: int) -> Batcher:
    return strict_priority(_tuned(engine), _tuned_room(engine))


def _round_robin(engine: SimulatedEngine, _num_streams: int) -> Batcher:
    return RoundRobin(_tuned(engine))


def _dynamic(engine: SimulatedEngine, _num_streams: int) -> Batcher:
    return dynamic_batching(_tuned(engine), _tuned_room(engine))


def _ours(engine: SimulatedEngine, _num_streams: int) -> Batcher:
    return Scheduler(SchedulerConfig(engine.batch_sizes, _QUEUE_DELAY_S))


POLICIES: dict[str, MakePolicy] = {
    "fifo": _fifo,
    "strict": _strict,
    "round robin": _round_robin,
    "dynamic": _dynamic,
    OURS: _ours,
}
"""FIFO bounded by the frame pool; Triton with and without priority levels and DeepStream's mux, as
``baselines.py`` has them; ours. The first four are told which batch sizes are worth it on their
engine, and Triton's queues are as long as its requests can wait; ours finds out."""


@dataclass(frozen=True, slots=True)
class CellFigures:
    """One workload and what each policy made of it."""

    cell: Cell
    num_streams: int
    runs: dict[str, RunFigures]


def compare(
    seconds: float, report: Report = lambda _done, _all: None, chosen: Iterable[Cell] | None = None
) -> list[CellFigures]:
    """Play every workload through every policy.

    Args:
        seconds: Simulated, of each workload, the first two of which do not count.
        report: Told how many runs are done, of how many.
        chosen: Only these workloads.
    """
    wanted = tuple(cells() if chosen is None else chosen)
    found = []
    for number, cell in enumerate(wanted):
        found.append(_measure(cell, seconds))
        report(number + 1, len(wanted))
    return found


def _measure(cell: Cell, seconds: float) -> CellFigures:
    workload = cell.workload(seconds)
    num_streams = len(workload.cameras)
    runs = {}
    for name, make in POLICIES.items():
        run = simulate(workload, make(cell.engine, num_streams), cell.engine)
        runs[name] = figures_of(run, workload, cell.engine, WARM_UP_S)
    return CellFigures(cell, num_streams, runs)
