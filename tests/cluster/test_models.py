"""A pipeline's words become a model that an engine can load, or an error that helps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cluster.config import PipelineSpec
from cluster.models import BUILTIN_SPEC, engine_options, resolve_model
from engines.errors import ModelError
from engines.spec import Precision
from engines.spec_file import read_spec

SPEC = """\
name: mine
path: mine.onnx
family: yolox
input: {width: 320, height: 192}
labels: [car, lorry, motorcycle, pedestrian]
confidence: 0.4
"""


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    shutil.copy(read_spec(BUILTIN_SPEC).path, tmp_path / "mine.onnx")
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC)
    return path


def test_the_detector_that_ships_is_there() -> None:
    spec = resolve_model(PipelineSpec())
    assert spec == read_spec(BUILTIN_SPEC)
    assert spec.path.is_file()
    assert "car" in spec.labels


def test_a_users_model_is_read_from_its_yaml(own_model: Path) -> None:
    spec = resolve_model(PipelineSpec(model=str(own_model)))
    assert (spec.name, spec.path, spec.confidence) == ("mine", own_model.with_suffix(".onnx"), 0.4)


def test_a_bare_onnx_file_is_understood_by_what_it_says(own_model: Path) -> None:
    spec = resolve_model(PipelineSpec(model=str(own_model.with_suffix(".onnx"))))
    assert spec.path == own_model.with_suffix(".onnx")
    assert len(spec.labels) == 4


def test_the_pipelines_confidence_comes_before_the_models(own_model: Path) -> None:
    assert resolve_model(PipelineSpec(model=str(own_model), confidence=0.7)).confidence == 0.7
    builtin = resolve_model(PipelineSpec(confidence=0.7))
    assert builtin == read_spec(BUILTIN_SPEC).model_copy(update={"confidence": 0.7})


@pytest.mark.parametrize("name", ["mine.onnx", "mine.yaml", "mine.txt"])
def test_a_model_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_model(PipelineSpec(model=str(tmp_path / name)))
    assert name in str(caught.value)
    assert caught.value.remedy


def test_an_engine_gets_what_the_pipeline_asks_for() -> None:
    options = engine_options(PipelineSpec(num_threads=3, max_batch_size=2, max_queue_delay_ms=12.5))
    assert (options.num_threads, options.max_batch_size) == (3, 2)
    assert options.max_queue_delay_s == pytest.approx(0.0125)
    assert options.policy == "qos"
    assert engine_options(PipelineSpec(policy="fifo")).policy == "fifo"


def test_an_engine_gets_half_the_cores_where_the_pipeline_does_not_say() -> None:
    cores = len(os.sched_getaffinity(0))
    assert engine_options(PipelineSpec()).num_threads == max(1, cores // 2)


def test_a_gpu_makes_its_own_precision_of_the_fp32_file_and_takes_int8_as_it_ships() -> None:
    files = {
        precision: resolve_model(PipelineSpec(precision=precision), "cuda").precision
        for precision in (None, Precision.FP16, Precision.INT8)
    }
    fp32, int8 = Precision.FP32, Precision.INT8
    assert files == {None: fp32, Precision.FP16: fp32, Precision.INT8: int8}


def test_batch_sizes_of_a_pipeline_reach_the_engine_ascending_and_once() -> None:
    pipeline = PipelineSpec(batch_sizes=(32, 1, 8, 8))
    assert engine_options(pipeline, "cuda").batch_sizes == (1, 8, 32)
    assert engine_options(PipelineSpec(), "cuda").batch_sizes is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"batch_sizes": []}, "at least 1 item"),
        ({"batch_sizes": [2, 8]}, "has no 1"),
        ({"batch_sizes": [1, 512]}, "less than or equal to 256"),
        ({"batch_sizes": [1, 8], "max_batch_size": 8}, "leave max_batch_size out"),
    ],
)
def test_batch_sizes_that_cannot_be_are_refused(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PipelineSpec.model_validate(words)
