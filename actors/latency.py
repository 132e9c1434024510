"""How latencies are counted everywhere: logarithmic buckets of 3 %, from 0.1 ms to four minutes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

NUM_BUCKETS = 496
_FIRST_BUCKET_S = 1e-4
_LOG_RATIO = math.log(1.03)
_UPPER_BOUNDS_S = [_FIRST_BUCKET_S * math.exp(n * _LOG_RATIO) for n in range(1, NUM_BUCKETS)]
_BOUNDS = np.array(_UPPER_BOUNDS_S)
_MIDDLES_MS = [
    round(_FIRST_BUCKET_S * math.exp((n + 0.5) * _LOG_RATIO) * 1e3, 3) for n in range(NUM_BUCKETS)
]
_PERCENTS = (50, 95, 99)


def bucket_of(latency_s: float) -> int:
    """The bucket that a latency belongs to; those at the ends take all beyond."""
    return bisect_right(_UPPER_BOUNDS_S, latency_s)


def buckets_of(latencies_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """``bucket_of`` many."""
    return _BOUNDS.searchsorted(latencies_s, side="right")


def middle_ms(bucket: int) -> float:
    """What stands for all latencies of a bucket, ms; wrong by 1.5 % at most."""
    return _MIDDLES_MS[bucket]


def counts_by_ms(counts: NDArray[np.int64]) -> dict[float, int]:
    """Counts of all buckets by their middles in ms, ascending; empty ones are left out."""
    filled = np.flatnonzero(counts)
    nums = counts[filled].tolist()
    return {_MIDDLES_MS[bucket]: num for bucket, num in zip(filled.tolist(), nums, strict=True)}


def percentiles_ms(counts: Mapping[float, int]) -> dict[str, float]:
    """p50, p95 and p99 of counts by latency in ms; empty where nothing was counted."""
    latencies_ms = sorted(counts)
    cumulative = list(accumulate(counts[latency_ms] for latency_ms in latencies_ms))
    if not cumulative or not cumulative[-1]:
        return {}
    return {
        f"p{percent}": latencies_ms[bisect_left(cumulative, cumulative[-1] * percent / 100)]
        for percent in _PERCENTS
    }
