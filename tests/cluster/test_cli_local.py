"""Commands that need no API: help, doctor, models, benchmarks, and what runs here."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cluster.bench import scheduler as scheduler_bench
from cluster.cli.main import app
from cluster.errors import ConfigError
from cluster.models import BUILTIN_SPEC
from engines.errors import ModelError
from engines.spec_file import read_spec

COMMAND: Any = typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group by its words."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def sightline(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``up`` says that it runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "sightline"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("words", list(commands(COMMAND)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(words: tuple[str, ...], option: str) -> None:
    result = sightline(*words, option)
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize("words", [(), ("stream",), ("events",), ("model",), ("bench",)])
def test_a_group_alone_shows_its_help(words: tuple[str, ...]) -> None:
    assert "Commands" in sightline(*words).output


def test_every_option_says_what_it_is_for() -> None:
    silent = []
    for words in commands(COMMAND):
        command = COMMAND
        for word in words:
            command = command.commands[word]
        silent += [
            f"{' '.join(words)} {parameter.name}"
            for parameter in command.params
            if not getattr(parameter, "help", None)
        ]
    assert silent == []


def test_the_doctor_looks_at_everything_and_ends_with_1_only_where_something_is_missing() -> None:
    result = sightline("doctor", "--json")
    findings = json.loads(result.stdout)
    looked_at = {finding["what"] for finding in findings}
    assert {"Python", "CPU", "Redis server", "shared memory", "detector", "GPU"} <= looked_at
    assert {"package ray", "package av", "H.264 and H.265 decoders"} <= looked_at
    missing = [f for f in findings if not f["ok"]]
    assert all(finding["remedy"] for finding in missing)
    assert result.exit_code == int(any(f["what"] != "GPU" for f in missing))
    detector = next(f for f in findings if f["what"] == "detector")
    assert "car" in detector["found"]


def test_the_doctor_speaks_to_people_too() -> None:
    result = sightline("doctor")
    assert "package onnxruntime" in result.stdout
    assert "shared memory" in result.stdout


def test_a_good_model_is_shown_as_it_is_understood(tmp_path: Path) -> None:
    result = sightline("model", "inspect", BUILTIN_SPEC, "--json")
    assert json.loads(result.stdout) == read_spec(BUILTIN_SPEC).model_dump(mode="json")
    shutil.copy(read_spec(BUILTIN_SPEC).path, tmp_path / "mine.onnx")
    text = sightline("model", "inspect", tmp_path / "mine.onnx").stdout
    assert "family: yolox" in text
    assert "- lorry" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.onnx", b"not a model"),
        ("a.onnx", b""),
        ("a.yaml", b"name: [\n"),
        ("a.yaml", b"name: x\n"),
        ("a.yaml", b"\x00\x01"),
        ("a.yaml", b"\xff\xfe"),
        ("a.txt", b"x"),
        ("a.pt", b"PK"),
    ],
)
def test_a_bad_model_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for file in (path, tmp_path / f"absent-{name}"):
        error = sightline("model", "inspect", file).exception
        assert isinstance(error, ModelError)
        assert file.name in str(error)


def test_the_schedulers_cost_is_shown_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_bench, "_NUM_FRAMES", 200)
    result = sightline("bench", "scheduler", "--json", tmp_path / "out.json")
    assert result.exit_code == 0
    figures = json.loads((tmp_path / "out.json").read_text())
    assert list(figures["us_per_frame"]) == ["10", "100", "1000", "10000"]
    assert all(cost > 0 for cost in figures["us_per_frame"].values())
    assert "us_per_frame" in result.stdout


def test_down_says_that_nothing_runs(state: Path) -> None:
    result = sightline("down")
    assert (result.exit_code, result.stdout.strip()) == (0, "nothing runs here")


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": "x"}', '{"pid": 4194305, "api": ""}'])
def test_what_a_dead_sightline_left_is_not_taken_for_one_that_runs(state: Path, text: str) -> None:
    (state / "up.json").write_text(text)
    result = sightline("down")
    assert (result.exit_code, result.stdout.strip()) == (0, "nothing runs here")


def test_a_second_sightline_is_not_started(state: Path) -> None:
    says = {"pid": os.getpid(), "api": "http://127.0.0.1:8000", "redis": "redis://x"}
    (state / "up.json").write_text(json.dumps(says))
    result = sightline("up")
    assert result.exit_code == 1
    assert "it runs already" in result.stderr
    assert "sightline down" in result.stderr


def test_up_refuses_a_configuration_before_anything_starts(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("slotz: {num: 2}\n")
    error = sightline("up", "--config", path).exception
    assert isinstance(error, ConfigError)
    assert "did you mean 'slots'?" in str(error)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--source", "/nowhere/film.mp4"), "no such file"),
        (("--source", "file:///nowhere/film.mp4"), "no such file"),
        (("--source", __file__), "test_cli_local.py"),
    ],
)
def test_the_demo_refuses_what_is_no_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = sightline("demo", *args)
    assert result.exit_code == 1
    assert words in result.stderr.replace("\n", "")


def test_the_demo_refuses_a_model_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"not a model")
    assert isinstance(sightline("demo", "--model", path).exception, ModelError)
