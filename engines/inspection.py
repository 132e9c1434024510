"""From a file that a user gives, a ModelSpec YAML or a bare ONNX file, to a ModelSpec."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from engines.errors import ModelError
from engines.families.yolox import NUM_BOX_COLUMNS
from engines.graph.metadata import description_of
from engines.labels import COCO_80
from engines.onnxruntime import OnnxRuntimeEngine
from engines.onnxruntime.session import SESSION_ERRORS, open_session, signature_of
from engines.signature import Signature
from engines.spec import ColorOrder, Family, InputSpec, ModelSpec
from engines.spec_file import read_spec, spec_error

DEFAULT_SIZE_PX = 416
"""Input width and height of a model whose own are free."""
LABEL_KEYS = ("names", "labels")


def load_spec(path: Path, *, labels: Sequence[str] | None = None) -> ModelSpec:
    """Read a model's spec from YAML, or find it out from a bare ONNX file.

    A bare file is taken for what it says in its metadata (``engines.graph.describe``), else it is
    tried as a YOLOX model as its authors export them: BGR, 0 to 255, sigmoid in, boxes raw. It is
    run once on a grey picture to be sure.

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


def _recognized(path: Path, labels: Sequence[str] | None) -> ModelSpec:
    session = open_session(path)
    signature = signature_of(session)
    metadata = session.get_modelmeta().custom_metadata_map
    description = description_of(metadata)
    try:
        if description is not None:
            spec = _described(path, description, labels)
        else:
            spec = _guessed(path, session, signature, labels or _labels_in(metadata))
        engine = OnnxRuntimeEngine(spec, max_batch_size=1)
        engine.load()
        engine.close()
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
    path: Path, session: Any, signature: Signature, labels: Sequence[str] | None
) -> ModelSpec:
    height, width = _image_size(signature)
    num_classes = _num_classes(session, signature, (height, width))
    return ModelSpec(
        name=_name(path),
        path=path,
        family=Family.YOLOX,
        input=InputSpec(width=width, height=height, color=ColorOrder.BGR),
        labels=tuple(labels or _default_labels(num_classes)),
    )


def _image_size(signature: Signature) -> tuple[int, int]:
    image = signature.inputs[0] if len(signature.inputs) == 1 else None
    if image is None or len(image.shape) != 4 or image.dtype != "float32":
        raise ModelError("it does not take one image, float32 [N, 3, height, width]")
    return (image.shape[2] or DEFAULT_SIZE_PX, image.shape[3] or DEFAULT_SIZE_PX)


def _num_classes(session: Any, signature: Signature, size: tuple[int, int]) -> int:
    if len(signature.outputs) != 1 or len(signature.outputs[0].shape) != 3:
        raise ModelError("it does not give one output, float32 [N, anchors, 5 + classes]")
    columns = signature.outputs[0].shape[2]
    if columns is None:
        grey = np.full((1, 3, *size), 114, np.float32)
        try:
            columns = int(session.run(None, {signature.inputs[0].name: grey})[0].shape[2])
        except SESSION_ERRORS as error:
            raise ModelError(f"it does not run on a grey {size[1]}x{size[0]} picture") from error
    if columns <= NUM_BOX_COLUMNS:
        raise ModelError(f"its output has {columns} columns, too few for boxes and classes")
    return columns - NUM_BOX_COLUMNS


def _labels_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Class names that other tools leave in metadata: a JSON list, or an object by index."""
    for key in LABEL_KEYS:
        try:
            names = json.loads(metadata.get(key, ""))
        except ValueError:
            continue
        if isinstance(names, dict):
            names = [names[index] for index in sorted(names, key=int)]
        return tuple(map(str, names))
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
        remedy=f"{error.remedy} If it is a YOLOX model all the same, describe it in a YAML file "
        f"beside it and give that:\n{_template(path)}".strip(),
    )


def _template(path: Path) -> str:
    return f"""\
name: {_name(path)}
path: {path.name}
family: yolox
input: {{width: {DEFAULT_SIZE_PX}, height: {DEFAULT_SIZE_PX}, color: bgr, pad_value: 114}}
labels: [person, car]  # in class order
confidence: 0.3
iou: 0.45
"""
