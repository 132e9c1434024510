"""Who is compared: our trackers, and those of others where they are installed."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import CONFIGS, make_tracker
from cluster.bench.tracking.sequences import Rows
from engines.detections import Detections

Tracked = tuple[NDArray[np.int64], NDArray[Any]]
"""Identities [n] and their boxes [n, 4] as corners."""

Follow = Callable[[Rows, float], Tracked]
"""Takes the detections [n, 5] of a frame and its time in seconds."""

_SURE = 0.5  # SORT knows no unsure detections: it gets those from here on


@dataclass(frozen=True, slots=True)
class Contestant:
    """One tracker.

    Attributes:
        name: For tables.
        is_ours: Whether it is one of ours.
        begin: Makes it anew for a sequence.
    """

    name: str
    is_ours: bool
    begin: Callable[[], Follow]


def ours() -> list[Contestant]:
    """Our trackers; their configuration is the one that streams get."""
    logging.getLogger("actors.analytics.tracking.tracker").setLevel(logging.ERROR)
    return [Contestant(kind, True, partial(_ours, kind)) for kind in CONFIGS]


def others() -> list[Contestant]:
    """Trackers of others with their default settings, of those that can be imported.

    ``trackers`` is the package of that name; ``sort`` is sort.py of abewley/sort (GPL-3.0) on
    PYTHONPATH. They count frames, as they do unless one passes them times.
    """
    found = []
    if library := _imported("trackers"):
        for name, kind in (("ByteTrack", "ByteTrackTracker"), ("OC-SORT", "OCSORTTracker")):
            maker = getattr(library, kind)
            found.append(Contestant(f"{name} (trackers)", False, partial(_library, maker)))
    if sort := _imported("sort"):
        for name, max_age in (("SORT", 1), ("SORT30", 30)):
            found.append(
                Contestant(name, False, partial(_sort, partial(sort.Sort, max_age=max_age)))
            )
    return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _ours(kind: str) -> Follow:
    tracker = make_tracker(kind)

    def follow(rows: Rows, t_s: float) -> Tracked:
        found = Detections.of(rows[:, :4], rows[:, 4], np.zeros(len(rows)))
        tracked = tracker.update(found, t_s)
        return tracked.track_id, tracked.xyxy

    return follow


def _library(make: Callable[[], Any]) -> Follow:
    supervision, tracker = importlib.import_module("supervision"), make()

    def follow(rows: Rows, _: float) -> Tracked:
        no_class = np.zeros(len(rows), dtype=int)
        found = supervision.Detections(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=no_class)
        tracked = tracker.update(found)
        identity = np.asarray(tracked.tracker_id, dtype=np.int64)
        return identity[identity >= 0], tracked.xyxy[identity >= 0]

    return follow


def _sort(make: Callable[[], Any]) -> Follow:
    tracker = make()

    def follow(rows: Rows, _: float) -> Tracked:
        tracked = tracker.update(rows[rows[:, 4] >= _SURE])
        return tracked[:, 4].astype(np.int64), tracked[:, :4]

    return follow
