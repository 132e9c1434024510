"""A ModelSpec inside the ONNX file that it describes, so that the file alone is enough."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from engines.spec import ModelSpec

SPEC_KEY = "sightline.spec"
"""Key of ``metadata_props``: the ModelSpec as JSON, without the path."""


def describe(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """A copy of the model that carries the spec; what it carried before is replaced."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    return with_metadata(copy, kept | {SPEC_KEY: spec.model_dump_json(exclude={"path"})})


def description_of(metadata: Mapping[str, str]) -> str | None:
    """The JSON that ``describe`` wrote, from a model's metadata; None where there is none."""
    return metadata.get(SPEC_KEY)


def with_metadata(model: onnx.ModelProto, entries: Mapping[str, str]) -> onnx.ModelProto:
    """Set the metadata of a model in place, and return it."""
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    return model
