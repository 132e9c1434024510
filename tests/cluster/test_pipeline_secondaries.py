"""Secondary models of a pipeline: read, checked at the edges, resolved for a slot, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from actors.crop_messages import SecondaryModel
from cluster.api.checks import check_model
from cluster.config import PipelineSpec, load_config
from cluster.config.load import config_of
from cluster.errors import ConfigError
from cluster.models import engine_options, resolve_model, resolve_secondaries
from engines.errors import ModelError
from tests.actors.secondary_street import plate_model, shade_model
from tests.cluster.builders import ServedApi, served_api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With ``shade.yaml`` and ``plate.yaml`` beside their models."""
    for made in (shade_model(tmp_path), plate_model(tmp_path)):
        fields = made.model.model_dump(mode="json") | {"path": made.model.path.name}
        (tmp_path / f"{made.spec.name}.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path


def shade(folder: Path, **fields: Any) -> dict[str, Any]:
    return {"name": "shade", "model": str(folder / "shade.yaml"), "classes": ["car"], **fields}


def pipeline(*secondaries: dict[str, Any]) -> PipelineSpec:
    return PipelineSpec.model_validate({"secondaries": secondaries})


def test_an_engine_gets_the_secondaries_of_its_pipeline(folder: Path) -> None:
    spec = pipeline(shade(folder), {"name": "text", "model": str(folder / "plate.yaml")})
    model = resolve_model(spec)
    options = engine_options(spec, secondaries=resolve_secondaries(spec, model))
    assert [one.spec for one in options.secondaries] == list(spec.secondaries)
    assert [one.model.family.value for one in options.secondaries] == ["classifier", "ctc"]
    assert all(isinstance(one, SecondaryModel) for one in options.secondaries)
    assert options.max_crops == PipelineSpec().max_crops


def test_a_pipeline_without_secondaries_gives_an_engine_none() -> None:
    assert resolve_secondaries(PipelineSpec(), resolve_model(PipelineSpec())) == ()
    assert engine_options(PipelineSpec()).secondaries == ()


def test_on_a_gpu_they_are_resolved_as_on_a_cpu(folder: Path) -> None:
    spec = pipeline(shade(folder))
    found = resolve_secondaries(spec, resolve_model(spec, "cuda"))
    options = engine_options(spec, "cuda", found)
    assert (options.device, options.secondaries) == ("cuda", found)
    assert [one.model.name for one in found] == ["tiny"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"classes": ["tram"]}, "classes: traffic-yolox-int8 does not know tram"),
        ({"model": "/nowhere/shade.yaml"}, "secondaries.0.model: /nowhere/shade.yaml"),
        ({"model": "shade.onnx"}, "secondaries.0.model"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    folder: Path, fields: dict[str, Any], words: str
) -> None:
    spec = pipeline(shade(folder, **fields))
    with pytest.raises(ModelError) as caught:
        check_model(spec)
    assert words in str(caught.value)
    assert caught.value.field.startswith("secondaries")


def test_a_secondary_whose_model_does_not_run_is_refused_before_it_is_accepted(
    folder: Path,
) -> None:
    path = folder / "shade.yaml"
    path.write_text(path.read_text().replace("- light", "- light\n- grey"))
    with pytest.raises(ModelError, match="3 labels for 2 classes") as caught:
        check_model(pipeline(shade(folder)))
    assert caught.value.field == "secondaries.0.model.labels"


def test_a_cascade_with_a_circle_is_refused_at_once() -> None:
    circle = [
        {"name": "a", "model": "/a.yaml", "after": "b"},
        {"name": "b", "model": "/b.yaml", "after": "a"},
    ]
    with pytest.raises(ValidationError, match="goes in a circle"):
        pipeline(*circle)


def test_models_of_secondaries_are_relative_to_the_file_that_names_them(folder: Path) -> None:
    config = folder / "sightline.yaml"
    spec = {"secondaries": [{"name": "shade", "model": "shade.yaml", "classes": ["car"]}]}
    config.write_text(yaml.safe_dump({"pipelines": {"default": spec}}))
    loaded = load_config(config, {}).pipelines["default"]
    assert [one.model for one in loaded.secondaries] == [str(folder / "shade.yaml")]
    with pytest.raises(ConfigError, match=r"secondaries\.0\.model"):
        config_of({"pipelines": {"default": spec}}, {})


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api(check_model=check_model) as served:
        yield served


def test_secondaries_are_put_and_shown_over_http_and_faults_name_their_field(
    api: ServedApi, folder: Path
) -> None:
    with api.client() as http:
        put = http.put("/v1/pipelines/default", json={"secondaries": [shade(folder)]})
        assert put.status_code == 200, put.text
        (shown,) = http.get("/v1/pipelines/default").json()["spec"]["secondaries"]
        assert (shown["name"], shown["classes"], shown["min_votes"]) == ("shade", ["car"], 3)
        for wrong, field in (
            (shade(folder, model="shade.yaml"), "secondaries.0.model"),
            (shade(folder, classes=["tram"]), "secondaries"),
            (shade(folder, min_size_px=0), "secondaries.0.min_size_px"),
        ):
            refused = http.put("/v1/pipelines/default", json={"secondaries": [wrong]})
            assert refused.status_code == 422
            assert [fault["field"] for fault in refused.json()["errors"]] == [field]
