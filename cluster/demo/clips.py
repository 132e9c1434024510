"""The demo's films: worlds rendered once on all cores and kept in the user's cache."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.demo.world import Scenario, Truth, cached_clip, scenarios
from cluster.demo.world.clip import clip_path, truth_path
from cluster.machine import num_cores

CLIP_DURATION_S = 40.0
DEMO_SEED = 7

_POLL_S = 0.1
_progress_queue: Any = None

Progress = Callable[[int, int], None]


def cache_dir() -> Path:
    """Where clips are kept: ``$XDG_CACHE_HOME/sightline/clips``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sightline" / "clips"


def demo_scenarios(num_cameras: int, fps: int = 25) -> list[Scenario]:
    """The worlds that the demo's cameras see."""
    return [
        replace(scenario, duration_s=CLIP_DURATION_S, fps=fps)
        for scenario in scenarios(num_cameras, seed=DEMO_SEED)
    ]


def demo_clips(wanted: Sequence[Scenario], progress: Progress) -> list[tuple[Path, Truth]]:
    """Render what the cache does not hold, as many at once as there are cores.

    Args:
        wanted: The worlds.
        progress: Called with the frames done and the frames of all clips that must be rendered.

    Returns:
        Clip and truth of each world, in order.
    """
    cached = _cached(wanted)
    if cached is not None:
        return cached
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    num_workers = min(num_cores(), len(wanted))
    with ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_set_queue, initargs=(queue,)
    ) as workers:
        jobs = [workers.submit(_render, scenario, folder) for scenario in wanted]
        _follow(jobs, queue, progress)
        return [job.result() for job in jobs]


def _cached(wanted: Sequence[Scenario]) -> list[tuple[Path, Truth]] | None:
    paths = [clip_path(scenario, cache_dir()) for scenario in wanted]
    if not all(path.exists() and truth_path(path).exists() for path in paths):
        return None
    return [(path, Truth.from_json(truth_path(path).read_text())) for path in paths]


def _follow(jobs: Sequence[Future[Any]], queue: Any, progress: Progress) -> None:
    done: dict[int, tuple[int, int]] = {}
    pending = set(jobs)
    while pending:
        pending = wait(pending, timeout=_POLL_S).not_done
        while not queue.empty():
            seed, frames, total = queue.get()
            done[seed] = (frames, total)
            progress(sum(d for d, _ in done.values()), sum(t for _, t in done.values()))


def _set_queue(queue: Any) -> None:
    global _progress_queue
    _progress_queue = queue


def _render(scenario: Scenario, folder: Path) -> tuple[Path, Truth]:
    def report(done: int, total: int) -> None:
        if done % scenario.fps == 0 or done == total:
            _progress_queue.put((scenario.seed, done, total))

    return cached_clip(scenario, folder, progress=report)
