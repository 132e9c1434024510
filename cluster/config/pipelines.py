"""PipelineSpec: which models a pipeline runs, on what, and how it batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from actors.cascade_specs import SecondarySpec, require_cascade
from engines.spec import Precision

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
BUILTIN_MODEL = "builtin"

_BatchSize = Annotated[int, Field(ge=1, le=256)]


class PipelineSpec(BaseModel):
    """A model, those that look at crops of what it finds, and how its engine runs them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    model: str = Field(
        BUILTIN_MODEL,
        min_length=1,
        max_length=4096,
        description="'builtin' for the detector that ships, or the path of an ONNX file or of a "
        "ModelSpec in YAML; in a file, relative to that file's folder.",
    )
    device: Literal["auto", "cpu"] = Field(
        "auto",
        description="What runs the model: auto is what its slots run on, see `slots.device`; cpu "
        "refuses to be run on a GPU.",
    )
    max_batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Pictures in one call of the model; without it 1 on a CPU, 32 on a GPU.",
    )
    batch_sizes: tuple[_BatchSize, ...] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="What TensorRT is built for, as [1, 8, 32]; null takes the powers of two up to "
        "max_batch_size. Fewer are built in less time, and a batch is padded to the next one.",
    )
    max_queue_delay_ms: float = Field(
        5.0, ge=0, le=1000, description="Longest wait for a batch to fill, milliseconds."
    )
    policy: Literal["qos", "fifo"] = Field(
        "qos",
        description="Who makes the batches, from the start of a slot's engine on: qos, or fifo, a "
        "plain queue without quality of service, to measure against.",
    )
    precision: Precision | None = Field(
        None,
        description="What a GPU computes in; null takes fp16 for a model in fp32, and otherwise "
        "the model's own. A CPU computes what the file says.",
    )
    num_threads: int | None = Field(
        None, ge=1, le=256, description="Threads of a CPU engine; null takes half the cores."
    )
    confidence: float | None = Field(
        None, gt=0, lt=1, description="Report detections from here up; null keeps the model's own."
    )

    secondaries: tuple[SecondarySpec, ...] = Field(
        (),
        max_length=16,
        description="Models that look at crops of tracked objects, or of what another of them "
        "finds; what they settle on becomes `attribute` and `plate` events.",
    )
    max_crops: int = Field(
        4,
        ge=1,
        le=256,
        description="Crops that the secondaries look at between two batches of the model, at most; "
        "others wait for the next picture. Fewer keep the model's own latency shorter.",
    )

    @field_validator("secondaries")
    @classmethod
    def _is_cascade(cls, secondaries: tuple[SecondarySpec, ...]) -> tuple[SecondarySpec, ...]:
        require_cascade(secondaries)
        return secondaries

    @field_validator("device", mode="before")
    @classmethod
    def _has_an_engine(cls, device: object) -> object:
        if device in ("gpu", "cuda"):
            raise ValueError("a GPU is chosen for whole slots: set slots.device to cuda")
        return device

    @field_validator("batch_sizes")
    @classmethod
    def _has_batches_of_one(cls, sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if sizes is not None and 1 not in sizes:
            raise ValueError("has no 1: a lone picture must not wait for others, add it")
        return None if sizes is None else tuple(sorted(set(sizes)))

    @model_validator(mode="after")
    def _has_one_largest_batch(self) -> PipelineSpec:
        if self.batch_sizes is not None and self.max_batch_size is not None:
            raise ValueError("batch_sizes says how large batches are: leave max_batch_size out")
        return self


def model_paths(pipeline: PipelineSpec) -> dict[str, str]:
    """The model files that a pipeline names, by field; without the detector that ships."""
    own = {} if pipeline.model == BUILTIN_MODEL else {"model": pipeline.model}
    return own | {f"secondaries.{n}.model": s.model for n, s in enumerate(pipeline.secondaries)}
