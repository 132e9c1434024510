"""What we claim of our policy, held against the figures: true or false, and the worst case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from actors.specs import QosClass
from cluster.bench.qos.compare import OURS, CellFigures
from cluster.bench.qos.figures import RunFigures
from cluster.bench.qos.scenarios import FITTING, NORMAL_LOAD

_KEPT = 0.99
_MAX_SHARE_ERROR = 0.05
_MIN_BUSY = 0.97
_MAX_P99_RATIO = 1.1
_MAX_MOVED = 1.2
_MAX_LATE = 0.001
_NOTABLE = 0.01  # share of frames on time by which a policy counts as better or worse in a class
_FITTING_CLASSES = (QosClass.CRITICAL, QosClass.HIGH)


@dataclass(frozen=True, slots=True)
class Check:
    """One claim.

    Attributes:
        claim: In words, with its limit.
        holds: Whether it is so in every workload that it speaks of.
        worst: The figure that is furthest on the wrong side, or nearest to it.
        where: The workload of that figure.
        broken: All places where it does not hold.
    """

    claim: str
    holds: bool
    worst: Any
    where: str
    broken: tuple[str, ...] = ()


_Case = tuple[str, float, bool]  # where, figure, whether that is good enough


def check_claims(found: Sequence[CellFigures]) -> list[Check]:
    """Evaluate every claim on the workloads that are there."""
    normal = [f for f in found if f.cell.load is NORMAL_LOAD]
    over = [f for f in found if f.cell.load is not NORMAL_LOAD]
    fitting = [f for f in over if f.cell.load is FITTING]
    return [
        _check(
            "at twice the capacity critical and high keep >= 99 % on time while they fit",
            _kept(fitting),
            lowest=True,
        ),
        _check(
            "at twice the capacity every stream, low ones too, gets >= its floor in time",
            _below_floor(over),
        ),
        _check("at twice the capacity shares are within 5 % of the weights", _shares(over)),
        _check("at twice the capacity the engine is >= 97 % busy", _busy(over), lowest=True),
        _check("at twice the capacity at most 0.1 % of what is inferred is late", _late(over)),
        _check("at 0.8 of capacity nobody loses anything", _losses(normal), lowest=True),
        _check("at 0.8 of capacity p99 is within 10 % of the best policy", _p99_ratios(normal)),
        _check("ten more cameras in overload move critical's p99 by <= 20 %", _moved(over)),
        _domination(found),
    ]


def _check(claim: str, cases: Iterable[_Case], *, lowest: bool = False) -> Check:
    known = list(cases)
    if not known:
        return Check(claim, False, None, "no workload speaks of it")
    where, worst, _ = (min if lowest else max)(known, key=lambda case: case[1])
    broken = tuple(f"{place}: {figure}" for place, figure, good in known if not good)
    return Check(claim, not broken, worst, where, broken)


def _kept(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for place, qos_class, run in _by_class(cells):
        if qos_class in _FITTING_CLASSES:
            on_time = run.classes[qos_class].on_time
            yield place, on_time, on_time >= _KEPT


def _below_floor(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for place, qos_class, run in _by_class(cells):
        below = run.classes[qos_class].num_below_floor
        yield place, below, below == 0


def _shares(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for each in cells:
        error = each.runs[OURS].share_error
        yield _place(each), error, error <= _MAX_SHARE_ERROR


def _busy(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for each in cells:
        busy = each.runs[OURS].busy
        yield _place(each), busy, busy >= _MIN_BUSY


def _late(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for place, qos_class, run in _by_class(cells):
        late = run.classes[qos_class].late
        yield place, late, late <= _MAX_LATE


def _losses(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for place, qos_class, run in _by_class(cells):
        on_time = run.classes[qos_class].on_time
        yield place, on_time, on_time == 1.0


def _p99_ratios(cells: Iterable[CellFigures]) -> Iterator[_Case]:
    for each in cells:
        p99s = {name: run.latency_ms["p99"] or 0.0 for name, run in each.runs.items()}
        best = min(p99s, key=lambda name: p99s[name])
        ratio = round(p99s[OURS] / p99s[best], 4)
        place = f"{_place(each)}: {p99s[OURS]} ms, {best} {p99s[best]} ms"
        yield place, ratio, ratio <= _MAX_P99_RATIO


def _moved(cells: Sequence[CellFigures]) -> Iterator[_Case]:
    before = {
        (f.cell.load.name, f.cell.trace, f.cell.engine.name): f
        for f in cells
        if not f.cell.num_more
    }
    for each in cells:
        key = each.cell.load.name, each.cell.trace, each.cell.engine.name
        if each.cell.num_more and key in before:
            ratio = round(_critical_p99(each) / _critical_p99(before[key]), 4)
            yield _place(each), ratio, ratio <= _MAX_MOVED


def _critical_p99(each: CellFigures) -> float:
    return each.runs[OURS].classes[QosClass.CRITICAL].latency_ms["p99"] or float("inf")


def _domination(found: Sequence[CellFigures]) -> Check:
    """Better or worse is the share of frames on time, by more than one hundredth."""
    claim = "no policy is better in a class without being worse in another"
    free, num_trades = [], 0
    for each in found:
        ours = each.runs[OURS]
        for name, run in each.runs.items():
            gains = {c: run.classes[c].on_time - ours.classes[c].on_time for c in QosClass}
            better = [c.value for c, gain in gains.items() if gain > _NOTABLE]
            worse = [c.value for c, gain in gains.items() if gain < -_NOTABLE]
            num_trades += bool(better and worse)
            if better and not worse:
                free.append(f"{_place(each)}: {name} is better in {', '.join(better)}")
    return Check(
        claim, not free, len(free), f"{num_trades} times another gives and takes", tuple(free)
    )


def _by_class(cells: Iterable[CellFigures]) -> Iterator[tuple[str, QosClass, RunFigures]]:
    for each in cells:
        for qos_class in QosClass:
            yield f"{_place(each)}, {qos_class.value}", qos_class, each.runs[OURS]


def _place(each: CellFigures) -> str:
    return f"{each.cell.load.name}, {each.cell.name}"
