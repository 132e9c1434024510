"""From single failures to rows of a table, and to what is promised. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cluster.bench.claims import Claim, at_most
from cluster.bench.failover.failures import FAILURES

NEVER_S = 1.0
"""A stream that is silent for no longer was not hit: frames have a rhythm, machines are busy."""

_GAPS = (
    *("hit_p50_s", "hit_max_s", "moved_max_s", "others_max_s", "others_more_s", "others_at_s"),
    *("others_skipped", "calm_max_s", "api_s", "whole_s"),
)
_COUNTS = ("num_made", "num_lost", "num_twice")


def gaps_of(
    gaps: Mapping[str, float], hit: Collection[str], moved: Collection[str]
) -> dict[str, float | None]:
    """The gaps of the streams that were hit, of those that moved besides, and of the others.

    Args:
        gaps: Longest silence of each stream, seconds.
        hit: Streams whose process, slot or machine was killed.
        moved: Others that another slot has now.
    """
    apart = {*hit, *moved}
    struck = [gap for stream, gap in gaps.items() if stream in hit]
    return {
        "hit_p50_s": _median(struck),
        "hit_max_s": _worst(struck),
        "moved_max_s": _worst([gaps[stream] for stream in moved]),
        "others_max_s": _worst([gap for stream, gap in gaps.items() if stream not in apart]),
    }


def above_calm(others_max_s: float | None, calm_max_s: float) -> float | None:
    """How much longer streams that were left alone were silent than any was just before."""
    return None if others_max_s is None else round(max(0.0, others_max_s - calm_max_s), 3)


def missing_runs(names: Sequence[str], times: int, runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Which failures have to happen yet, row by row.

    Args:
        names: The rows.
        times: How often each is wanted.
        runs: What was seen already, of these and of others.
    """
    num = Counter(run["failure"] for run in runs)
    return [name for name in names for _ in range(times - num[name])]


def row_of(name: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The times of one failure together: medians of its gaps, sums of its events.

    Args:
        name: Of the failure.
        runs: What was seen, each time.
    """
    return {
        "failure": name,
        "times": len(runs),
        "limit_s": FAILURES[name].limit_s,
        **{key: _median(_known(runs, key)) for key in _GAPS},
        "hit_worst_s": _worst(_known(runs, "hit_max_s")),
        "others_worst_s": _worst(_known(runs, "others_max_s")),
        **{key: sum(run[key] for run in runs) for key in _COUNTS},
        "back_s": _worst(_known(runs, "back_s")),
        "num_broken": sum(run["whole_s"] is None for run in runs),
        "load": _median(_known(runs, "load")),
    }


def claims_of(rows: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """What is promised, held against the rows."""
    return [claim for row in rows for claim in _claims_of(row)]


def _claims_of(row: Mapping[str, Any]) -> list[Claim]:
    name, limit_s = row["failure"], row["limit_s"]
    claims = []
    if limit_s is not None:
        text = f"{name}: longest gap of the streams hit, at most {limit_s:g} s"
        claims.append(at_most(text, row["hit_max_s"], limit_s))
    text = f"{name}: other streams are never silent for more than {NEVER_S:g} s"
    claims.append(at_most(text, row["others_max_s"], NEVER_S))
    if name == "redis":
        claims.append(at_most("redis: events lost: none", row["num_lost"], 0))
    claims.append(at_most(f"{name}: events written twice: none", row["num_twice"], 0))
    claims.append(at_most(f"{name}: times that it did not mend: none", row["num_broken"], 0))
    return claims


def _known(runs: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [run[key] for run in runs if run.get(key) is not None]


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _worst(values: Sequence[float]) -> float | None:
    return round(max(values), 3) if values else None
