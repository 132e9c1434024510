"""Scores tracks against MOT Challenge ground truth: CLEAR MOT and identity F1.

CLEAR: Bernardin and Stiefelhagen 2008; IDF1: Ristani et al. 2016. Rules of MOT15 and MOT17 as the
public scorers apply them: IoU at least 0.5, boxes matched to distractors are left out in MOT17.
"""

from __future__ import annotations

from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from engines.detections import Detections

MIN_IOU = 0.5
PEDESTRIAN = 1
DISTRACTORS = (2, 7, 8, 12)  # person on vehicle, static person, distractor, reflection


@dataclass(frozen=True)
class Boxes:
    """Boxes of a sequence: frame [n], identity [n], xyxy [n, 4]."""

    frame: np.ndarray
    identity: np.ndarray
    xyxy: np.ndarray

    def at(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        here = self.frame == frame
        return self.identity[here], self.xyxy[here]


@dataclass(frozen=True)
class Sequence:
    name: str
    fps: float
    num_frames: int
    truth: Boxes
    distractors: Boxes
    detections: tuple[Detections, ...]


@dataclass(frozen=True)
class Score:
    """Counts of one or several sequences; adds up."""

    num_truth: int = 0
    num_found: int = 0
    num_false: int = 0
    num_switches: int = 0
    num_identity_hits: int = 0

    def __add__(self, other: Score) -> Score:
        mine, theirs = vars(self), vars(other)
        return Score(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def mota(self) -> float:
        misses = self.num_truth - self.num_found
        return 100 * (1 - (misses + self.num_false + self.num_switches) / self.num_truth)

    @property
    def idf1(self) -> float:
        return 100 * 2 * self.num_identity_hits / (self.num_truth + self.num_found + self.num_false)


def read_sequence(folder: Path, detections: str = "det/det.txt") -> Sequence:
    """A folder with seqinfo.ini, gt/gt.txt and a file of detections."""
    info = ConfigParser()
    info.read(folder / "seqinfo.ini")
    num_frames = info.getint("Sequence", "seqLength")
    gt = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    det = np.loadtxt(folder / detections, delimiter=",")
    is_mot17 = gt.shape[1] == 9
    person = (gt[:, 6] > 0) & ((gt[:, 7] == PEDESTRIAN) if is_mot17 else True)
    distractor = np.isin(gt[:, 7], DISTRACTORS) if is_mot17 else np.zeros(len(gt), bool)
    return Sequence(
        folder.name,
        info.getfloat("Sequence", "frameRate"),
        num_frames,
        _boxes(gt[person]),
        _boxes(gt[distractor]),
        tuple(_detections(det[det[:, 0] == frame]) for frame in range(1, num_frames + 1)),
    )


def score(sequence: Sequence, tracks: dict[int, Detections]) -> Score:
    """Compare tracked detections, by 1-based frame number, with the truth."""
    last: dict[int, int] = {}
    previous: dict[int, int] = {}
    together: dict[tuple[int, int], int] = {}
    found = false = switches = 0
    num_by_track: dict[int, int] = {}
    for frame, tracked in sorted(tracks.items()):
        ids, xyxy = sequence.truth.at(frame)
        track_ids, overlap = _without_distractors(sequence, frame, ids, xyxy, tracked)
        for track in track_ids:
            num_by_track[track] = num_by_track.get(track, 0) + 1
        for i, j in zip(*np.nonzero(overlap >= MIN_IOU), strict=True):
            pair = (int(ids[i]), int(track_ids[j]))
            together[pair] = together.get(pair, 0) + 1
        matches = _match(ids, track_ids, overlap, previous)
        switches += sum(last.get(i, j) != j for i, j in matches.items())
        found += len(matches)
        false += len(track_ids) - len(matches)
        last |= matches
        previous = matches
    num_truth = int(np.isin(sequence.truth.frame, list(tracks)).sum())
    hits = _identity_hits(together)
    return Score(num_truth, found, false, switches, hits)


def _match(ids, track_ids, overlap, previous) -> dict[int, int]:
    """Matches of one frame; those of the frame before are kept while they overlap enough."""
    continued = np.array([[previous.get(int(i)) == j for j in track_ids] for i in ids])
    value = np.where(overlap >= MIN_IOU, overlap + 1000.0 * continued.reshape(overlap.shape), 0.0)
    rows, cols = linear_sum_assignment(value, maximize=True)
    return {
        int(ids[i]): int(track_ids[j]) for i, j in zip(rows, cols, strict=True) if value[i, j] > 0
    }


def _without_distractors(sequence, frame, ids, xyxy, tracked):
    """Track ids and IoU with the truth, without the boxes that sit on a distractor."""
    _, hidden = sequence.distractors.at(frame)
    everything = iou(np.vstack([xyxy, hidden]), tracked.xyxy)
    rows, cols = linear_sum_assignment(
        np.where(everything >= MIN_IOU, everything, 0), maximize=True
    )
    on_distractor = cols[(rows >= len(ids)) & (everything[rows, cols] >= MIN_IOU)]
    keep = np.setdiff1d(np.arange(len(tracked)), on_distractor)
    return tracked.track_id[keep], everything[: len(ids), keep]


def _identity_hits(together: dict[tuple[int, int], int]) -> int:
    """Frames covered by the best one-to-one assignment of truth and tracks."""
    truths = {i: n for n, i in enumerate(sorted({pair[0] for pair in together}))}
    tracks = {j: n for n, j in enumerate(sorted({pair[1] for pair in together}))}
    table = np.zeros((len(truths), len(tracks)))
    for (i, j), num in together.items():
        table[truths[i], tracks[j]] = num
    return int(table[linear_sum_assignment(table, maximize=True)].sum())


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of xyxy boxes [n, 4] and [m, 4], as [n, m]."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return common / np.maximum(area_a[:, None] + area_b[None, :] - common, 1e-9)


def _boxes(rows: np.ndarray) -> Boxes:
    return Boxes(rows[:, 0].astype(int), rows[:, 1].astype(int), _xyxy(rows))


def _detections(rows: np.ndarray) -> Detections:
    return Detections.of(_xyxy(rows), rows[:, 6], np.zeros(len(rows)))


def _xyxy(rows: np.ndarray) -> np.ndarray:
    return np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
