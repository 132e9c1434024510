"""The model that is measured: as a pipeline names it, or an ONNX file at another input size."""

from __future__ import annotations

from pathlib import Path

import yaml

from cluster.config.pipelines import BUILTIN_MODEL
from cluster.errors import FieldFault, InvalidError
from engines.inspection import load_spec


def model_of_size(model: str, input_px: int | None, folder: Path) -> str:
    """What a pipeline shall name, so that the model gets pictures of this size.

    Args:
        model: As a pipeline names it.
        input_px: Width and height; None for the model's own.
        folder: Where the description of the model with this size is written.

    Raises:
        InvalidError: if the detector that ships is asked for another size.
        ModelError: if the file cannot be used.
    """
    if input_px is None:
        return model if model == BUILTIN_MODEL else str(Path(model).resolve())
    if model == BUILTIN_MODEL:
        fault = "the detector that ships has one size", "Leave --input-px out, or give --model."
        raise InvalidError([FieldFault("--input-px", *fault, str(input_px))])
    spec = load_spec(Path(model))
    size = {"width": input_px, "height": input_px}
    given = spec.model_dump(mode="json") | {"path": str(spec.path.resolve())}
    given["input"] |= size
    path = folder / f"{spec.name}-{input_px}.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return str(path)
