"""From a pipeline's words to a model that an engine can load."""

from __future__ import annotations

from pathlib import Path

import engines
from actors.inference.service import EngineOptions
from cluster.config.pipelines import BUILTIN_MODEL, PipelineSpec
from cluster.machine import num_cores
from engines.spec import ModelSpec
from engines.spec_file import read_spec

BUILTIN_SPEC = Path(engines.__file__).parent / "models" / "traffic-yolox.yaml"


def resolve_model(pipeline: PipelineSpec) -> ModelSpec:
    """Read and check the model that a pipeline names.

    Raises:
        ModelError: if the file cannot be used; names the field and the remedy.
    """
    spec = _load(BUILTIN_SPEC if pipeline.model == BUILTIN_MODEL else Path(pipeline.model))
    if pipeline.confidence is None:
        return spec
    return spec.model_copy(update={"confidence": pipeline.confidence})


def engine_options(pipeline: PipelineSpec) -> EngineOptions:
    """How the pipeline wants its model to be run; half the cores where it does not say.

    The other half decodes: on a CPU that costs about as much as inference does.
    """
    return EngineOptions(
        num_threads=pipeline.num_threads or max(1, num_cores() // 2),
        max_batch_size=pipeline.max_batch_size,
        max_queue_delay_s=pipeline.max_queue_delay_ms / 1e3,
        policy=pipeline.policy,
    )


def _load(path: Path) -> ModelSpec:
    """A spec that ships is known to be good; a user's file is looked into."""
    if path == BUILTIN_SPEC:
        return read_spec(path)
    from engines.inspection import load_spec

    return load_spec(path)
