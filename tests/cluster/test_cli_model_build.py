"""``sightline model build`` and ``model plans``: what is built is what a slot will ask for."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from actors.inference.actor import _loaded
from cluster import gpu_host
from cluster.cli.main import app, main
from cluster.config import PipelineSpec
from cluster.models import engine_options, resolve_model, resolve_secondaries
from engines.errors import DeviceError, ModelError
from engines.signature import Signature
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.inventory import LEFT_BEHIND_AFTER_S
from engines.tensorrt.plan import PlanRequest, Platform
from engines.tensorrt.versions import BuildProgress, Report
from tests.actors.secondary_street import shade_model
from tests.engines.builders import tiny_yolox, write_model

HERE = Platform("10.16.1.11", "NVIDIA H200", "sm_90")
PLAN = b"the bytes of a plan" * 100


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plans"
    monkeypatch.setenv("SIGHTLINE_PLAN_CACHE", str(folder))
    for name in ("LEVEL", "TACTIC_SOURCES", "WORKSPACE_BYTES"):
        monkeypatch.delenv(f"SIGHTLINE_TENSORRT_{name}", raising=False)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.onnx", tiny_yolox())


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, as far as a build can see; the bytes that it builds are of no use."""

    def compile_graph(graph: object, request: object, cache: object, report: Report) -> bytes:
        report(BuildProgress(1.0, "Timing tactics", 3, 9))
        return PLAN

    monkeypatch.setattr(gpu_host, "has_driver", lambda: True)
    monkeypatch.setattr("engines.tensorrt.runtime.platform_of", lambda device=0: HERE)
    monkeypatch.setattr("engines.cuda.context.open_device", lambda device=0: nullcontext())
    monkeypatch.setattr("engines.tensorrt.builder._compile", compile_graph)


def sightline(*args: object) -> Result:
    return CliRunner().invoke(app, ["model", *map(str, args)])


def ok(*args: object) -> str:
    result = sightline(*args)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def values(*args: object) -> Any:
    return json.loads(ok(*args, "--json"))


def failed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setattr(sys, "argv", ["sightline", "model", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    return " ".join(capsys.readouterr().err.split())


def test_without_a_gpu_it_says_so_and_where_to_build(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_host, "has_driver", lambda: False)
    said = failed(capsys, monkeypatch, "build", "builtin")
    assert said.startswith("error there is no GPU here (no NVIDIA driver)")
    assert "build plans on the machine that runs them" in said


def test_without_tensorrt_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_host, "has_driver", lambda: True)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    said = failed(capsys, monkeypatch, "build", "builtin")
    assert "TensorRT cannot be used" in said
    assert "install sightline[gpu]" in said


@pytest.mark.usefixtures("gpu")
def test_a_plan_is_built_once_and_then_was_there(model: Path, folder: Path) -> None:
    first, second = ok("build", model), ok("build", model)
    (plan,) = folder.glob("*.plan")
    assert "tiny, fp16, batch sizes 1, 2, 4, 8, 16, 32: built in 0 s" in first
    assert f"{plan} (0.0 MiB)" in first
    assert "was there already" in second
    again = values("build", model, "--rebuild")
    assert again["built"] is True
    assert again["path"] == str(plan)


@pytest.mark.usefixtures("gpu")
def test_what_was_built_is_told_as_json(model: Path, folder: Path) -> None:
    told = values("build", model, "--precision", "fp32", "--batch-sizes", "8,1")
    (plan,) = folder.glob("*.plan")
    assert 0 <= told.pop("elapsed_s") < 600
    assert told == {
        "path": str(plan),
        "built": True,
        "size_bytes": plan.stat().st_size,
        "model": "tiny",
        "precision": "fp32",
        "batch_sizes": [1, 8],
        "tensorrt": "10.16.1.11",
        "gpu": "NVIDIA H200",
        "arch": "sm_90",
        "secondaries": [],
    }


@pytest.mark.usefixtures("gpu")
def test_a_log_is_told_once_that_a_build_has_begun(model: Path) -> None:
    assert sightline("build", model).stderr.count("building the plan of tiny (0 s)") == 1
    assert "building" not in sightline("build", model).stderr


PIPELINES = [
    {},
    {"precision": "int8"},
    {"precision": "fp32", "max_batch_size": 6},
    {"batch_sizes": [1, 8]},
]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("words", PIPELINES, ids=str)
def test_what_is_built_for_a_pipeline_is_what_its_slot_asks_for(
    words: dict[str, object], tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "sightline.yaml"
    config.write_text(json.dumps({"pipelines": {"default": {}, "night": words}}))
    built = values("build", "--pipeline", "night", "--config", config)

    asked: list[PlanRequest] = []

    def ask(spec: object, request: PlanRequest, cache: object, **_: object) -> None:
        asked.append(request)
        raise ModelError("enough is known")

    monkeypatch.setattr("engines.tensorrt.model.build_plan", ask)
    pipeline = PipelineSpec.model_validate(words)
    with pytest.raises(ModelError, match="enough"):
        _loaded(
            resolve_model(pipeline, "cuda"), engine_options(pipeline, "cuda"), lambda what: None
        )
    assert PlanCache().path_of(asked[0]) == Path(built["path"])
    assert built["model"].startswith("traffic-yolox")


class Opened:
    """A runtime as far as it is looked at before the secondaries are all there."""

    signature = Signature((), ())
    lanes = ()

    def __init__(self, plan: object, spec: object, request: PlanRequest, device: int) -> None:
        if request.model == "tiny":
            raise ModelError("enough is known")

    def close(self) -> None:
        return


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("words", "precision"), [({}, "fp16"), ({"precision": "fp32"}, "fp32")])
def test_plans_of_secondaries_are_built_beside_and_are_those_that_a_slot_uses(
    words: dict[str, Any], precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shade = shade_model(tmp_path).model
    fields = shade.model_dump(mode="json") | {"path": shade.path.name}
    (tmp_path / "shade.yaml").write_text(yaml.safe_dump(fields))
    words = words | {"secondaries": [{"name": "shade", "model": str(tmp_path / "shade.yaml")}]}
    pipeline = PipelineSpec.model_validate(words)
    monkeypatch.setattr("engines.tensorrt.runtime.TensorRtRuntime", Opened)
    primary, told = resolve_model(pipeline, "cuda"), list[str]()
    options = engine_options(pipeline, "cuda", resolve_secondaries(pipeline, primary))
    with pytest.raises(ModelError, match="enough"):
        _loaded(primary, options, told.append)
    assert told[0].startswith(f"building the plan of {primary.name} (")
    assert told[-1].startswith("building the plan of tiny (")

    config = tmp_path / "sightline.yaml"
    config.write_text(json.dumps({"pipelines": {"default": words}}))
    built = values("build", "--pipeline", "default", "--config", config)
    (secondary,) = built["secondaries"]
    assert (built["built"], secondary["built"]) == (False, False)
    assert (secondary["model"], secondary["precision"]) == ("tiny", precision)
    assert secondary["batch_sizes"] == [1, 4, 16]
    said = ok("build", "--pipeline", "default", "--config", config, "--rebuild")
    assert said.count("built in 0 s") == 2


@pytest.mark.usefixtures("gpu")
def test_options_come_before_what_the_pipeline_says(tmp_path: Path) -> None:
    config = tmp_path / "sightline.yaml"
    config.write_text("pipelines: {default: {max_batch_size: 4, precision: fp32}}")
    words = ("--pipeline", "default", "--config", config, "--precision", "fp16")
    assert values("build", *words)["batch_sizes"] == [1, 2, 4]
    told = values("build", *words, "--batch-sizes", "1,3")
    assert (told["precision"], told["batch_sizes"]) == ("fp16", [1, 3])


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ((), "name a model or a --pipeline, and not both"),
        (("builtin", "--pipeline", "default"), "name a model or a --pipeline, and not both"),
        (("builtin", "--batch-sizes", "1,x"), "is no list of numbers"),
        (("--pipeline", "nowhere"), "no pipeline nowhere: choose one of default"),
        (("builtin", "--precision", "fp64"), "fp64"),
    ],
)
def test_wrong_words_end_with_2(args: tuple[str, ...], complaint: str) -> None:
    result = sightline("build", *args)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [("2,8", "batch_sizes: has no 1"), ("1,0", "batch_sizes.1"), ("1,512", "batch_sizes.1")],
)
def test_batch_sizes_that_cannot_be_are_named(
    sizes: str,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert complaint in failed(capsys, monkeypatch, "build", "builtin", "--batch-sizes", sizes)


@pytest.fixture
def plans(model: Path, folder: Path, gpu: None) -> dict[str, Path]:
    """A plan that fits, and some that do not."""
    fitting = Path(values("build", model, "--batch-sizes", "1,8")["path"])
    request = _request_of(model)
    cache = PlanCache(folder)
    l4 = replace(request, platform=replace(HERE, gpu="NVIDIA L4", arch="sm_89"))
    older = replace(request, platform=replace(HERE, tensorrt="8.6.0"))
    cut = folder / "cut.plan"
    cut.write_bytes(fitting.read_bytes()[:-1])
    return {
        "fitting": fitting,
        "L4": cache.publish(l4, PLAN),
        "8.6.0": cache.publish(older, PLAN),
        "cut": cut,
    }


def _request_of(model: Path) -> PlanRequest:
    from engines.inspection import load_spec
    from engines.tensorrt.builder import request_for

    return request_for(load_spec(model), HERE, batch_sizes=(1, 8))


def test_plans_are_listed_with_whether_they_fit(plans: dict[str, Path], folder: Path) -> None:
    told = values("plans")
    rows = {row["file"]: row for row in told["plans"]}
    fits = {name: rows[path.name]["fits"] for name, path in plans.items()}
    assert fits == {"fitting": True, "L4": False, "8.6.0": False, "cut": False}
    assert rows[plans["L4"].name]["reason"] == "another GPU"
    assert rows[plans["8.6.0"].name]["reason"] == "another TensorRT"
    assert "holds 1899 bytes of a plan of 1900" in rows["cut.plan"]["reason"]
    row = rows[plans["fitting"].name]
    assert (row["model"], row["precision"], row["batch_sizes"]) == ("tiny", "fp16", [1, 8])
    assert (row["tensorrt"], row["gpu"]) == ("10.16.1.11", "NVIDIA H200")
    assert row["size_bytes"] == plans["fitting"].stat().st_size
    table = ok("plans")
    assert "NVIDIA L4" in table
    assert "another TensorRT" in table
    assert str(folder) in table


def test_pruning_leaves_what_fits_and_what_other_gpus_use(
    plans: dict[str, Path], folder: Path
) -> None:
    left, fresh = folder / ".timings-x.bin-killed", folder / ".tiny.plan-at-work"
    left.touch()
    fresh.touch()
    before = left.stat().st_mtime - LEFT_BEHIND_AFTER_S - 1
    os.utime(left, (before, before))
    told = values("plans", "--prune")
    assert sorted(told["removed"]) == sorted([str(plans["8.6.0"]), str(plans["cut"])])
    there = {path for path in folder.iterdir() if path.suffix == ".plan"}
    assert there == {plans["fitting"], plans["L4"]}
    assert not left.exists()
    assert fresh.exists()


def test_without_a_gpu_plans_are_listed_and_only_damaged_ones_pruned(
    plans: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device: int = 0) -> Platform:
        raise DeviceError("TensorRT cannot be used")

    monkeypatch.setattr("engines.tensorrt.runtime.platform_of", refuse)
    told = values("plans", "--prune")
    assert told["removed"] == [str(plans["cut"])]
    assert [row["fits"] for row in told["plans"]] == [None] * 3
    assert "no GPU here" in ok("plans")


def test_an_empty_cache_says_where_it_is(folder: Path) -> None:
    assert ok("plans") == f"no plans in {folder}"
    assert values("plans") == {"folder": str(folder), "plans": [], "removed": []}
