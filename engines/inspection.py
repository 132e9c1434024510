"""From a file that a user gives, a ModelSpec YAML or a bare ONNX file, to a ModelSpec."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from engines.errors import ModelError
from engines.families.tensors import IMAGE_DTYPES
from engines.families.yolov8 import NUM_BOX_ROWS
from engines.families.yolox import NUM_BOX_COLUMNS
from engines.graph.metadata import description_of
from engines.labels import COCO_80
from engines.onnxruntime import OnnxRuntimeEngine, OnnxRuntimeReader
from engines.onnxruntime.session import SESSION_ERRORS, open_session, signature_of
from engines.signature import Signature, TensorInfo
from engines.spec import ColorOrder, Family, ModelSpec, Task
from engines.spec_file import read_spec, spec_error

DEFAULT_SIZE_PX = 416
"""Input width and height of a model whose own are free."""
LABEL_KEYS = ("names", "labels")
NUM_NANODET_OUTPUTS = 6
"""Classes and distances of three levels."""

Labels = Sequence[str] | None


def load_spec(path: Path, *, labels: Sequence[str] | None = None) -> ModelSpec:
    """Read a model's spec from YAML, or find it out from a bare ONNX file.

    A bare file is taken for what it says in its metadata (``engines.graph.describe``), else it is
    tried as the detector that its outputs look like, as the authors of that family export it: a
    YOLOX model is BGR, 0 to 255, sigmoid in, boxes raw. It is run once on a grey picture to be
    sure. Models for crops cannot be told apart and need a YAML file.

    Args:
        path: ``.yaml``, ``.yml`` or ``.onnx``.
        labels: Class names, in place of those that the file brings.

    Raises:
        ModelError: naming the field (for YAML the line too) and what to write instead.
    """
    if path.suffix.lower() == ".onnx":
        return _recognized(path, labels)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ModelError(
            f"{path} is neither ONNX nor YAML",
            remedy="Give an .onnx file, or the .yaml file of a ModelSpec.",
        )
    spec = read_spec(path)
    if not spec.path.is_file():
        raise ModelError(
            f"{spec.path}, named in {path}, does not exist",
            remedy="Paths start at the folder of the YAML file.",
        )
    return spec.model_copy(update={"labels": tuple(labels)}) if labels else spec


def check_model(spec: ModelSpec) -> None:
    """Load a model once on the CPU, whatever it is for.

    Raises:
        ModelError: if file and spec do not fit, naming the field and what to write instead.
    """
    is_detector = spec.task is Task.DETECT
    engine = (OnnxRuntimeEngine if is_detector else OnnxRuntimeReader)(spec, max_batch_size=1)
    engine.load()
    engine.close()


def _recognized(path: Path, labels: Sequence[str] | None) -> ModelSpec:
    session = open_session(path)
    signature = signature_of(session)
    metadata = session.get_modelmeta().custom_metadata_map
    description = description_of(metadata)
    try:
        if description is not None:
            spec = _described(path, description, labels)
        else:
            spec = _guessed(path, session, signature, metadata, labels)
        check_model(spec)
    except ModelError as error:
        raise _not_recognized(path, signature, error) from error
    return spec


def _described(path: Path, description: str, labels: Sequence[str] | None) -> ModelSpec:
    try:
        given = json.loads(description) | {"path": path}
        return ModelSpec.model_validate(given | ({"labels": tuple(labels)} if labels else {}))
    except ValidationError as error:
        raise spec_error(error, path) from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"the metadata of {path} is not a ModelSpec ({error})") from error


def _guessed(
    path: Path, session: Any, signature: Signature, metadata: Mapping[str, str], labels: Labels
) -> ModelSpec:
    height, width = _image_size(signature, metadata)
    family, num_classes = _family_of(_known_shapes(session, signature, (height, width)))
    image: dict[str, Any] = {"width": width, "height": height}
    if family is Family.YOLOX:
        image["color"] = ColorOrder.BGR
    return ModelSpec.model_validate(
        {
            "name": _name(path),
            "path": path,
            "family": family,
            "input": image,
            "labels": tuple(labels or _labels_in(metadata) or _default_labels(num_classes)),
        }
    )


def _image_size(signature: Signature, metadata: Mapping[str, str]) -> tuple[int, int]:
    """Height and width: of the file, else what Ultralytics leaves in metadata, else ours."""
    image = signature.inputs[0] if len(signature.inputs) == 1 else None
    if image is None or len(image.shape) != 4 or image.dtype not in IMAGE_DTYPES:
        raise ModelError("it does not take one image, float32 [N, 3, height, width]")
    told = _literal(metadata.get("imgsz", ""))
    height, width = told if isinstance(told, list) and len(told) == 2 else [DEFAULT_SIZE_PX] * 2
    return (image.shape[2] or int(height), image.shape[3] or int(width))


def _known_shapes(session: Any, signature: Signature, size: tuple[int, int]) -> list[TensorInfo]:
    """The outputs with all their axes, for which a model is run if need be."""
    outputs = list(signature.outputs)
    if all(size is not None for output in outputs for size in output.shape[1:]):
        return outputs
    image = signature.inputs[0]
    grey = np.full((1, 3, *size), 114, image.dtype)
    try:
        results = session.run(None, {image.name: grey})
    except SESSION_ERRORS as error:
        raise ModelError(f"it does not run on a grey {size[1]}x{size[0]} picture") from error
    return [replace(o, shape=tuple(r.shape)) for o, r in zip(outputs, results, strict=True)]


def _family_of(outputs: Sequence[TensorInfo]) -> tuple[Family, int]:
    """Which detector gives such outputs, and how many classes it has."""
    classes = {output.shape[-1] for output in outputs if "cls" in output.name}
    if len(outputs) == NUM_NANODET_OUTPUTS and len(classes) == 1:
        return Family.NANODET, int(classes.pop() or 0)
    if len(outputs) != 1 or len(outputs[0].shape) != 3:
        raise ModelError("its outputs are not those of YOLOX, YOLOv8 or NanoDet")
    _, first, second = (size or 0 for size in outputs[0].shape)
    # There are more anchors than columns for boxes and classes.
    family, columns = (Family.YOLOX, second) if first > second else (Family.YOLOV8, first)
    num_classes = columns - (NUM_BOX_COLUMNS if family is Family.YOLOX else NUM_BOX_ROWS)
    if num_classes < 1:
        raise ModelError(f"its output has {columns} columns, too few for boxes and classes")
    return family, num_classes


def _labels_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Class names that other tools leave in metadata: a list, or a mapping by index."""
    for key in LABEL_KEYS:
        names = _literal(metadata.get(key, ""))
        if isinstance(names, dict):
            names = [names[index] for index in sorted(names, key=int)]
        if isinstance(names, list):
            return tuple(map(str, names))
    return None


def _literal(text: str) -> Any:
    """A value in JSON, or as Python writes it (so does Ultralytics); None for anything else."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    return None


def _default_labels(num_classes: int) -> tuple[str, ...]:
    if num_classes == len(COCO_80):
        return COCO_80
    return tuple(f"class_{index}" for index in range(num_classes))


def _name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip("._-")[:64] or "model"


def _not_recognized(path: Path, signature: Signature, error: ModelError) -> ModelError:
    tensors = "" if str(signature) in error.message else f". It has {signature}"
    return ModelError(
        f"{path} is not recognised: {error.message}{tensors}",
        remedy=f"{error.remedy} Describe it in a YAML file beside it, with its family, and give "
        f"that:\n{_template(path)}".strip(),
    )


def _template(path: Path) -> str:
    return f"""\
name: {_name(path)}
path: {path.name}
family: yolox  # or {", ".join(family.value for family in Family if family != "yolox")}
input: {{width: {DEFAULT_SIZE_PX}, height: {DEFAULT_SIZE_PX}, color: bgr, pad_value: 114}}
labels: [person, car]  # in class order
confidence: 0.3
iou: 0.45
"""
