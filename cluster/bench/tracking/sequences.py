"""Sequences as MOT Challenge lays them out: detections, truth, and what a tracker may know."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cluster.errors import ClusterError

Rows = NDArray[np.float64]

_DETECTORS = ("det_frcnn.txt", "det.txt")
BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20")


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """One film.

    Attributes:
        name: Of its folder.
        fps: Frames a second.
        truth: Lines of ``gt/gt.txt``, split: frame from 1, identity, box, and the rest.
        frames: Of each frame float64 [n, 5]: left, top, right, bottom, confidence.
    """

    name: str
    fps: float
    truth: tuple[tuple[str, ...], ...]
    frames: tuple[Rows, ...]

    def kept(self, drop: int, first: int | None = None) -> list[int]:
        """Frames, from 0, that are left when each ``drop``-th is dropped; 0 drops none.

        Args:
            drop: Each so manieth goes.
            first: The first that goes, from 0; ``drop`` - 1 without it.
        """
        first = drop - 1 if first is None else first
        return [n for n in range(len(self.frames)) if not drop or n % drop != first]


def read_sets(data: Path) -> dict[str, list[Sequence]]:
    """The sequences of each set in a folder, by the set's name.

    Raises:
        ClusterError: if there are none, or a file cannot be read.
    """
    folders = [data / name for name in BENCHMARKS if (data / name).is_dir()]
    if not folders:
        raise ClusterError(
            f"--data {data} has no folder {', '.join(BENCHMARKS)}: each holds a folder a sequence, "
            "with seqinfo.ini, det/det.txt and gt/gt.txt"
        )
    return {each.name: [read_sequence(path) for path in _sequences(each)] for each in folders}


def _sequences(folder: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(folder.glob("*/seqinfo.ini")))


def read_sequence(folder: Path, detections: Path | None = None) -> Sequence:
    """A sequence, with its own detections (Faster R-CNN, where it has several) or others.

    Raises:
        ClusterError: if a file cannot be read.
    """
    file = detections or next(
        (path for name in _DETECTORS if (path := folder / "det" / name).exists()),
        folder / "det" / _DETECTORS[-1],
    )
    try:
        info = ConfigParser()
        info.read_string((folder / "seqinfo.ini").read_text())
        about = info["Sequence"]
        num_frames, fps = int(about["seqLength"]), float(about["frameRate"])
        found = np.loadtxt(file, delimiter=",", ndmin=2)
        truth = (folder / "gt" / "gt.txt").read_text().split()
    except (OSError, ValueError, KeyError, Error) as error:
        raise ClusterError(f"sequence {folder.name}: {error}") from error
    frames = tuple(_boxes(found[found[:, 0] == n + 1]) for n in range(num_frames))
    return Sequence(folder.name, fps, tuple(tuple(each.split(",")) for each in truth), frames)


def _boxes(rows: Rows) -> Rows:
    corner, size = rows[:, 2:4], rows[:, 4:6]
    return np.hstack([corner, corner + size, rows[:, 6:7]])
