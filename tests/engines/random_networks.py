"""Small networks of convolutions and ReLUs with random weights, one of each family for crops.

They take what TensorRT builds in seconds, and see where in a picture something is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.spec import ModelSpec
from tests.engines.answering import spec_of
from tests.engines.builders import tiny_spec, tiny_yolox, write_model

READERS = ("classifier", "attributes", "ctc", "embedding")
DETECTORS = ("yolox", "ssd")
"""One that is suppressed on a GPU, and one that the CPU reads."""
INPUT = {"mean": [127, 120, 110], "std": [64, 60, 58], "color": "bgr"}
SIZES = {"ctc": (96, 32), "attributes": (48, 64)}
LABELS = ("car", "van", "lorry", "bus", "tram")
HEADS = {"color": ["red", "green", "blue"], "type": list(LABELS)}
ALPHABET = "ABCDEFG"
NUM_ANCHORS = 64
GAIN = 3.0
"""Of the last layer: with more contrast no answer stands on the edge."""


def network_of(folder: Path, family: str, *, seed: int = 0) -> ModelSpec:
    """The spec of a network of that family, which is written beside it."""
    path = folder / f"{family}.onnx"
    if family == "yolox":
        return tiny_spec(write_model(path, tiny_yolox()))
    width, height = SIZES.get(family, (64, 64))
    write_model(path, _Network(width, height, seed).model(family))
    fields: dict[str, object] = {
        "classifier": {"labels": LABELS, "activation": "softmax"},
        "attributes": {
            "heads": {k: {"labels": v, "activation": "softmax"} for k, v in HEADS.items()}
        },
        "ctc": {"alphabet": ALPHABET, "activation": "softmax"},
        "embedding": {},
        "ssd": {"labels": LABELS, "activation": "softmax", "confidence": 0.5},
    }[family]
    return spec_of(path, family, input={"width": width, "height": height, **INPUT}, **fields)


class _Network:
    """Three convolutions to an eighth of the input, then what the family gives."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._size = width, height
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self, family: str) -> onnx.ModelProto:
        features = "image"
        for inputs, outputs in ((3, 8), (8, 16), (16, 16)):
            features = self._add("Relu", self._conv(features, inputs, outputs, size=3, stride=2))
        outputs = getattr(self, f"_{family}")(features)
        width, height = self._size
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, height, width])
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, "random", [image], infos, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _classifier(self, features: str) -> dict[str, list[int]]:
        self._pooled(features, "classes", len(LABELS))
        return {"classes": [len(LABELS)]}

    def _attributes(self, features: str) -> dict[str, list[int]]:
        for name, labels in reversed(HEADS.items()):
            self._pooled(features, name, len(labels))
        return {name: [len(labels)] for name, labels in reversed(HEADS.items())}

    def _embedding(self, features: str) -> dict[str, list[int]]:
        self._pooled(features, "vector", 12)
        return {"vector": [12]}

    def _ctc(self, features: str) -> dict[str, list[int]]:
        steps, rows = self._size[0] // 8, self._size[1] // 8
        columns = self._add("AveragePool", features, kernel_shape=[rows, 1])
        classes = self._conv(columns, 16, len(ALPHABET) + 1, gain=GAIN)
        shape = self._constant(np.array([0, len(ALPHABET) + 1, steps]))
        flat = self._add("Reshape", classes, shape)
        self._add("Transpose", flat, name="steps", perm=[0, 2, 1])
        return {"steps": [steps, len(ALPHABET) + 1]}

    def _ssd(self, features: str) -> dict[str, list[int]]:
        """Boxes of a cell around its place, background first among the classes."""
        scores = self._conv(features, 16, len(LABELS) + 1, gain=GAIN)
        self._rows(scores, "scores", len(LABELS) + 1)
        offsets = self._conv(features, 16, 4, gain=0.01)
        near = self._add("Add", self._rows(offsets, "", 4), self._constant(_cells()[None]))
        self._add("Identity", near, name="boxes")
        return {"scores": [NUM_ANCHORS, len(LABELS) + 1], "boxes": [NUM_ANCHORS, 4]}

    def _pooled(self, features: str, name: str, outputs: int) -> None:
        pooled = self._add("GlobalAveragePool", features)
        row = self._conv(pooled, 16, outputs, gain=GAIN)
        self._add("Reshape", row, self._constant(np.array([0, outputs])), name=name)

    def _rows(self, cells: str, name: str, columns: int) -> str:
        """[N, columns, h, w] as [N, h * w, columns]."""
        shape = self._constant(np.array([0, columns, NUM_ANCHORS]))
        return self._add("Transpose", self._add("Reshape", cells, shape), name=name, perm=[0, 2, 1])

    def _conv(
        self, source: str, inputs: int, outputs: int, *, size: int = 1, stride: int = 1, gain=1.0
    ) -> str:
        deviation = gain * np.sqrt(2 / (inputs * size * size))
        weights = self._rng.normal(0, deviation, (outputs, inputs, size, size))
        bias = self._rng.normal(0, 0.1, outputs)
        options = {"strides": [stride] * 2, "pads": [size // 2] * 4}
        named = [self._constant(values.astype(np.float32)) for values in (weights, bias)]
        return self._add("Conv", source, *named, **options)

    def _add(self, op_type: str, *inputs: str, name: str = "", **attributes: object) -> str:
        name = name or f"{op_type}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, list(inputs), [name], name, **attributes))
        return name

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name


def _cells() -> np.ndarray:
    """Left, top, right, bottom of 8 x 8 overlapping cells, as fractions, float32 [64, 4]."""
    y, x = np.divmod(np.arange(NUM_ANCHORS), 8)
    return (np.stack((x, y, x + 2, y + 2), axis=1) / 10).astype(np.float32)
