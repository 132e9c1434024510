"""Scores of tracks by TrackEval, the public scorer; it is imported only here."""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Several
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from cluster.bench.tracking.contestants import Tracked
from cluster.bench.tracking.sequences import Sequence
from cluster.errors import ClusterError

ALL = "all"

Tracks = Mapping[str, list[Tracked]]
"""Of each sequence what was tracked in each kept frame."""


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one tracker on one sequence or all of a set; percent, but for the switches."""

    hota: float
    mota: float
    idf1: float
    num_switches: int


def check_can_score() -> None:
    """Find TrackEval.

    Raises:
        ClusterError: if it is not installed, with how to install it.
    """
    try:
        importlib.import_module("trackeval")
    except ImportError as error:
        raise ClusterError(
            "bench tracking scores with TrackEval, which is not installed: pip install trackeval "
            f"({error})"
        ) from error


def mean(scores: Several[Score]) -> Score:
    """The mean of several scores; of the switches rounded."""
    hota, mota, idf1, switches = (fmean(each) for each in zip(*map(astuple, scores), strict=True))
    return Score(hota, mota, idf1, round(switches))


def score(
    benchmark: str,
    sequences: Iterable[Sequence],
    kept: Callable[[Sequence], list[int]],
    tracks: Mapping[str, Tracks],
) -> dict[str, dict[str, Score]]:
    """Score trackers on a set, on the frames that are kept.

    Args:
        benchmark: Whose rules hold, as ``MOT17``.
        sequences: Of the set.
        kept: Which frames of a sequence are, from 0.
        tracks: Of each tracker.

    Returns:
        Of each tracker the scores of each sequence, and of ``ALL``.
    """
    trackeval = importlib.import_module("trackeval")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        lengths = _write(Path(folder), sequences, kept, tracks)
        quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "TIME_PROGRESS": False}
        no_files = {"OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
        of_errors = {"LOG_ON_ERROR": None, "PRINT_ONLY_COMBINED": True}
        evaluator = trackeval.Evaluator({**quiet, **no_files, **of_errors})
        dataset = trackeval.datasets.MotChallenge2DBox(
            {
                "GT_FOLDER": f"{folder}/truth",
                "TRACKERS_FOLDER": f"{folder}/tracks",
                "TRACKERS_TO_EVAL": list(map(_file_name, tracks)),
                "BENCHMARK": benchmark,
                "SEQ_INFO": lengths,
                "SKIP_SPLIT_FOL": True,
                "PRINT_CONFIG": False,
            }
        )
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False})]
        metrics.append(trackeval.metrics.Identity({"PRINT_CONFIG": False}))
        found, _ = evaluator.evaluate([dataset], metrics)
    by_tracker = found["MotChallenge2DBox"]
    return {name: _scores(by_tracker[_file_name(name)]) for name in tracks}


def _scores(found: Mapping[str, Any]) -> dict[str, Score]:
    return {
        ALL if name == "COMBINED_SEQ" else name: _score(by_class["pedestrian"])
        for name, by_class in found.items()
    }


def _score(found: Mapping[str, Any]) -> Score:
    clear, identity = found["CLEAR"], found["Identity"]
    hota = 100 * float(found["HOTA"]["HOTA"].mean())
    return Score(
        hota, 100 * float(clear["MOTA"]), 100 * float(identity["IDF1"]), int(clear["IDSW"])
    )


def _write(
    folder: Path,
    sequences: Iterable[Sequence],
    kept: Callable[[Sequence], list[int]],
    tracks: Mapping[str, Tracks],
) -> dict[str, int]:
    """Write truth and tracks of the kept frames, which count from 1; how many are kept of each."""
    lengths = {}
    for sequence in sequences:
        number = {str(frame + 1): str(n + 1) for n, frame in enumerate(kept(sequence))}
        lengths[sequence.name] = len(number)
        truth = [[number[row[0]], *row[1:]] for row in sequence.truth if row[0] in number]
        _save(folder / "truth" / sequence.name / "gt" / "gt.txt", truth)
        for name, of_sequences in tracks.items():
            file = folder / "tracks" / _file_name(name) / "data" / f"{sequence.name}.txt"
            _save(file, _rows(of_sequences[sequence.name]))
    return lengths


def _rows(tracked: list[Tracked]) -> list[list[str]]:
    return [
        [str(n + 1), str(identity), str(x1), str(y1), str(x2 - x1), str(y2 - y1), "1,-1,-1,-1"]
        for n, (identities, boxes) in enumerate(tracked)
        for identity, (x1, y1, x2, y2) in zip(identities.tolist(), boxes.tolist(), strict=True)
    ]


def _save(file: Path, rows: list[list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(",".join(row) + "\n" for row in rows))


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
