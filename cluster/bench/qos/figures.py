"""What a run was worth: figures by class and for the whole engine. Pure.

A frame counts as **on time** where its detections, or those of a newer frame of its camera that
came within one turn of the engine (the time of the batch that it runs when it is overloaded), were
there by its deadline. Between two turns nobody is served, and of pictures that come together only
the newest shows what is the case. Where frames come further apart, this is the plain share of the
frames that were inferred in time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from actors.messages import Ticket
from actors.specs import CLASS_DEFAULTS, QosClass
from cluster.bench.qos.engine import SimulatedEngine
from cluster.bench.qos.shares import fair_shares, jain_index, percentile
from cluster.bench.qos.simulate import NEVER, Run
from cluster.bench.qos.workload import Workload

PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class under one policy.

    Attributes:
        arrived_fps: Frames that came, a second.
        inferred_fps: Frames that went through the engine, a second, in time or not.
        on_time: Share of the frames that came; see the module.
        inferred_on_time: Share of the frames that came which were inferred by their deadline.
        latency_ms: Arrival to detections by percentile, of the inferred frames; None without any.
        late: Share of its inferred frames that were done after their deadline: work in vain.
        share: Of all inferred frames.
        fair_share: What the weights would give, nobody getting more than came (frames that come
            within one turn count once).
        jain: Jain's index over the streams, each by its rate over its fair one; 1 is even.
        lowest_fps: Of its streams, inferred in time.
        floor_fps: The class's floor; less where a camera sends less.
        num_below_floor: Streams that got less in time, by more than one frame.
    """

    arrived_fps: float
    inferred_fps: float
    on_time: float
    inferred_on_time: float
    latency_ms: dict[str, float | None]
    late: float
    share: float
    fair_share: float
    jain: float
    lowest_fps: float
    floor_fps: float
    num_below_floor: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One policy on one workload.

    Attributes:
        classes: By class.
        latency_ms: Of all inferred frames, by percentile.
        busy: Share of the time in which a batch was in the engine.
        fill: Frames in a batch over the largest batch, on average.
        inferred_fps: Frames through the engine a second.
        on_time_fps: Of these, by their deadline.
        share_error: Largest distance of a class from its fair share, relative to that.
    """

    classes: dict[QosClass, ClassFigures]
    latency_ms: dict[str, float | None]
    busy: float
    fill: float
    inferred_fps: float
    on_time_fps: float
    share_error: float


@dataclass(slots=True)
class _StreamCounts:
    """One stream within the span that is measured."""

    qos_class: QosClass
    num_arrived: int = 0
    num_moments: int = 0
    num_hits: int = 0
    num_in_time: int = 0
    num_served: int = 0
    num_served_in_time: int = 0


def figures_of(
    run: Run, workload: Workload, engine: SimulatedEngine, warm_up_s: float
) -> RunFigures:
    """Measure a run from ``warm_up_s`` to the end of its trace.

    Deadlines and latencies are those of the frames that arrived in that span; rates and shares
    count the batches that ended in it.
    """
    span = (warm_up_s, workload.seconds)
    streams = _count_streams(run, workload, engine.turn_s, span)
    latencies = _latencies_ms(run, workload, span)
    length = span[1] - span[0]
    by_class: dict[QosClass, list[_StreamCounts]] = {
        qos_class: [s for s in streams.values() if s.qos_class is qos_class]
        for qos_class in QosClass
    }
    served = [sum(s.num_served for s in by_class[c]) for c in QosClass]
    moments = [sum(s.num_moments for s in by_class[c]) for c in QosClass]
    fair = fair_shares(sum(served), moments, [CLASS_DEFAULTS[c].weight for c in QosClass])
    classes = {
        c: _class_figures(c, by_class[c], latencies[c], length, sum(served), fair[i])
        for i, c in enumerate(QosClass)
    }
    spans = [s for s in run.spans if span[0] <= s.ended < span[1]]
    in_all = sum(s.num_frames for s in spans)
    return RunFigures(
        classes=classes,
        latency_ms=_percentiles(sorted(ms for each in latencies.values() for ms in each)),
        busy=_busy(run, span),
        fill=_rounded(in_all / (len(spans) * engine.batch_sizes[-1])) if spans else 0.0,
        inferred_fps=_rounded(in_all / length),
        on_time_fps=_rounded(sum(s.num_served_in_time for s in streams.values()) / length),
        share_error=max(_error(f.share, f.fair_share) for f in classes.values()),
    )


def _count_streams(
    run: Run, workload: Workload, turn_s: float, span: tuple[float, float]
) -> dict[str, _StreamCounts]:
    frames: dict[str, list[Ticket]] = defaultdict(list)
    for ticket in workload.tickets:
        frames[ticket.stream].append(ticket)
    return {
        camera.name: _count_stream(camera.qos_class, frames[camera.name], run, turn_s, span)
        for camera in workload.cameras
    }


def _count_stream(
    qos_class: QosClass,
    frames: Sequence[Ticket],
    run: Run,
    turn_s: float,
    span: tuple[float, float],
) -> _StreamCounts:
    counts = _StreamCounts(qos_class)
    moment_ends = -NEVER
    for number, ticket in enumerate(frames):
        done = run.done[ticket.slot]
        if span[0] <= done < span[1]:
            counts.num_served += 1
            counts.num_served_in_time += done <= ticket.deadline
        if not span[0] <= ticket.arrival < span[1]:
            continue
        counts.num_arrived += 1
        counts.num_in_time += done <= ticket.deadline
        counts.num_hits += _is_hit(frames, number, run.done, turn_s)
        if ticket.arrival >= moment_ends:
            counts.num_moments += 1
            moment_ends = ticket.arrival + turn_s
    return counts


def _is_hit(frames: Sequence[Ticket], number: int, done: Sequence[float], turn_s: float) -> bool:
    """Whether this frame, or one that came soon after it, was done by this one's deadline."""
    first = frames[number]
    while number < len(frames) and frames[number].arrival <= first.arrival + turn_s:
        if done[frames[number].slot] <= first.deadline:
            return True
        number += 1
    return False


def _latencies_ms(
    run: Run, workload: Workload, span: tuple[float, float]
) -> dict[QosClass, list[float]]:
    class_of = {camera.name: camera.qos_class for camera in workload.cameras}
    latencies: dict[QosClass, list[float]] = {qos_class: [] for qos_class in QosClass}
    for ticket, done in zip(workload.tickets, run.done, strict=True):
        if done < NEVER and span[0] <= ticket.arrival < span[1]:
            latencies[class_of[ticket.stream]].append((done - ticket.arrival) * 1e3)
    return latencies


def _class_figures(
    qos_class: QosClass,
    streams: Sequence[_StreamCounts],
    latencies_ms: list[float],
    length_s: float,
    num_served: int,
    fair: float,
) -> ClassFigures:
    num_arrived = max(1, sum(s.num_arrived for s in streams))
    served = sum(s.num_served for s in streams)
    in_time = sum(s.num_served_in_time for s in streams)
    floor_fps = CLASS_DEFAULTS[qos_class].min_fps
    floors = [min(floor_fps * length_s, s.num_moments) for s in streams]
    even = fair_shares(served, [s.num_moments for s in streams], [1.0] * len(streams))
    rates = [s.num_served / f for s, f in zip(streams, even, strict=True) if f > 0]
    return ClassFigures(
        arrived_fps=_rounded(num_arrived / length_s),
        inferred_fps=_rounded(served / length_s),
        on_time=_rounded(sum(s.num_hits for s in streams) / num_arrived),
        inferred_on_time=_rounded(sum(s.num_in_time for s in streams) / num_arrived),
        latency_ms=_percentiles(sorted(latencies_ms)),
        late=_rounded(1 - in_time / served) if served else 0.0,
        share=_rounded(served / max(1, num_served)),
        fair_share=_rounded(fair / max(1, num_served)),
        jain=_rounded(jain_index(rates)),
        lowest_fps=_rounded(min((s.num_served_in_time for s in streams), default=0) / length_s),
        floor_fps=_rounded(min(floors, default=0.0) / length_s),
        num_below_floor=sum(
            s.num_served_in_time + 1 < floor for s, floor in zip(streams, floors, strict=True)
        ),
    )


def _busy(run: Run, span: tuple[float, float]) -> float:
    overlaps = (min(s.ended, span[1]) - max(s.began, span[0]) for s in run.spans)
    return _rounded(sum(o for o in overlaps if o > 0) / (span[1] - span[0]))


def _percentiles(ordered: Sequence[float]) -> dict[str, float | None]:
    return {f"p{p}": _rounded(percentile(ordered, p)) if ordered else None for p in PERCENTS}


def _error(share: float, fair: float) -> float:
    return _rounded(abs(share - fair) / fair) if fair else 0.0


def _rounded(value: float) -> float:
    return round(value, 4)
