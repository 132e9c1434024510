"""From a pipeline's words to a model that an engine can load."""

from __future__ import annotations

from pathlib import Path

import engines
from actors.cascade_specs import require_models
from actors.crop_messages import SecondaryModel
from actors.inference.options import DeviceName, EngineOptions
from cluster.config.pipelines import BUILTIN_MODEL, PipelineSpec
from cluster.machine import num_cores
from engines.errors import ModelError
from engines.spec import ModelSpec, Precision
from engines.spec_file import read_spec

_MODELS = Path(engines.__file__).parent / "models"
BUILTIN_SPEC = _MODELS / "traffic-yolox.yaml"
BUILTIN_GPU_SPEC = _MODELS / "traffic-yolox-fp32.yaml"


def resolve_model(pipeline: PipelineSpec, device: DeviceName = "cpu") -> ModelSpec:
    """Read and check the model that a pipeline names.

    Args:
        pipeline: What is wanted.
        device: What the slot runs on. The detector that ships is INT8 for a CPU; a GPU makes FP16
            of its FP32 file, unless the pipeline asks for INT8.

    Raises:
        ModelError: if the file cannot be used, or not there; names the field and the remedy.
    """
    if pipeline.device == "cpu" and device != "cpu":
        raise ModelError(
            "the pipeline asks for the CPU, and its slots run on GPUs",
            field="device",
            remedy="Set slots.device to cpu and start again, or let the pipeline say auto.",
        )
    spec = _load(_path_of(pipeline, device))
    if pipeline.confidence is None:
        return spec
    return spec.model_copy(update={"confidence": pipeline.confidence})


def resolve_secondaries(pipeline: PipelineSpec, primary: ModelSpec) -> tuple[SecondaryModel, ...]:
    """Read and check the secondary models that a pipeline names.

    Args:
        pipeline: What is wanted.
        primary: The pipeline's detector.

    Raises:
        ModelError: if a file cannot be used, or models do not fit together; names the secondary,
            the field and the remedy.
    """
    resolved = []
    for number, spec in enumerate(pipeline.secondaries):
        try:
            resolved.append(SecondaryModel(spec, _load(Path(spec.model))))
        except ModelError as error:
            within = "model" if error.field == "path" else f"model.{error.field}"
            field = f"secondaries.{number}.{within}"
            raise ModelError(error.message, field=field, remedy=error.remedy) from None
    try:
        require_models(pipeline.secondaries, primary, {r.spec.name: r.model for r in resolved})
    except ValueError as error:
        raise ModelError(str(error), field="secondaries") from None
    return tuple(resolved)


def engine_options(
    pipeline: PipelineSpec,
    device: DeviceName = "cpu",
    secondaries: tuple[SecondaryModel, ...] = (),
) -> EngineOptions:
    """How the pipeline wants its models to be run; half the cores where it does not say.

    The other half decodes: on a CPU that costs about as much as inference does.
    """
    return EngineOptions(
        num_threads=pipeline.num_threads or max(1, num_cores() // 2),
        max_batch_size=pipeline.max_batch_size,
        batch_sizes=pipeline.batch_sizes,
        max_queue_delay_s=pipeline.max_queue_delay_ms / 1e3,
        policy=pipeline.policy,
        device=device,
        precision=pipeline.precision,
        secondaries=secondaries,
        max_crops=pipeline.max_crops,
    )


def _path_of(pipeline: PipelineSpec, device: DeviceName) -> Path:
    if pipeline.model != BUILTIN_MODEL:
        return Path(pipeline.model)
    is_int8 = device == "cpu" or pipeline.precision is Precision.INT8
    return BUILTIN_SPEC if is_int8 else BUILTIN_GPU_SPEC


def _load(path: Path) -> ModelSpec:
    """A spec that ships is known to be good; a user's file is looked into."""
    if path in (BUILTIN_SPEC, BUILTIN_GPU_SPEC):
        return read_spec(path)
    from engines.inspection import load_spec

    return load_spec(path)
