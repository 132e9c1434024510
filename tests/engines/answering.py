"""Tiny networks whose answer is written down: it grows with the mean of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.spec import ModelSpec

Answer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""What a black picture gives, and what is added for each unit of the picture's mean."""


def fixed(values: NDArray[np.floating]) -> Answer:
    """The same answer to every picture."""
    return values.astype(np.float32), np.zeros_like(values, np.float32)


def growing(values: NDArray[np.floating], *, start: float = 0.0, at: float = 1.0) -> Answer:
    """``start`` for a black picture, ``values`` for one whose mean is ``at``."""
    first = np.full_like(values, start, np.float32)
    return first, ((values - first) / at).astype(np.float32)


def answering_model(
    answers: Mapping[str, Answer], *, width: int = 64, height: int = 64, half: bool = False
) -> onnx.ModelProto:
    """A network of one image and one output for each answer, [1, ...] without the batch axis."""
    dtype, number = (np.float16, TensorProto.FLOAT16) if half else (np.float32, TensorProto.FLOAT)
    nodes, constants, outputs = [], [], []
    nodes.append(helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0))
    for name, (start, slope) in answers.items():
        shape = np.array([-1] + [1] * start.ndim)
        values = {"shape": shape, "slope": slope[None].astype(dtype), "start": start.astype(dtype)}
        constants += [numpy_helper.from_array(v, f"{name}_{key}") for key, v in values.items()]
        nodes.append(helper.make_node("Reshape", ["mean", f"{name}_shape"], [f"{name}_mean"]))
        nodes.append(helper.make_node("Mul", [f"{name}_mean", f"{name}_slope"], [f"{name}_more"]))
        nodes.append(helper.make_node("Add", [f"{name}_more", f"{name}_start"], [name]))
        outputs.append(helper.make_tensor_value_info(name, number, ["N", *start.shape]))
    image = helper.make_tensor_value_info("image", number, ["N", 3, height, width])
    graph = helper.make_graph(nodes, "answers", [image], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def spec_of(path: Path, family: str, **fields: object) -> ModelSpec:
    """A spec as YAML would give it, for a picture of 64 x 64 unless said otherwise."""
    image = {"width": 64, "height": 64} | dict(fields.pop("input", {}))  # type: ignore[call-overload]
    given = {"name": "tiny", "path": path, "family": family, "input": image}
    return ModelSpec.model_validate(given | fields)
