"""Crops: parts of frames, which secondary models look at in full resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.frames import DeviceFrame, Frame

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A part of a frame.

    Attributes:
        frame: Where it is cut from; nothing is copied.
        xyxy: Left, top, right, bottom within the camera's picture, in its pixels, not empty.

    Raises:
        ValueError: if it is empty or reaches beyond the picture.
    """

    frame: Frame | DeviceFrame
    xyxy: Box

    def __post_init__(self) -> None:
        left, top, right, bottom = self.xyxy
        width, height = self.frame.source_width, self.frame.source_height
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"{self.xyxy} is no part of a picture of {width}x{height}")


View = Frame | DeviceFrame | Crop
"""What a model looks at: all of a picture, or a part of it."""


def frame_of(view: View) -> Frame | DeviceFrame:
    """The picture that is looked at, or that a crop is a part of."""
    return view.frame if isinstance(view, Crop) else view


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """What was cut from one frame.

    Attributes:
        crops: As many as were large enough.
        rows: int64, for each the row of the box that it was cut along.
    """

    crops: tuple[Crop, ...]
    rows: NDArray[np.int64]


def cut(
    frame: Frame | DeviceFrame,
    xyxy: NDArray[np.floating],
    *,
    margin: float = 0.0,
    min_size_px: float = 1.0,
) -> Crops:
    """Cut boxes out of a frame, each with some of what is around it.

    Args:
        frame: The picture.
        xyxy: [n, 4], left, top, right, bottom in source pixels; may reach beyond the picture.
        margin: Added on each side, as a share of the box's width or height; may be negative.
        min_size_px: Boxes of which less than this is within the picture, in width or in height,
            give no crop.

    Raises:
        ValueError: if ``xyxy`` is not [n, 4].
    """
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        raise ValueError(f"boxes are {list(xyxy.shape)}, not [n, 4]")
    limit = np.array([frame.source_width, frame.source_height] * 2, np.float64)
    inside = np.clip(xyxy, 0, limit)
    size = inside[:, 2:] - inside[:, :2]
    rows = np.flatnonzero((size >= max(min_size_px, 1.0)).all(axis=1))
    grow = margin * (xyxy[rows, 2:] - xyxy[rows, :2])
    grown = np.concatenate((xyxy[rows, :2] - grow, xyxy[rows, 2:] + grow), axis=1)
    boxes = np.clip(grown, 0, limit)
    kept = (boxes[:, 2:] - boxes[:, :2] >= 1.0).all(axis=1)
    crops = tuple(Crop(frame, (box[0], box[1], box[2], box[3])) for box in boxes[kept].tolist())
    return Crops(crops, rows[kept])
