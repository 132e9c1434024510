"""Ranges of activations, from what representative pictures give in a model."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator

Images = NDArray[np.float32]


class Calibration(str, Enum):
    """How the range of an activation is chosen from what the calibration pictures gave."""

    MINMAX = "minmax"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"


_METHODS: dict[Calibration, tuple[CalibrationMethod, dict[str, Any]]] = {
    Calibration.MINMAX: (CalibrationMethod.MinMax, {}),
    # ONNX Runtime's own default, as many bins as quantized bins, leaves the search no choice.
    Calibration.ENTROPY: (CalibrationMethod.Entropy, {"num_bins": 512, "num_quantized_bins": 128}),
    Calibration.PERCENTILE: (CalibrationMethod.Percentile, {"num_bins": 2048, "percentile": 99.99}),
}


def activation_ranges(
    model: Path,
    input_name: str,
    images: Iterable[Images],
    *,
    method: Calibration,
    symmetric: bool,
    op_types: list[str],
) -> TensorsData:
    """Run the model on all pictures and choose a range for each tensor of the given operators."""
    kind, options = _METHODS[method]
    reader = _Reader(input_name, iter(images))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        calibrator = create_calibrator(
            model,
            op_types,
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=kind,
            extra_options={**options, "symmetric": symmetric},
        )
        calibrator.collect_data(reader)
        return calibrator.compute_data()


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the pictures one batch after the other."""

    def __init__(self, input_name: str, images: Iterator[Images]) -> None:
        self._input_name = input_name
        self._images = images

    def get_next(self) -> dict[str, Images] | None:
        image = next(self._images, None)
        return None if image is None else {self._input_name: image}
