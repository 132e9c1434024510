"""What the README tells people to type and to write is what the code understands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fastapi import FastAPI

from actors.specs import CLASS_DEFAULTS, StreamSpec
from cluster.api import create_app
from cluster.api.service import merge_patch
from cluster.cli.main import app
from cluster.config import SightlineConfig
from engines.spec import ModelSpec
from tests.cluster.builders import open_config

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMAND: Any = typer.main.get_command(app)
SCRIPTS = {"demo": ["demo"], "bench": ["bench"]}


def block_commands() -> Iterator[list[str]]:
    """Each ``sightline`` command of a code block, as its words after the command's name."""
    for line in re.findall(
        r"(?m)^(?:    |)((?:\S*bin/sightline|sightline|scripts/\w+) .+)$", README
    ):
        program, *words = shlex.split(line, comments=True)
        if program.endswith("sightline"):
            yield words
        elif Path(program).name in SCRIPTS:
            yield [*SCRIPTS[Path(program).name], *words]


def inline_commands() -> Iterator[list[str]]:
    for text in re.findall(r"`sightline ([^`]+)`", README):
        yield shlex.split(text)


def descend(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words lead to, and what is left for it."""
    command, rest = COMMAND, list(words)
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands or rest[0].startswith("-"), f"no command {words}"
        if rest[0].startswith("-"):
            break
        command = command.commands[rest.pop(0)]
    return command, rest


def yaml_blocks() -> list[Any]:
    return [yaml.safe_load(text) for text in re.findall(r"(?s)```yaml\n(.*?)```", README)]


def routes(application: FastAPI) -> set[str]:
    return {re.sub(r"\{\w+\}", "{}", path) for path in application.openapi()["paths"]}


@pytest.mark.parametrize("words", list(block_commands()), ids=" ".join)
def test_a_command_of_a_code_block_is_understood(words: list[str]) -> None:
    command, rest = descend(words)
    assert not hasattr(command, "commands"), f"{words} is only a group"
    command.make_context(words[0], rest)


def test_the_readme_shows_the_commands_that_people_need() -> None:
    shown = {" ".join(words[:2]) for words in block_commands()}
    assert {"stream add gate", "events tail"} & shown or "stream add" in shown
    assert {words[0] for words in block_commands()} >= {"up", "down", "demo", "stream", "events"}


@pytest.mark.parametrize("words", list(inline_commands()), ids=" ".join)
def test_a_command_in_the_text_is_known_with_its_options(words: list[str]) -> None:
    command, rest = descend(words)
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--help", "-h"}
    assert [word for word in rest if word.startswith("-") and word not in known] == []


def test_the_yaml_that_is_shown_can_be_used(tmp_path: Path) -> None:
    model, rules, config = yaml_blocks()
    assert ModelSpec.model_validate(model).input.width == 416
    stream = StreamSpec.model_validate({"id": "a", "url": "rtsp://h/x", "rules": rules})
    assert [rule.kind for rule in stream.rules] == ["line", "zone"]
    assert SightlineConfig.model_validate(config).api.port == 8080


def test_the_requests_that_are_shown_are_accepted() -> None:
    post, patch = (json.loads(text) for text in re.findall(r"(?s)-d '(\{.*?\})'\n", README))
    job = StreamSpec.model_validate(post)
    changed = merge_patch(job.model_dump(mode="json", by_alias=True), patch)
    assert StreamSpec.model_validate(changed).max_fps == patch["max_fps"]


def test_the_paths_that_are_named_are_served() -> None:
    served = routes(create_app(open_config("redis://127.0.0.1:1/0")))
    named = set(re.findall(r"/(?:v1/[\w/{}]+|healthz|readyz|metrics)\b\}?", README))
    assert len(named) > 5
    for path in named:
        template = re.sub(r"\{\w+\}|(?<=/)(gate|default)\b", "{}", path)
        assert template in served, path


def test_the_table_of_classes_tells_the_defaults() -> None:
    for name, defaults in CLASS_DEFAULTS.items():
        row = re.search(rf"(?m)^\| `{name.value}`[^|]*\|(.*)\|$", README)
        assert row
        weight, deadline, floor = (cell.strip() for cell in row[1].split("|"))
        assert (float(weight), deadline) == (defaults.weight, f"{defaults.deadline_ms:g} ms")
        rate = 0.5 if floor == "one in 2 s" else float(floor.split()[0])
        assert rate == defaults.min_fps
