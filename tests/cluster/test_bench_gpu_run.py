"""``bench gpu`` as a whole: its options, parts that fail, MPS, and what it shows."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from actors.stages import Stage
from cluster.bench.gpu import run as run_bench
from cluster.bench.gpu.document import add, begun, steps_of
from cluster.bench.gpu.isolation import run_isolated
from cluster.bench.gpu.model import model_of_size
from cluster.bench.gpu.path import PathPlan
from cluster.bench.gpu.plot import draw
from cluster.bench.gpu.run import GpuPlan, measure_gpu
from cluster.bench.gpu.stages import stage_latencies
from cluster.bench.gpu.table import show, verdicts
from cluster.bench.gpu.traffic import traffic_of
from cluster.bench.gpu.usage import CpuTime, busy_cores, cpu_us_a_frame
from cluster.cli import bench_gpu
from cluster.cli.main import app
from cluster.demo.rtsp.pattern import write_pattern
from cluster.errors import ConflictError, InvalidError, UnavailableError
from engines.inspection import load_spec
from engines.spec import Precision
from tests.cluster.test_bench_gpu import FIGURES, step


def gpu_plan(*parts: str, **fields: Any) -> GpuPlan:
    values: dict[str, Any] = {
        "parts": parts,
        "mps": (False,),
        "codec": "libx264",
        "bit_rate": 4_000_000,
        "num_processes": (1, 2),
        "num_decoders": 8,
        "precisions": (Precision.FP16, Precision.FP32),
        "seconds": 0.1,
        "path": PathPlan(
            4, 4, 8, 1.0, 150.0, {"num_ingest": None}, {"model": "m.onnx", "precision": "fp16"}
        ),
        "num_ingests": (1, 4),
        "ingest_cameras": 6,
    }
    return GpuPlan(**{**values, **fields})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Parts that measure nothing; what each was asked for."""
    asked: list[tuple[str, Any]] = []

    def isolated(function: Callable[..., Any], plan: Any = None, *rest: Any, report: Any) -> Any:
        asked.append((function.__name__, *rest))
        return {"best": 9000.0} if "engine" in function.__name__ else {}

    def path(films: Any, plan: PathPlan, report: Any) -> dict[str, Any]:
        asked.append(("path", (plan.first, plan.step, dict(plan.slots))))
        return {"steps": [step(plan.first)], "best": step(plan.first)}

    monkeypatch.setattr(run_bench, "run_isolated", isolated)
    monkeypatch.setattr(run_bench, "measure_path", path)
    monkeypatch.setattr(run_bench, "traffic_of", lambda film: {"film": film.name})
    monkeypatch.setattr(
        "cluster.bench.gpu.films.large_films",
        lambda num, *_: [Path(f"{i}.mp4") for i in range(num)],
    )
    return asked


def measure(plan: GpuPlan, known: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[Any]]:
    """The figures, and as they were kept after each part."""
    kept: list[Any] = []
    found = measure_gpu(
        plan,
        known or {},
        report=lambda _: None,
        keep=lambda figures: kept.append(json.loads(json.dumps(figures))),
    )
    return found, kept


def test_each_part_is_kept_as_soon_as_it_is_measured(measured: list[tuple[str, Any]]) -> None:
    found, kept = measure(gpu_plan("engine", "path", "ingest"))
    assert [set(figures) - {"schema", "setting", "summary"} for figures in kept[:4]] == [
        {"host"},
        {"host", "films"},
        {"host", "films", "engine"},
        {"host", "films", "engine"},
    ]
    assert list(found["engine"]) == ["fp16", "fp32"]
    assert list(found["ingest"]) == ["1", "4"]
    assert found["summary"]["engine_fps"] == 9000.0
    assert found["films"] == [{"film": f"{number}.mp4"} for number in range(4)]
    asked = [what for name, what in (each for each in measured if each[0] == "path")]
    assert asked == [
        (4, 4, {"num_ingest": None}),
        (6, None, {"num_ingest": 1}),
        (6, None, {"num_ingest": 4}),
    ]


def test_a_part_that_fails_is_written_down_and_the_others_are_measured(
    measured: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def path(*_: Any) -> dict[str, Any]:
        raise RuntimeError("the GPU fell off the bus")

    whole = run_bench.measure_path
    monkeypatch.setattr(run_bench, "measure_path", path)
    broken, _ = measure(gpu_plan("decode", "path", "engine"))
    assert broken["errors"] == {"path": "RuntimeError: the GPU fell off the bus"}
    assert {"decode", "engine"} <= set(broken)
    assert "path" not in broken
    monkeypatch.setattr(run_bench, "measure_path", whole)
    mended, _ = measure(gpu_plan("path"), broken)
    assert mended["errors"] == {}
    assert {"decode", "engine", "path"} <= set(mended)


def test_figures_of_another_model_are_not_mixed(measured: list[tuple[str, Any]]) -> None:
    found, _ = measure(gpu_plan("engine"))
    with pytest.raises(ConflictError, match="another file"):
        measure(gpu_plan("engine", bit_rate=8_000_000), found)
    with pytest.raises(ConflictError, match="older version"):
        begun({"engine": {}}, {})


def test_figures_lie_where_their_place_says() -> None:
    figures: dict[str, Any] = {"mps": {"decode": []}}
    add(figures, ("mps", "ingest", "4"), {"cameras": 3})
    assert figures == {"mps": {"decode": [], "ingest": {"4": {"cameras": 3}}}}


def test_parts_are_measured_again_with_mps_but_for_the_engine(
    measured: list[tuple[str, Any]], mps_control: Path
) -> None:
    found, _ = measure(gpu_plan("decode", "engine", "path", mps=(False, True)))
    assert set(found["mps"]) == {"host", "decode", "path"}
    assert (found["host"]["mps"], found["mps"]["host"]["mps"]) == (False, True)
    assert found["summary"]["mps"]["cameras"] == 4


def test_without_mps_the_rest_is_measured(
    measured: list[tuple[str, Any]], mps_control: Path
) -> None:
    (mps_control.parent / "nvidia-cuda-mps-control").unlink()
    found, _ = measure(gpu_plan("path", mps=(True, False)))
    assert list(found["errors"]) == ["mps"]
    assert found["path"]["best"]["cameras"] == 4


def double(number: int, *, report: Callable[[str], None]) -> int:
    report(f"twice {number}")
    return 2 * number


def fail(*, report: Callable[[str], None]) -> None:
    raise ValueError("no such plan")


def die(*, report: Callable[[str], None]) -> None:
    os._exit(7)


def test_an_isolated_part_reports_and_returns() -> None:
    heard: list[str] = []
    assert run_isolated(double, 21, report=heard.append) == 42
    assert heard == ["twice 21"]


@pytest.mark.parametrize(("part", "message"), [(fail, "ValueError: no such plan"), (die, "code 7")])
def test_an_isolated_part_that_fails_or_dies_says_so(part: Any, message: str) -> None:
    with pytest.raises(UnavailableError, match=message):
        run_isolated(part, report=lambda _: None)


def test_a_film_tells_its_bit_rate_and_packets(tmp_path: Path) -> None:
    write_pattern(tmp_path / "film.mp4", width=320, height=180, fps=30, seconds=2.0)
    found = traffic_of(tmp_path / "film.mp4")
    assert (found["film"], found["codec"], found["fps"]) == ("film.mp4", "h264", 30)
    size_mbit = (tmp_path / "film.mp4").stat().st_size * 8 / 1e6
    assert 0 < found["mbit_s"] < size_mbit / 2 * 1.1
    assert found["rtp_packets"] >= found["mbit_s"] * 1e6 / 30 / 8 / 1400


def slot(**stages: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {
        "stages": {
            stage: {qos: {"latency_counts": counts} for qos, counts in classes.items()}
            for stage, classes in stages.items()
        }
    }


def test_latency_by_stage_is_of_what_came_in_between_and_of_all_classes() -> None:
    before = slot(queue={"high": {"5.0": 100}}, decode={"high": {"3.0": 7}})
    after = slot(
        queue={"high": {"5.0": 140, "9.0": 50}, "low": {"20.0": 10}}, decode={"high": {"3.0": 7}}
    )
    assert stage_latencies(before, after) == {"queue": {"p50": 9.0, "p95": 20.0, "p99": 20.0}}


def test_a_process_that_began_anew_counts_from_its_start() -> None:
    before, after = slot(queue={"high": {"5.0": 100}}), slot(queue={"high": {"8.0": 3}})
    assert stage_latencies(before, after)["queue"]["p50"] == 8.0


def test_processor_time_is_told_by_kind_of_process_user_and_system_apart() -> None:
    times = {1: CpuTime(2.0, 1.0), 2: CpuTime(1.0, 1.0), 3: CpuTime(4.0, 0.0), 4: CpuTime(0.0, 0.5)}
    names = {1: "ingest-0", 2: "ingest-11", 3: "engine"}
    found = cpu_us_a_frame(times, names, 1e4)
    assert found == {
        "all": {"user": 700.0, "system": 250.0, "total": 950.0},
        "ingest": {"user": 300.0, "system": 200.0, "total": 500.0},
        "engine": {"user": 400.0, "system": 0.0, "total": 400.0},
        "rest": {"user": 0.0, "system": 50.0, "total": 50.0},
    }


def test_each_actor_is_told_with_what_it_keeps_busy_of_a_core() -> None:
    times = {1: CpuTime(2.0, 1.0), 2: CpuTime(9.0, 0.0), 7: CpuTime(5.0, 5.0)}
    names = {2: "ingest-1", 1: "engine", 3: "analytics-0"}  # the last has gone meanwhile
    assert list(busy_cores(times, names, 10.0).items()) == [("engine", 0.3), ("ingest-1", 0.9)]


def test_a_model_gets_another_input_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = run_bench.resolve_model(run_bench.PipelineSpec(), "cuda")
    (tmp_path / "own.yaml").write_text(
        "name: own\npath: own.onnx\nfamily: yolox\ninput: {width: 416, height: 416, color: bgr}\n"
        f"labels: {list(shipped.labels)}\n"
    )
    (tmp_path / "own.onnx").write_bytes(shipped.path.read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    spec = load_spec(Path(model_of_size("own.yaml", 640, other)))
    assert (spec.input.width, spec.input.height, spec.input.color.value) == (640, 640, "bgr")
    assert (spec.path, spec.labels) == (tmp_path / "own.onnx", shipped.labels)
    assert model_of_size("own.onnx", None, other) == str(tmp_path / "own.onnx")
    assert model_of_size("builtin", None, other) == "builtin"
    with pytest.raises(InvalidError, match="one size"):
        model_of_size("builtin", 640, other)


def shown(figures: dict[str, Any]) -> str:
    written = io.StringIO()
    show(Console(width=200, file=written), figures)
    return written.getvalue()


def test_the_tables_show_every_part() -> None:
    summed = {**FIGURES, "summary": run_bench.summary(FIGURES), "errors": {"decode": "[no] GPU"}}
    text = shown(summed)
    for words in (
        "12.3",
        "2 processes x 16 decoders with the copy",
        "fp16, graphs, batch 8",
        "fp32, graphs, batch 8",
        "140 cameras",
        "156 cameras, with MPS",
        "96 cameras, 2 ingest",
        "overload 7",
        "250 + 100",
        "decode failed [no] GPU",
        "4200 / min(5000, 9000) = 0.840",
    ):
        assert words in text, words
    assert all(f"{stage.value} p95" in text for stage in Stage)


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert verdicts({}) == []
    assert shown({}) == ""
    assert list(steps_of({})) == []


def test_the_picture_shows_what_was_measured_even_if_that_is_one_part(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name, figures in {"all": FIGURES, "engine": {"engine": FIGURES["engine"]}}.items():
        draw(figures, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bench", "gpu", *arguments])


def test_figures_are_drawn_later_without_measuring(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "gpu.json").write_text(json.dumps(FIGURES))
    result = invoke("--plot", str(tmp_path / "gpu.json"))
    assert result.exit_code == 0
    assert "whole path" in result.output
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_figures_are_still_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "gpu.json").write_text(json.dumps(FIGURES))
    result = invoke("--plot", str(tmp_path / "gpu.json"))
    assert result.exit_code == 0
    assert "no picture" in result.output
    assert not (tmp_path / "gpu.png").exists()


@pytest.mark.parametrize(("errors", "status"), [({}, 0), ({"decode": "no NVDEC"}, 1)])
def test_the_command_measures_the_parts_asked_for_and_keeps_the_others(
    errors: dict[str, str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def measure(plan: GpuPlan, known: Any, *, report: Any, keep: Any) -> dict[str, Any]:
        asked.append((plan, known))
        keep({**known, "decode": []})
        return {**known, "errors": errors}

    monkeypatch.setattr("cluster.bench.gpu.run.measure_gpu", measure)
    path = tmp_path / "gpu.json"
    path.write_text('{"schema": 2}')
    result = invoke("--part", "decode", "--codec", "h265", "--json", str(path))
    assert result.exit_code == status
    (plan, known) = asked[0]
    assert (plan.parts, plan.codec) == (["decode"], "libx265")
    assert plan.path.pipeline["precision"] == "fp16"
    assert known == {"schema": 2}
    assert json.loads(path.read_text()) == {"schema": 2, "decode": []}


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[GpuPlan]:
    found: list[GpuPlan] = []
    monkeypatch.setattr(bench_gpu, "_run", lambda plan, *_: found.append(plan))
    return found


def test_every_part_is_measured_where_none_is_named(plans: list[GpuPlan]) -> None:
    assert invoke("--max-batch-size", "8").exit_code == 0
    assert plans[0].parts == ["decode", "engine", "path", "ingest"]
    assert plans[0].path.pipeline["max_batch_size"] == 8
    assert (plans[0].num_processes, plans[0].num_ingests) == ((1, 2, 4, 8), (1, 2, 4, 8))


@pytest.mark.parametrize(
    ("arguments", "rise", "num_feeds"),
    [
        ([], (32, 16), 192),
        (["--cameras", "140", "--seconds", "60"], (140, None), 140),
        (["--cameras", "96", "--step", "32"], (96, 32), 192),
        (["--step", "8", "--max-cameras", "40"], (32, 8), 40),
    ],
)
def test_cameras_alone_are_one_number_of_them(
    arguments: list[str], rise: Any, num_feeds: int, plans: list[GpuPlan]
) -> None:
    assert invoke(*arguments).exit_code == 0
    path = plans[0].path
    assert ((path.first, path.step), path.num_feeds) == (rise, num_feeds)


@pytest.mark.parametrize(
    ("mps", "sides"), [("off", (False,)), ("on", (True,)), ("both", (False, True))]
)
def test_mps_is_asked_for(mps: str, sides: tuple[bool, ...], plans: list[GpuPlan]) -> None:
    assert invoke("--mps", mps).exit_code == 0
    assert plans[0].mps == sides


def test_the_engine_is_built_for_the_sizes_asked_for(plans: list[GpuPlan]) -> None:
    assert invoke("--batch-sizes", "1,8,32").exit_code == 0
    assert plans[0].path.pipeline["batch_sizes"] == [1, 8, 32]
    assert "max_batch_size" not in plans[0].path.pipeline
    assert run_bench.batch_sizes_of(
        run_bench.PipelineSpec.model_validate(plans[0].path.pipeline)
    ) == (1, 8, 32)
    refused = invoke("--batch-sizes", "1;8")
    assert refused.exit_code == 2
    assert "write 1,8,32" in refused.output


def test_the_setting_names_what_figures_have_in_common(plans: list[GpuPlan]) -> None:
    assert invoke("--batch-sizes", "1,8", "--bit-rate", "2000000").exit_code == 0
    setting = json.loads(json.dumps(plans[0].setting))
    assert setting == {
        "model": "builtin",
        "batch_sizes": [1, 8],
        "precision": "fp16",
        "codec": "libx264",
        "bit_rate": 2_000_000,
    }
    assert begun(begun({}, plans[0].setting), plans[0].setting)["setting"] == plans[0].setting
    kept = json.loads(json.dumps(begun({}, plans[0].setting)))
    assert begun(kept, plans[0].setting)["schema"] == 2
