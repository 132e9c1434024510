"""Number plates, cut out already: how many of them the CTC family reads to the last symbol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.frame import VideoFrame

from engines.factory import create_crop_engine
from engines.frames import ChromaSite, ColorMatrix, Frame, Picture
from engines.readings import Texts
from engines.spec import ModelSpec

_FOLDER = "plates"
_PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
_ALPHABET = f"{_PROVINCES}0123456789ABCDEFGHJKLMNPQRSTUVWXYZIO"
_AT_ONCE = 8
CERTAIN = 0.9
"""Readings from here on are taken for certain."""


@dataclass(frozen=True, slots=True)
class PlatesRead:
    """Counts of plates.

    Attributes:
        num: How many there are.
        num_right: Read to the last symbol.
        num_certain: Readings of which the model is sure.
        num_certain_right: Of these, read to the last symbol.
    """

    num: int
    num_right: int
    num_certain: int
    num_certain_right: int


def plates_model(data: Path) -> ModelSpec:
    """LPRNet for plates of China."""
    image = {"width": 94, "height": 24, "color": "bgr", "mean": [127.5] * 3, "std": [128] * 3}
    return ModelSpec.model_validate(
        {
            "name": "lprnet_cn_plates",
            "path": data / "models" / "lprnet_cn_plates.onnx",
            "family": "ctc",
            "input": image,
            "alphabet": _ALPHABET,
            "activation": "softmax",
        }
    )


def read_plates(data: Path) -> PlatesRead:
    """Read all plates of ``plates/labels.tsv``: a file name and what is on it in each line.

    Raises:
        OSError: if they are not there.
        ModelError: if the model cannot be used.
    """
    folder = data / _FOLDER
    lines = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
    names, wanted = zip(*(line.split("\t") for line in lines), strict=True)
    engine = create_crop_engine(plates_model(data))
    engine.load()
    right, certain = [], []
    for first in range(0, len(names), _AT_ONCE):
        chunk = slice(first, first + _AT_ONCE)
        read = engine.infer([_picture(folder / name) for name in names[chunk]])
        if isinstance(read, Texts):
            right += [a == b for a, b in zip(read.text, wanted[chunk], strict=True)]
            certain += (read.confidence >= CERTAIN).tolist()
    engine.close()
    both = [a and b for a, b in zip(right, certain, strict=True)]
    return PlatesRead(len(names), sum(right), sum(certain), sum(both))


def _picture(path: Path) -> Frame:
    with av.open(str(path)) as container:
        return _frame_of(next(container.decode(video=0)))


def _frame_of(decoded: VideoFrame) -> Frame:
    """A JPEG as it was decoded: BT.601, full range, and its chroma is centred."""
    width, height = decoded.width, decoded.height
    picture = Picture(width, height, ColorMatrix.BT601, full_range=True, site=ChromaSite.CENTER)
    planes = (
        np.frombuffer(cast(Any, plane), np.uint8).reshape(plane.height, plane.line_size)[
            :rows, :columns
        ]
        for plane, (rows, columns) in zip(decoded.planes, picture.plane_shapes, strict=True)
    )
    return Frame(picture, tuple(map(np.copy, planes)), width, height)
