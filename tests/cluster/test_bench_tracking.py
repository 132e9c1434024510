"""``bench tracking`` reads what it is given, drops what it says, and names what is missing."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.bench.tracking import contestants, cost, run, scores
from cluster.bench.tracking.contestants import ours
from cluster.bench.tracking.run import TrackingPlan, check_claims, measure_tracking, track
from cluster.bench.tracking.scores import ALL, Score
from cluster.bench.tracking.sequences import read_sets
from cluster.errors import ClusterError

NUM_FRAMES = 30


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two people who walk past each other, found in every frame."""
    folder = tmp_path / "mot" / "MOT15" / "walk"
    (folder / "det").mkdir(parents=True)
    (folder / "gt").mkdir()
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nframeRate=10\nseqLength={NUM_FRAMES}\n")
    places = [(n, i, 50 + 4 * n, 40 + 150 * i) for n in range(1, NUM_FRAMES + 1) for i in (1, 2)]
    boxes = [(n, i, f"{x},{y},30,80") for n, i, x, y in places]
    truth = "".join(f"{n},{i},{box},1,-1,-1,-1\n" for n, i, box in boxes)
    found = "".join(f"{n},-1,{box},0.9,-1,-1,-1\n" for n, _, box in boxes)
    (folder / "gt" / "gt.txt").write_text(truth)
    (folder / "det" / "det.txt").write_text(found)
    return tmp_path / "mot"


def test_sequences_are_read_with_their_rate_and_frames(data: Path) -> None:
    (sequence,) = read_sets(data)["MOT15"]
    assert (sequence.name, sequence.fps, len(sequence.frames)) == ("walk", 10, NUM_FRAMES)
    assert sequence.frames[0].tolist() == [[54, 190, 84, 270, 0.9], [54, 340, 84, 420, 0.9]]


@pytest.mark.parametrize(
    ("drop", "kept"), [(0, [0, 1, 2, 3]), (2, [0, 2, 4, 6]), (3, [0, 1, 3, 4])]
)
def test_each_so_manieth_frame_is_dropped(data: Path, drop: int, kept: list[int]) -> None:
    (sequence,) = read_sets(data)["MOT15"]
    assert sequence.kept(drop)[:4] == kept


def test_each_of_our_trackers_follows_a_sequence(data: Path) -> None:
    (sequence,) = read_sets(data)["MOT15"]
    for contestant in ours():
        identities, boxes = track(contestant, sequence, 2)[-1]
        assert sorted(identities.tolist()) == [1, 2]
        assert boxes.shape == (2, 4)


def test_a_folder_without_sets_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="has no folder MOT15, MOT16, MOT17, MOT20"):
        read_sets(tmp_path)


def test_a_broken_sequence_is_refused_by_name(data: Path) -> None:
    (data / "MOT15" / "walk" / "seqinfo.ini").write_text("[Sequence]\n")
    with pytest.raises(ClusterError, match="sequence walk: 'seqLength'"):
        read_sets(data)


def test_without_the_scorer_the_error_says_how_to_install_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ClusterError, match="pip install trackeval"):
        measure_tracking(TrackingPlan(data), print)


def test_truth_and_tracks_of_kept_frames_count_from_one(data: Path, tmp_path: Path) -> None:
    sequences = read_sets(data)["MOT15"]
    tracks = {"a b": {"walk": track(ours()[0], sequences[0], 2)}}
    half = scores._write(tmp_path / "out", sequences, lambda each: each.kept(2), tracks)
    assert half == {"walk": NUM_FRAMES // 2}
    truth = (tmp_path / "out" / "truth" / "walk" / "gt" / "gt.txt").read_text().splitlines()
    own = (tmp_path / "out" / "tracks" / "a_b" / "data" / "walk.txt").read_text().splitlines()
    assert [row.split(",")[0] for row in truth[:4]] == ["1", "1", "2", "2"]
    assert truth[2].split(",")[2] == "62"  # the third frame of the film
    assert own[-1].split(",")[0] == str(NUM_FRAMES // 2)


@pytest.mark.skipif(not importlib.util.find_spec("trackeval"), reason="needs TrackEval")
def test_perfect_detections_of_people_apart_score_nearly_all(data: Path) -> None:
    found = measure_tracking(TrackingPlan(data, drops=(0,)), print)
    rows = {(row["tracker"], row["sequence"]): row for row in found["rows"]}
    best = rows["bytetrack", ALL]
    assert best["num_switches"] == 0
    assert best["idf1"] > 95  # all but the frames before a track is confirmed


def test_cost_is_measured_for_each_alone_and_for_streams_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost, "_NUM_FRAMES", 12)
    monkeypatch.setattr(cost, "_WARM_UP", 4)
    found = cost.measure_cost(ours())
    assert list(found) == [each.name for each in ours()] + ["bytetrack, 8 streams at once"]
    assert all(each_us > 0 for each_us in found.values())


def test_claims_compare_with_the_best_of_the_others() -> None:
    def scored(own: float, rival: float) -> run.Scores:
        figures = {"bytetrack": own, "theirs": rival}
        return {name: {ALL: Score(x, x, x, 0)} for name, x in figures.items()}

    found = {("MOT15", 0): scored(50.0, 49.0), ("MOT15", 2): scored(47.0, 48.0)}
    claims = check_claims(found, {"bytetrack": 100.0}, ["theirs"])
    verdicts = {claim["text"]: claim["holds"] for claim in claims}
    assert verdicts["MOT15, all frames: hota"]
    assert not verdicts["MOT15, every second frame dropped: hota"]
    assert not verdicts["MOT15, every second frame dropped: points of idf1 lost, against theirs"]
    assert verdicts["bytetrack: median us a frame of 20 objects"]


def test_a_gain_is_no_loss() -> None:
    assert run._loss_claim("", -0.5, -2.0)["holds"]
    assert run._loss_claim("", 0.4, 0.5)["holds"]
    assert not run._loss_claim("", 0.4, -1.0)["holds"]


def test_each_frame_is_dropped_in_one_of_the_choices(data: Path) -> None:
    (sequence,) = read_sets(data)["MOT15"]
    kept = [n for first in range(3) for n in sequence.kept(3, first)]
    assert sorted(kept) == sorted([*range(NUM_FRAMES), *range(NUM_FRAMES)])


def test_the_mean_of_scores_is_that_of_each_figure() -> None:
    mean = scores.mean([Score(40.0, 50.0, 60.0, 3), Score(42.0, 51.0, 66.0, 8)])
    assert mean == Score(41.0, 50.5, 63.0, 6)


def test_trackers_of_others_are_left_out_where_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contestants, "_imported", lambda _: None)
    assert contestants.others() == []


def test_the_drive_has_twenty_objects_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = cost.drive(1)
    assert max(map(len, frames)) == cost.NUM_OBJECTS
    assert np.isfinite(np.vstack(frames)).all()
