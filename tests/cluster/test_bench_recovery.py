"""The arithmetic of the recovery benchmark; how fast a machine mends itself is not tested."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.bench.claims import all_hold
from cluster.bench.outage import SILENCE_S, OutageWatch
from cluster.bench.processes import pids_of
from cluster.bench.recovery import claims_of, num_reopened
from cluster.cli.main import app

STEP_S = 0.125


def watched(*speaking: Sequence[bool]) -> tuple[OutageWatch, float]:
    """A watch of streams that count, or not, at every step after the fault at 100 s."""
    counts, now = [0] * len(speaking), 100.0
    watch = OutageWatch(counts, now)
    for step in zip(*speaking, strict=True):
        now += STEP_S
        counts = [count + is_counted for count, is_counted in zip(counts, step, strict=True)]
        watch.note(counts, now)
    return watch, now


def pattern(text: str) -> list[bool]:
    """A letter a step: ``x`` counts a frame, ``.`` none."""
    return [letter == "x" for letter in text]


def test_streams_that_never_fall_silent_have_no_outage() -> None:
    watch, now = watched(pattern("xxxxxxxx"), pattern("x.x.x.x."))
    outage = watch.outage(now)
    assert (outage.num_silent, outage.first_s, outage.all_s) == (0, None, None)
    assert watch.calm_s(now) == 8 * STEP_S


def test_an_outage_lasts_from_the_fault_until_the_last_stream_counts_again() -> None:
    watch, now = watched(pattern("x........xxx"), pattern("........x.xx"), pattern("xxxxxxxxxxxx"))
    outage = watch.outage(now)
    assert outage.num_silent == 2
    assert outage.first_s == pytest.approx(9 * STEP_S, abs=1e-3)
    assert outage.all_s == pytest.approx(10 * STEP_S, abs=1e-3)
    assert watch.calm_s(now) == 2 * STEP_S


def test_a_stream_that_falls_silent_twice_is_back_at_the_second_time() -> None:
    watch, now = watched(pattern(".....xx......xx"))
    assert watch.outage(now).all_s == pytest.approx(14 * STEP_S, abs=1e-3)


def test_as_long_as_a_stream_is_silent_there_is_no_end() -> None:
    watch, now = watched(pattern("x......xx"), pattern("x........"))
    outage = watch.outage(now)
    assert (outage.num_silent, outage.all_s) == (2, None)
    assert outage.first_s == pytest.approx(8 * STEP_S, abs=1e-3)
    assert watch.calm_s(now) == 0.0


def test_the_rhythm_of_frames_is_no_silence() -> None:
    num_steps = int(SILENCE_S / STEP_S) - 2
    watch, now = watched(pattern(("." * num_steps + "x") * 5))
    assert watch.outage(now).num_silent == 0
    assert watch.calm_s(now) > SILENCE_S


def kill(victim: str, **fields: Any) -> dict[str, Any]:
    found = {"num_silent": 4, "all_s": 3.0, "load_s": 1.5, "num_reopened": 0}
    return {"victim": victim, **found, **fields}


def figures(**engine: Any) -> dict[str, Any]:
    kills = [kill("engine", **engine), kill("ingest-0", num_reopened=9), kill("analytics-0")]
    return {"kills": kills, "num_unbalanced": 0, "leaked_slots": {}}


def test_all_claims_hold_where_the_engine_is_back_in_time_and_nothing_is_lost_for_good() -> None:
    assert all_hold(claims_of(figures()))
    assert all_hold(claims_of(figures(all_s=3.5)))


def test_a_kill_that_no_stream_noticed_is_as_good_as_it_gets() -> None:
    assert all_hold(claims_of(figures(num_silent=0, all_s=None)))
    assert not all_hold(claims_of(figures(all_s=None)))


BROKEN = [
    figures(all_s=3.6),
    figures(load_s=None),
    figures(all_s=None),
    figures(num_reopened=1),
    {**figures(), "num_unbalanced": 1},
    {**figures(), "leaked_slots": {"ingest-0": 2}},
]


@pytest.mark.parametrize("found", BROKEN)
def test_a_figure_beyond_its_limit_or_a_missing_one_breaks_a_claim(found: dict[str, Any]) -> None:
    assert not all_hold(claims_of(found))


def test_cameras_are_opened_again_where_their_session_is_another_or_they_are_gone() -> None:
    before = [{"id": name, "session": 7} for name in ("a", "b", "c")]
    after = [{"id": "b", "session": 8}, {"id": "a", "session": 7}]
    assert num_reopened(before, after) == 2


def test_actors_are_found_by_the_title_of_their_process(tmp_path: Path) -> None:
    for pid, title in ((11, "ray::EngineActor.status"), (12, "ray::IngestActor"), (13, "python")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(title.encode() + b"\0\0")
    (tmp_path / "14").mkdir()
    assert pids_of("EngineActor", tmp_path) == {11}
    assert os.getpid() not in pids_of("EngineActor")


@pytest.mark.parametrize(("all_s", "status"), [(3.0, 0), (4.0, 1)])
def test_the_command_ends_as_the_claims_say_and_writes_what_it_found(
    all_s: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def measure(plan: Any, report: Any) -> dict[str, Any]:
        plans.append(plan)
        more = {"num_silent": 6, "process_s": 1.0, "first_s": 2.5, "dropped": {"lost": 2}}
        found = figures(all_s=all_s)
        found["kills"] = [{**each, **more} for each in found["kills"]]
        claims = claims_of(found)
        listed = [{"text": c.text, "found": c.found, "holds": c.holds} for c in claims]
        return {**found, "claims": listed, "holds": all_hold(claims)}

    monkeypatch.setattr("cluster.bench.recovery.measure_recovery", measure)
    path = tmp_path / "recovery.json"
    arguments = ["bench", "recovery", "--cameras", "6", "--device", "cpu", "--json", str(path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status
    assert "lost 2" in result.output
    assert json.loads(path.read_text())["holds"] is (status == 0)
    assert (plans[0].num_cameras, plans[0].device, plans[0].max_fps) == (6, "cpu", 5.0)
    assert plans[0].pipeline == {"model": "builtin"}


def test_on_a_gpu_the_engine_is_that_of_bench_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []

    def measure(plan: Any, report: Any) -> dict[str, Any]:
        plans.append(plan)
        return {"kills": [], "claims": [], "holds": True}

    monkeypatch.setattr("cluster.bench.recovery.measure_recovery", measure)
    assert CliRunner().invoke(app, ["bench", "recovery"]).exit_code == 0
    assert (plans[0].num_cameras, plans[0].device, plans[0].max_fps) == (100, "cuda", None)
    assert plans[0].pipeline == {"model": "builtin", "max_batch_size": 32, "precision": "fp16"}
