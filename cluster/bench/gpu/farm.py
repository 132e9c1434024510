"""Many cameras of 1080p at once: what they play, and the processes that serve them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.demo.clips import cache_dir
from cluster.demo.feeds import Feed, source_feeds
from cluster.demo.rtsp import CameraProcess
from cluster.demo.rtsp.process import ServedCamera

_CAMERAS_A_PROCESS = 16


@dataclass(frozen=True, slots=True)
class Farm:
    """Cameras on the air, and the processes that serve them, which do not count as ours."""

    cameras: Mapping[str, ServedCamera]
    pids: frozenset[int]


def path_feeds(films: Sequence[Path], num_cameras: int) -> list[Feed]:
    """Cameras of one class that play the films in turn, each with three rules."""
    played = [source_feeds("", films[i % len(films)], 1)[0] for i in range(num_cameras)]
    return [
        Feed(f"cam{i:03d}", each.clip, "", "normal", each.rules) for i, each in enumerate(played)
    ]


@contextlib.contextmanager
def serve_farm(feeds: Sequence[Feed]) -> Iterator[Farm]:
    """Serve the cameras from several processes: one could not send so much."""
    with contextlib.ExitStack() as stack:
        processes = []
        for first in range(0, len(feeds), _CAMERAS_A_PROCESS):
            clips = {
                feed.name: feed.clip
                for feed in feeds[first : first + _CAMERAS_A_PROCESS]
                if feed.clip is not None
            }
            processes.append(stack.enter_context(CameraProcess(clips, cache_dir=cache_dir())))
        cameras = {name: c for process in processes for name, c in process.cameras.items()}
        yield Farm(cameras, frozenset(process.pid for process in processes))
