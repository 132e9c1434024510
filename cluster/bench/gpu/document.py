"""The parts put together: what the whole path reaches of the slower of decoder and engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.bench.gpu.films import FPS
from cluster.errors import ConflictError

SCHEMA = 2
MAX_CPU_US = 400.0
MAX_P95_MS, MAX_P99_MS = 150.0, 250.0
MIN_RATIO = 0.85


def begun(known: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
    """A document to which figures can be added.

    Args:
        known: What an earlier run gave; empty for none.
        setting: What all parts have in common: model, precision, films.

    Raises:
        ConflictError: if the earlier figures are of something else.
    """
    if known and (known.get("schema"), known.get("setting")) != (SCHEMA, dict(setting)):
        raise ConflictError(
            f"the figures in the file are of {known.get('setting', 'an older version')}, these "
            f"would be of {dict(setting)}: give --json another file"
        )
    return {**known, "schema": SCHEMA, "setting": dict(setting)}


def add(figures: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Put figures into the document, where ``place`` names them from the outside in."""
    for name in place[:-1]:
        figures = figures.setdefault(name, {})
    figures[place[-1]] = value


def summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the parts that were measured say together; None where a part is missing.

    Args:
        figures: ``setting``, and ``decode``, ``engine``, ``path``, ``mps``, or some of them.

    Returns:
        ``decode_fps`` (a), ``engine_fps`` (b), ``path_fps`` (c), ``ratio`` c over min(a, b), what
        the last number of cameras that held took, and under ``mps`` the same with it.
    """
    precision = figures.get("setting", {}).get("precision")
    engine_fps = figures.get("engine", {}).get(precision, {}).get("best")
    found = _summary(figures, engine_fps)
    if "mps" in figures:
        found["mps"] = _summary(figures["mps"], engine_fps)
    return found


def _summary(figures: Mapping[str, Any], engine_fps: float | None) -> dict[str, Any]:
    decode_fps = max((row["fps"] for row in figures.get("decode", ())), default=None)
    path = figures.get("path", {})
    best = path.get("best")
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
        "mb_a_stream": path.get("mb_a_stream") or path.get("mb_a_stream_with_contexts"),
        **(_best(best) if best else {}),
    }


def _best(step: Mapping[str, Any]) -> dict[str, Any]:
    latency_ms, cpu_us = step["latency_ms"], step["cpu_us"]["all"]["total"]
    return {
        "cameras": step["cameras"],
        "latency_ms": latency_ms,
        "latency_holds": latency_ms["p95"] <= MAX_P95_MS and latency_ms["p99"] <= MAX_P99_MS,
        "stages_ms": step["stages_ms"],
        "cpu_us": cpu_us,
        "cpu_holds": cpu_us <= MAX_CPU_US,
    }


def steps_of(figures: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number of cameras that was measured, with what was special about it."""
    for side, under in (("", ""), ("mps", "with MPS")):
        part = figures.get(side, {}) if side else figures
        for step in part.get("path", {}).get("steps", ()):
            yield under, step
        for num, step in part.get("ingest", {}).items():
            yield f"{num} ingest {under}".strip(), step
