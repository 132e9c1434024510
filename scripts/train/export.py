"""Export: trained weights become an ONNX file with a free batch axis."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from augment import INPUT_HEIGHT, INPUT_WIDTH, PAD_VALUE
from network import Detector, fuse
from specs import spec_of, write_spec

from cluster.demo.world import CLASSES
from engines.spec import Precision

OPSET = 17
MAX_DIFFERENCE = 1e-3


def export(weights: Path, out: Path) -> None:
    """Write the FP32 model and its spec, and compare it with the network.

    Raises:
        ValueError: if the exported model gives other values than the network.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = Detector(len(CLASSES))
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    images = _sample()
    with torch.no_grad():
        raw = network.eval()(images)
    expected = torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], dim=-1).numpy()
    spec = spec_of(Precision.FP32, out)
    _write_onnx(fuse(network), images[:1], spec.path)
    _describe(spec.path, expected.shape)
    write_spec(spec)
    _compare(spec.path, images.numpy(), expected)


def _sample() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, INPUT_HEIGHT // 16, INPUT_WIDTH // 16, generator=generator)
    return 255 * torch.nn.functional.interpolate(coarse, scale_factor=16.0, mode="bilinear")


def _write_onnx(network: Detector, images: torch.Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (images,),
            str(path),
            opset_version=OPSET,
            dynamo=False,
            input_names=["images"],
            output_names=["output"],
            dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        )


def _describe(path: Path, output_shape: tuple[int, ...]) -> None:
    """Say in the file what it is, for whoever meets it without its spec."""
    model = onnx.load(path)
    dimensions = model.graph.output[0].type.tensor_type.shape.dim
    for dimension, size in zip(dimensions[1:], output_shape[1:], strict=True):
        dimension.dim_value = size
    values = {
        "name": path.stem,
        "family": "yolox",
        "labels": json.dumps(list(CLASSES)),
        "input": json.dumps({"width": INPUT_WIDTH, "height": INPUT_HEIGHT, "pad": PAD_VALUE}),
        "color": "rgb",
        "license": "Apache-2.0",
    }
    onnx.helper.set_model_props(model, values)
    # Without the exporter's notes, which name the source lines of whoever ran it.
    for node in model.graph.node:
        node.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _compare(path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (values,) = session.run(None, {"images": images})
    difference = float(np.abs(values - expected).max())
    if difference > MAX_DIFFERENCE:
        raise ValueError(f"{path} differs from the network by {difference}: do not use it")
    size = path.stat().st_size / 1e6
    print(f"{path.name}: {size:.3f} MB, differs from the network by at most {difference:.1e}")
