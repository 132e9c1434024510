"""ModelSpec: what a model file is and what it wants. Written as YAML beside the model file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engines.family_fields import (
    DEFAULTS,
    FIELDS,
    INPUT_DEFAULTS,
    NEEDED,
    OPTIONAL,
    TASKS,
    Family,
    Task,
)

MAX_PART_LABEL = 64
"""Only of the first labels can there be parts: a GPU keeps them as the bits of one word."""

__all__ = [
    "Activation",
    "Blank",
    "BoxLayout",
    "Choice",
    "ColorOrder",
    "Family",
    "HeadSpec",
    "InputSpec",
    "ModelSpec",
    "Precision",
    "Resize",
    "Task",
]


class Precision(str, Enum):
    """Number format of the model's weights and activations."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class ColorOrder(str, Enum):
    """Order of the colour channels that a model was trained with."""

    RGB = "rgb"
    BGR = "bgr"


class Resize(str, Enum):
    """How a picture, or the part of it that is looked at, comes to the size of the input."""

    LETTERBOX = "letterbox"  # aspect ratio kept, at the top left, the rest padded
    CENTERED = "centered"  # aspect ratio kept, in the middle, padded on both sides
    STRETCH = "stretch"  # to the whole input
    FIT_HEIGHT = "fit_height"  # to the whole height, at the left; squeezed where it is too wide
    FILL = "fill"  # aspect ratio kept, the input filled, what is too much cut off on both sides


class Activation(str, Enum):
    """What makes probabilities of the outputs."""

    NONE = "none"  # they are probabilities
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class Blank(str, Enum):
    """Where the class that stands for no symbol is, beside those of the alphabet."""

    FIRST = "first"
    LAST = "last"


class BoxLayout(str, Enum):
    """The four numbers of a box, in fractions of the input's width and height."""

    XYXY = "xyxy"  # left, top, right, bottom
    YXYX = "yxyx"  # top, left, bottom, right
    CXCYWH = "cxcywh"  # centre and size


class Choice(str, Enum):
    """Whether exactly one label of a head is true, or any of them."""

    ONE = "one"
    ANY = "any"


class InputSpec(BaseModel):
    """What the model's one image input wants: float32 or float16 [N, 3, height, width]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0, le=8192, description="Width of the input in pixels.")
    height: int = Field(gt=0, le=8192, description="Height of the input in pixels.")
    color: ColorOrder = Field(ColorOrder.RGB, description="Order of the colour channels.")
    mean: tuple[float, float, float] = Field(
        (0.0, 0.0, 0.0),
        description="Subtracted from 0..255 values, a channel each, in `color` order.",
    )
    std: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Divides after the mean is subtracted."
    )
    pad_value: float = Field(
        114.0, ge=0, le=255, description="Grey that fills the letterbox, 0..255."
    )
    resize: Resize = Field(
        Resize.LETTERBOX, description="letterbox, centered, stretch, fit_height or fill."
    )

    @field_validator("std")
    @classmethod
    def _divides(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(std):
            raise PydanticCustomError("divides_by_zero", "a std of 0 cannot divide; 1 does nothing")
        return std


class HeadSpec(BaseModel):
    """One output of a model of several attributes. In YAML a plain list of labels will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(min_length=1, description="Values, in the output's order.")
    output: str = Field("", description="Name of the output; that of the head where it is empty.")
    choice: Choice = Field(Choice.ONE, description="one: exactly one is true; any: each by itself.")
    activation: Activation = Field(
        Activation.NONE, description="What makes probabilities of the output."
    )


class ModelSpec(BaseModel):
    """A model: the file, its family, its input, and what is needed to read its outputs.

    What a family needs besides its input stands in ``engines.family_fields``; fields that it has
    no use for are refused, and left out when the spec is written down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name in events.")
    path: Path = Field(description="ONNX file; relative paths start at the spec file's folder.")
    family: Family = Field(description="How to prepare the input and read the output.")
    task: Task = Field(Task.DETECT, description="What the model is for; follows from the family.")
    input: InputSpec
    labels: tuple[str, ...] = Field(
        (), validate_default=True, description="Class names, in class order."
    )
    heads: dict[str, HeadSpec] = Field(
        {}, validate_default=True, description="Attributes by name, each with its labels."
    )
    alphabet: tuple[str, ...] = Field(
        (),
        validate_default=True,
        description="Symbols in class order, without the blank: a string, or a list of strings.",
    )
    blank: Blank = Field(Blank.LAST, description="Where the blank class is: first or last.")
    activation: Activation = Field(
        Activation.NONE, description="What makes probabilities of the outputs."
    )
    boxes: BoxLayout = Field(BoxLayout.XYXY, description="xyxy, yxyx or cxcywh, in fractions.")
    precision: Precision = Field(Precision.FP32, description="Number format of the graph.")
    confidence: float = Field(0.3, gt=0, lt=1, description="Detections below are not reported.")
    iou: float = Field(
        0.45, gt=0, lt=1, description="Overlap above which the weaker box is dropped."
    )
    iou_across: float = Field(
        1.0, gt=0, le=1, description="The same of boxes of two classes; 1 drops none of them."
    )
    part_labels: tuple[str, ...] = Field(
        (),
        description="Large things whose parts get boxes, too: of these the weaker box is dropped "
        "if one lies inside the other.",
    )
    max_detections: int = Field(100, gt=0, le=1000, description="At most so many a picture.")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """What follows from the family, where it is not said."""
        named = given.get("family") if isinstance(given, dict) else None
        family = next((one for one in Family if one == named), None)
        if family is None:
            return given
        filled = {"task": TASKS[family], **DEFAULTS.get(family, {}), **given}
        image = filled.get("input")
        if isinstance(image, dict):
            filled["input"] = {**INPUT_DEFAULTS.get(family, {}), **image}
        return filled

    @field_validator("task")
    @classmethod
    def _is_of_family(cls, task: Task, info: ValidationInfo) -> Task:
        family = info.data.get("family")
        if family is not None and task is not TASKS[family]:
            fitting = ", ".join(one.value for one in Family if TASKS[one] is task)
            raise PydanticCustomError(
                "not_of_family",
                f"family {family.value} is for {TASKS[family].value} (for {task.value}: {fitting})",
            )
        return task

    @field_validator("heads", mode="before")
    @classmethod
    def _lists_are_labels(cls, heads: Any) -> Any:
        if not isinstance(heads, dict):
            return heads
        is_list = (list, tuple)
        return {k: {"labels": v} if isinstance(v, is_list) else v for k, v in heads.items()}

    @field_validator("part_labels")
    @classmethod
    def _are_labels(cls, parts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = info.data.get("labels", ())[:MAX_PART_LABEL]
        unknown = [part for part in parts if part not in known]
        if unknown:
            raise PydanticCustomError(
                "not_a_label",
                f"{', '.join(unknown)}: not among the first {MAX_PART_LABEL} labels of the model",
            )
        return parts

    @field_validator("alphabet", mode="before")
    @classmethod
    def _characters(cls, alphabet: Any) -> Any:
        return tuple(alphabet) if isinstance(alphabet, str) else alphabet

    @field_validator(*sorted(OPTIONAL))
    @classmethod
    def _is_wanted(cls, value: Any, info: ValidationInfo) -> Any:
        family, name = info.data.get("family"), str(info.field_name)
        if family is None:
            return value
        if name in FIELDS[family]:
            if name in NEEDED and not value:
                raise PydanticCustomError("missing", "is missing")
        elif value != cls.model_fields[name].default:
            users = ", ".join(one.value for one in Family if name in FIELDS[one])
            raise PydanticCustomError(
                "not_of_family", f"family {family.value} has no use for it (for: {users})"
            )
        return value

    @model_serializer(mode="wrap")
    def _without_what_does_not_apply(self, handler: SerializerFunctionWrapHandler) -> Any:
        unused = OPTIONAL - FIELDS[self.family]
        return {name: value for name, value in handler(self).items() if name not in unused}
