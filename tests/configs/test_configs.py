"""Every configuration that ships can be loaded, and the full one tells the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from cluster.config import PipelineSpec, SightlineConfig, load_config

FOLDER = Path(__file__).parents[2] / "configs"
OURS = ["default.yaml", "pipelines/traffic.yaml", "cameras-example.yaml"]
VARIABLES = {"CAMERA_PASSWORD": "p%40ss"}


@pytest.mark.parametrize("name", OURS)
def test_it_loads(name: str) -> None:
    assert isinstance(load_config(FOLDER / name, VARIABLES), SightlineConfig)


def test_the_default_file_says_what_the_defaults_are() -> None:
    assert load_config(FOLDER / "default.yaml", {}) == SightlineConfig()


def test_the_default_file_names_every_key() -> None:
    written = yaml.safe_load((FOLDER / "default.yaml").read_text())
    assert set(paths(written)) == set(paths(SightlineConfig().model_dump()))


def test_the_example_takes_its_passwords_from_the_environment() -> None:
    north, _ = load_config(FOLDER / "cameras-example.yaml", VARIABLES).streams
    assert north.url == "rtsp://viewer:p%40ss@192.0.2.10:554/stream1"
    assert "password:" not in (FOLDER / "cameras-example.yaml").read_text().lower()


def test_every_file_is_listed_in_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in OURS)


def test_every_field_has_a_description() -> None:
    assert [*undescribed(SightlineConfig), *undescribed(PipelineSpec)] == []


def paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from paths(child, f"{path}.{key}")
    else:
        yield path


def undescribed(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not field.description:
            yield f"{model.__name__}.{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from undescribed(field.annotation)
