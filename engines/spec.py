"""ModelSpec: what a model file is and what it wants. Written as YAML beside the model file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Family(str, Enum):
    """Model families that ``engines.families`` can prepare and read."""

    YOLOX = "yolox"


class Precision(str, Enum):
    """Number format of the model's weights and activations."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class ColorOrder(str, Enum):
    """Order of the colour channels that a model was trained with."""

    RGB = "rgb"
    BGR = "bgr"


class InputSpec(BaseModel):
    """What the model's one image input wants: float32 [N, 3, height, width]."""

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


class ModelSpec(BaseModel):
    """A detection model: the file, its family, its input, its labels and its thresholds."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name in events.")
    path: Path = Field(description="ONNX file; relative paths start at the spec file's folder.")
    family: Family = Field(description="How to prepare the input and read the output.")
    input: InputSpec
    labels: tuple[str, ...] = Field(min_length=1, description="Class names, in class order.")
    precision: Precision = Field(Precision.FP32, description="Number format of the graph.")
    confidence: float = Field(0.3, gt=0, lt=1, description="Detections below are not reported.")
    iou: float = Field(
        0.45, gt=0, lt=1, description="Overlap above which the weaker box is dropped."
    )
    max_detections: int = Field(100, gt=0, le=1000, description="At most so many a picture.")
