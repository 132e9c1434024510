"""The parts put together: what the whole path reaches of the slower of decoder and engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.bench.gpu.films import FPS

MAX_CPU_US = 400.0
MIN_RATIO = 0.85


def summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the parts that were measured say together; None where a part is missing.

    Args:
        figures: ``decode``, ``engine``, ``path``, as the parts return them, or some of them.

    Returns:
        ``decode_fps`` (a), ``engine_fps`` (b), ``path_fps`` (c), ``ratio`` c over min(a, b), and
        what the last number of cameras that held took.
    """
    decode_fps = max((row["fps"] for row in figures.get("decode", ())), default=None)
    engine_fps = figures.get("engine", {}).get("best")
    best = figures.get("path", {}).get("best")
    path_fps = best["inferred_fps"] if best else None
    bounds = [bound for bound in (decode_fps, engine_fps) if bound]
    ratio = round(path_fps / min(bounds), 3) if path_fps and len(bounds) == 2 else None
    return {
        "decode_fps": decode_fps,
        "decode_cameras": int(decode_fps // FPS) if decode_fps else None,
        "engine_fps": engine_fps,
        "path_fps": path_fps,
        "ratio": ratio,
        "ratio_holds": None if ratio is None else ratio >= MIN_RATIO,
        "cameras": best["cameras"] if best else None,
        "latency_ms": best["latency_ms"] if best else None,
        "cpu_us": best["cpu_us"]["all"] if best else None,
        "cpu_holds": best["cpu_us"]["all"] <= MAX_CPU_US if best else None,
    }
