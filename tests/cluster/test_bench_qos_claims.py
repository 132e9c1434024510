"""What is claimed of our policy, on short runs of every workload; and how claims are judged."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from actors.specs import QosClass
from cluster.bench.qos.checks import Check, check_claims
from cluster.bench.qos.compare import OURS, POLICIES, CellFigures, compare
from cluster.bench.qos.document import document
from cluster.bench.qos.figures import ClassFigures
from cluster.bench.qos.plot import draw
from cluster.bench.qos.scenarios import FITTING, NORMAL_LOAD, Cell, cells
from cluster.bench.qos.table import show
from cluster.bench.qos.workload import Trace
from cluster.cli.bench import app
from cluster.errors import UnavailableError

SECONDS = 6.0


@pytest.fixture(scope="module")
def found() -> list[CellFigures]:
    return compare(SECONDS)


@pytest.fixture(scope="module")
def checks(found: list[CellFigures]) -> list[Check]:
    return check_claims(found)


def few() -> list[Cell]:
    return [c for c in cells() if c.trace is Trace.JITTERED and c.load is FITTING]


def with_class(each: CellFigures, qos_class: QosClass, **changes: float) -> CellFigures:
    run = each.runs[OURS]
    figures: ClassFigures = replace(run.classes[qos_class], **changes)  # type: ignore[arg-type]
    classes = {**run.classes, qos_class: figures}
    return replace(each, runs={**each.runs, OURS: replace(run, classes=classes)})


def test_every_claim_holds(checks: list[Check]) -> None:
    assert [(check.claim, check.broken) for check in checks if not check.holds] == []


def test_every_claim_speaks_of_some_workload(checks: list[Check]) -> None:
    assert len({check.claim for check in checks}) == len(checks) >= 9
    assert all(check.worst is not None for check in checks)
    assert not any(check.holds for check in check_claims([])[:-1])


def test_the_same_run_gives_the_same_document_byte_for_byte() -> None:
    texts = set()
    for _ in range(2):
        found = compare(4.0, chosen=few())
        texts.add(json.dumps(document(found, check_claims(found), 4.0)))
    assert len(texts) == 1


def test_no_baseline_keeps_the_important_classes_and_the_floors_of_all(
    found: list[CellFigures],
) -> None:
    for each in found:
        if each.cell.load is not FITTING:
            continue
        for name, run in each.runs.items():
            if name == OURS:
                continue
            kept = min(run.classes[c].on_time for c in (QosClass.CRITICAL, QosClass.HIGH))
            starved = sum(f.num_below_floor for f in run.classes.values())
            assert kept < 0.99 or starved > 0, (each.cell.name, name)


def test_a_broken_promise_is_told_with_its_place(found: list[CellFigures]) -> None:
    (each, *_) = [f for f in found if f.cell.load is FITTING]
    by_claim = {c.claim: c for c in check_claims([with_class(each, QosClass.HIGH, on_time=0.9)])}
    broken = by_claim["at twice the capacity critical and high keep >= 99 % on time while they fit"]
    assert not broken.holds
    assert broken.worst == 0.9
    assert broken.broken == ("2x fits, regular, high: 0.9",)


def test_a_policy_that_gives_more_and_takes_nothing_breaks_the_last_claim(
    found: list[CellFigures],
) -> None:
    (each, *_) = [f for f in found if f.cell.load is NORMAL_LOAD]
    poor = with_class(each, QosClass.LOW, on_time=0.5)
    last = check_claims([poor])[-1]
    assert not last.holds
    assert "dynamic is better in low" in " ".join(last.broken)


def test_the_table_names_all_policies_traces_and_claims(
    found: list[CellFigures], checks: list[Check]
) -> None:
    console = Console(width=132)
    with console.capture() as capture:
        show(console, found, checks)
    text = capture.get()
    assert all(name in text for name in POLICIES)
    assert all(each.cell.name in text for each in found)
    assert "…" not in text
    assert text.count("holds") + text.count("BROKEN") == len(checks)


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(compare(4.0, chosen=few()), tmp_path / "qos.png")
    assert (tmp_path / "qos.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnavailableError, match=r"pip install 'sightline\[bench\]'"):
        draw([], tmp_path / "qos.png")
    result = CliRunner().invoke(app, ["qos", "--png", str(tmp_path / "qos.png")])
    assert isinstance(result.exception, UnavailableError)
