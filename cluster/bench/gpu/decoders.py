"""NVDEC by NVIDIA's own library beside NVDEC through FFmpeg: what each costs, whether they agree.

``python -m cluster.bench.gpu.decoders --json FILE`` prints a short table. Every part runs in
processes of its own, so that one that fails leaves the others their figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BrokenBarrierError
from typing import Any

from cluster.bench.gpu.decoder_films import camera_film
from cluster.bench.gpu.decoder_pictures import compare_pictures
from cluster.bench.gpu.decoder_windows import Window, keep, run_windows
from cluster.errors import UnavailableError

FPS = 30
_WAYS: dict[str, dict[str, Any]] = {
    "poll+poll": {"decode": "poll", "copy": "poll", "step_s": 3e-4},
    "poll+poll, 1 ms": {"decode": "poll", "copy": "poll", "step_s": 1e-3},
    "poll+event": {"decode": "poll", "copy": "event", "step_s": 3e-4},
    "poll+stream": {"decode": "poll", "copy": "stream", "step_s": 3e-4},
    "driver+poll": {"decode": "driver", "copy": "poll", "step_s": 3e-4},
    "driver+event": {"decode": "driver", "copy": "event", "step_s": 3e-4},
    "driver+stream": {"decode": "driver", "copy": "stream", "step_s": 3e-4},
}
_FEW_WAYS = ("poll+poll", "driver+event")
_COLUMNS = ("name", "fps", "cpu_us", "user_us", "system_us", "mean_ms", "p95_ms")
_REST_S = 60.0


def windows(fps: float | None, seconds: float, ways: Sequence[str]) -> list[Window]:
    """What one group of processes measures, one after the other.

    Args:
        fps: Pictures a second of each stream; None for as many as come.
        seconds: Length of each.
        ways: Names of ``_WAYS``.
    """
    found = [] if fps is None else [Window("nothing", "none", fps, seconds)]
    found.append(Window("ffmpeg", "ffmpeg", fps, seconds))
    for way in ways:
        found.append(Window(way, "nvcuvid", fps, seconds, _WAYS[way]))
    held = Window(f"{ways[0]} short calls hold the GIL", "nvcuvid", fps, seconds, _WAYS[ways[0]])
    found.append(held.holding())
    found += [each.timed() for each in found if each.name in ("ffmpeg", *_FEW_WAYS)]
    return found


def measure(film: Path, processes: int, threads: int, todo: Sequence[Window]) -> Any:
    """The rows of one group of processes; what went wrong where it did."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(processes)
    began = time.monotonic()
    try:
        with ProcessPoolExecutor(processes, spawn, keep, (ready,)) as pool:
            jobs = [
                pool.submit(run_windows, film, threads, (index, processes), list(todo))
                for index in range(processes)
            ]
            found = _results(jobs, _REST_S + sum(2 * each.seconds for each in todo))
    except Exception:  # the next group may do better
        return {"error": traceback.format_exc()}
    rows = [
        merged(window, parts) for window, parts in zip(todo, zip(*found, strict=True), strict=True)
    ]
    return {"rows": rows, "took_s": round(time.monotonic() - began, 1)}


def _results(jobs: Sequence[Future[Any]], timeout_s: float) -> list[Any]:
    """Of all jobs; raises what one has failed of first, not that others had to stop."""
    wait(jobs, timeout_s)
    if not all(job.done() for job in jobs):
        for process in multiprocessing.active_children():
            process.kill()
        raise UnavailableError(f"decoders hang: nothing for {timeout_s:.0f} s")
    for job in jobs:
        error = job.exception(0)
        if error is not None and not isinstance(error, BrokenBarrierError):
            raise error
    return [job.result(0) for job in jobs]


def merged(window: Window, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of all processes."""
    num = max(1, sum(part["frames"] for part in parts))
    took_ms = sorted(each for part in parts for each in part["took_ms"]) or [0.0]
    row: dict[str, Any] = {"name": window.name, "is_timed": window.is_timed, "errors": 0}
    row["fps"] = round(sum(part["frames"] / part["elapsed_s"] for part in parts), 1)
    for kind in ("user", "system"):
        row[f"{kind}_us"] = round(1e6 * sum(part[f"{kind}_s"] for part in parts) / num, 1)
    row["cpu_us"] = round(row["user_us"] + row["system_us"], 1)
    row["mean_ms"] = round(sum(took_ms) / len(took_ms), 3)
    row["p95_ms"] = round(took_ms[int(0.95 * (len(took_ms) - 1))], 3)
    row["errors"] = sum(part["errors"] for part in parts)
    calls: dict[str, list[float]] = {}
    for part in parts:
        for name, figures in part["calls"].items():
            known = calls.setdefault(name, [0.0, 0.0, 0.0])
            calls[name] = [a + b for a, b in zip(known, figures, strict=True)]
    # Calls a picture, microseconds of the clock and of the processor a picture.
    row["calls"] = {
        name: [round(count / num, 2), round(1e6 * wall / num, 1), round(1e6 * cpu / num, 1)]
        for name, (count, wall, cpu) in sorted(calls.items(), key=lambda item: -item[1][2])
    }
    return row


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a process of its own; what went wrong where it did."""
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, spawn) as pool:
            return _results([pool.submit(function, *arguments)], _REST_S)[0]
    except Exception:  # the figures are wanted all the same
        return {"error": traceback.format_exc()}


def compare(seconds: float, streams: int, groups: Sequence[int]) -> dict[str, Any]:
    """All of it."""
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        film = camera_film(Path(folder) / "camera.ts")
        found["pictures"] = apart(compare_pictures, Path(folder))
        ways = list(_WAYS)
        found["1 x 16, unthrottled"] = measure(film, 1, 16, windows(None, seconds / 2, ways))
        show("1 x 16, unthrottled", found["1 x 16, unthrottled"])
        for index, num in enumerate(groups):
            name = f"{num} x {streams // num}, {FPS} a second"
            some = ways if index == 0 else _FEW_WAYS
            todo = windows(FPS, seconds, some)
            found[name] = measure(film, num, streams // num, todo)
            show(name, found[name])
    summarize(found)
    return found


def summarize(found: dict[str, Any]) -> None:
    """Whether the pictures agree, and FFmpeg beside the cheapest way that keeps up."""
    pictures = found["pictures"]
    if "error" in pictures:
        print(f"\npictures: {pictures['error']}")
    for name, each in {} if "error" in pictures else pictures.items():
        ours, theirs = each["pictures"]
        apart = {key: each[key] for key in ("different", "other_layout", "other_time", "errors")}
        print(f"{name}: {ours} of {theirs} pictures, {apart}, FFmpeg: {each['through_ffmpeg']}")
    for name, group in found.items():
        rows = [row for row in group.get("rows", ()) if not row["is_timed"]]
        for row in (_row_of("ffmpeg", rows), _cheapest(rows)):
            if row is not None:
                print(f"{name}: {row['name']}: {row['fps']} fps, {row['cpu_us']} us a picture")
    print(end="", flush=True)


def _row_of(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return next((row for row in rows if row["name"] == name), None)


def _cheapest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    known = _row_of("ffmpeg", rows)
    others = [row for row in rows if row["name"] not in ("nothing", "ffmpeg")]
    fit = [row for row in others if known is None or row["fps"] > 0.95 * known["fps"]]
    return min(fit or others, key=lambda row: float(row["cpu_us"]), default=None)


def show(name: str, group: dict[str, Any]) -> None:
    """The table of one group, and the calls that cost most."""
    print(f"\n{name}" + (f" ({group['took_s']} s)" if "took_s" in group else ""))
    if "error" in group:
        print(group["error"], flush=True)
        return
    print("".join(f"{column:>{38 if column == 'name' else 11}}" for column in _COLUMNS))
    for row in group["rows"]:
        row_name = row["name"] + (", timed" if row["is_timed"] else "")
        figures = "".join(f"{row[column]:>11}" for column in _COLUMNS[1:])
        print(f"{row_name:>38}{figures}" + (f"  {row['errors']} errors" if row["errors"] else ""))
    for row in group["rows"]:
        if row["is_timed"]:
            calls = ", ".join(f"{call} {n}x {w}/{c}" for call, (n, w, c) in row["calls"].items())
            print(f"  {row['name']}: calls a picture, us of clock/processor: {calls}")
    print(end="", flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a measurement")
    parser.add_argument("--streams", type=int, default=128, help="in real time")
    parser.add_argument("--processes", type=int, nargs="+", default=[8, 2], help="groups of them")
    given = parser.parse_args()
    found = compare(given.seconds, given.streams, given.processes)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
