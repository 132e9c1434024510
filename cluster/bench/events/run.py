"""The bench: films recorded and judged in several processes, replayed in others, and the claims."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from cluster.bench.claims import Claim, all_hold, at_most, plain
from cluster.bench.events.clips import CLIPS, claim, count
from cluster.bench.events.figures import TOLERANCE_S, TYPES, Judged, Tally, judge
from cluster.bench.events.film import LIGHTS, Film
from cluster.bench.events.recording import Recording
from cluster.bench.events.replay import SOURCES

FIRST_SEED = 20_000  # the detector that ships has not seen these worlds
LEAST = 0.97
_HASH_SEEDS = ("1", "2")
_Key = tuple[str, str, str]
_KEY = ("source", "type", "light")

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class EventsPlan:
    """What to measure.

    Attributes:
        num_seeds: Worlds, each by day and by night.
        fps: Pictures a second that the detector gets.
        seconds: Length of each film.
        num_processes: How many films are drawn at once.
        first_seed: The first of the seeds.
    """

    num_seeds: int = 20
    fps: int = 6
    seconds: float = 30.0
    num_processes: int = 2
    first_seed: int = FIRST_SEED

    @property
    def films(self) -> list[Film]:
        """Each world in each light."""
        seeds = range(self.first_seed, self.first_seed + self.num_seeds)
        return [Film(seed, light, self.fps, self.seconds) for seed in seeds for light in LIGHTS]


def measure_events(
    plan: EventsPlan, folder: Path, progress: Progress, data: Path | None = None
) -> dict[str, Any]:
    """Record what the folder does not hold, judge all films, and replay them.

    Args:
        plan: What to measure.
        folder: Where recordings lie.
        progress: Told how far it is.
        data: Folder with real films that people have counted in, see ``clips.py``.

    Returns:
        ``rows``, a table by source, light and type; ``replays``; ``claims``, and whether all hold.
    """
    films = plan.films
    judged = _judged(films, folder, plan.num_processes, progress)
    totals: defaultdict[_Key, Tally] = defaultdict(Tally)
    for film, each in zip(films, judged, strict=True):
        for (source, type_), tally in each.tallies.items():
            totals[source, type_, film.light] += tally
    paths = [film.path(folder) for film in films]
    digests = [each.digest for each in judged]
    num_differ = sum(
        here != there
        for hash_seed in _HASH_SEEDS
        for here, there in zip(digests, _replayed(paths, hash_seed, progress), strict=True)
    )
    claims = _claims(totals, judged, num_differ)
    claims += [] if data is None else _counted(data, progress)
    return {
        "films": len(films),
        "fps": plan.fps,
        "seconds": plan.seconds,
        "first_seed": plan.first_seed,
        "num_events": sum(each.num_events for each in judged),
        "rows": [
            dict(zip(_KEY, key, strict=True)) | totals[key].to_dict()
            for key in product(SOURCES, TYPES, LIGHTS)
        ],
        "claims": plain(claims),
        "holds": all_hold(claims),
    }


def _judged(
    films: Sequence[Film], folder: Path, num_processes: int, progress: Progress
) -> list[Judged]:
    """In fresh processes, since the detector's library does not survive a fork."""
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        futures: list[Future[Judged]] = [pool.submit(_film, film, folder) for film in films]
        for num_done, _ in enumerate(as_completed(futures), 1):
            progress("films", num_done, len(films))
        return [future.result() for future in futures]


def _film(film: Film, folder: Path) -> Judged:
    return judge(Recording.load(film.record(folder)))


def _replayed(paths: Sequence[Path], hash_seed: str, progress: Progress) -> Iterator[str]:
    """Hashes of the events of recordings, worked out in another process with other hashes."""
    command = [sys.executable, "-m", "cluster.bench.events.replay", *map(str, paths)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for num_done, line in enumerate(process.stdout or (), 1):
            progress(f"replay {hash_seed}", num_done, len(paths))
            yield line.strip()


def _counted(data: Path, progress: Progress) -> Iterator[Claim]:
    for num_done, clip in enumerate(CLIPS, 1):
        yield claim(clip, count(clip, data))
        progress("real films", num_done, len(CLIPS))


def _claims(totals: Mapping[_Key, Tally], judged: Sequence[Judged], num_differ: int) -> list[Claim]:
    by_source = {source: _by_type(totals, source) for source in SOURCES}
    claims = [each for source in SOURCES for each in _right(source, by_source[source])]
    repeated = sum(tally.num_repeated for tally in totals.values())
    same_id = sum(each.num_same_id for each in judged)
    claims += [
        at_most("events that were reported twice: none", repeated, 0),
        at_most("events with the id of another one: none", same_id, 0),
        at_most("films whose replay in other processes differs in a byte: none", num_differ, 0),
    ]
    rarest = min(tally.score.num_true for tally in by_source[next(iter(SOURCES))].values())
    return [*claims, Claim("events of the rarest type: 20 or more", rarest, rarest >= 20)]


def _right(source: str, by_type: Mapping[str, Tally]) -> Iterator[Claim]:
    """What is promised of the events that one source of boxes leads to."""
    for share in ("precision", "recall"):
        figures = {type_: getattr(tally.score, share) for type_, tally in by_type.items()}
        least = min(figures, key=lambda type_: figures[type_])
        yield Claim(
            f"{source}: {share} of every type, at most {TOLERANCE_S} s off: {LEAST} or more",
            f"{figures[least]:.3f} ({least})",
            figures[least] >= LEAST,
        )
    off_s = {type_: tally.to_dict()["off_p95_s"] for type_, tally in by_type.items()}
    worst = max(off_s, key=lambda type_: off_s[type_])
    yield Claim(
        f"{source}: 95 % of the times of every type at most {TOLERANCE_S} s off",
        f"{off_s[worst]:.2f} s ({worst})",
        off_s[worst] <= TOLERANCE_S,
    )


def _by_type(totals: Mapping[_Key, Tally], source: str) -> dict[str, Tally]:
    """Day and night together."""
    return {
        type_: sum((totals[source, type_, light] for light in LIGHTS), Tally()) for type_ in TYPES
    }
