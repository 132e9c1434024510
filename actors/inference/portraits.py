"""Crops as small JPEG files: the best sight of an object, for the summary at its end.

It is asked for and answered as the looks of secondary models are, and takes part in their limits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from actors.cascade_specs import SecondarySpec
from actors.crop_messages import BEST_CROP, SecondaryModel
from engines.crops import Crop, View
from engines.errors import DeviceError
from engines.frames import ColorMatrix, DeviceFrame, Frame
from engines.readings import Pictures
from engines.spec import ModelSpec

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

logger = logging.getLogger(__name__)

MAX_PX = 256
"""Of the longer side."""
MAX_BYTES = 8192
_QUALITIES = (4, 8, 16, 31)
"""Of FFmpeg's encoder, the best first; the first that fits is taken."""
_MARGIN = 0.05
_PATIENCE_S = 0.005


class PortraitEngine:
    """Takes crops as a model does, and gives JPEG files; empty ones where that cannot be done.

    Those who never ask need no encoder. To load it takes a third of a second, in which no batch
    waits: the first crops are empty.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.batch_sizes: tuple[int, ...] = (8,)
        self.max_in_flight = 2

    def load(self) -> None:
        """Nothing is to be loaded."""

    def infer(self, views: Sequence[View]) -> Pictures:
        """A JPEG file of each crop."""
        _encoder().join(_PATIENCE_S)
        if _encoder().is_alive():
            return Pictures((b"",) * len(views))
        return Pictures(tuple(_portrait(v) if isinstance(v, Crop) else b"" for v in views))

    def close(self) -> None:
        """Nothing is held."""


def portrait_model(primary: ModelSpec) -> SecondaryModel:
    """What asks for best crops, as a secondary model of a name that users cannot give."""
    spec = SecondarySpec.model_construct(
        **SecondarySpec(name="best", model="none", margin=_MARGIN).model_dump()
        | {"name": BEST_CROP}
    )
    return SecondaryModel(spec, primary)


def jpeg_of(crop: Crop, frame: Frame) -> bytes:
    """A crop of a frame in host memory as JPEG of ``MAX_PX`` and ``MAX_BYTES`` at most.

    Returns:
        The file; empty where the crop does not fit even at the lowest quality.
    """
    picture = _cut(crop, frame)
    for max_px in (MAX_PX, MAX_PX // 2):
        small = _scaled(picture, frame, max_px)
        for quality in _QUALITIES:
            data = _encoded(small, quality)
            if len(data) <= MAX_BYTES:
                return data
    return b""


@cache
def _encoder() -> threading.Thread:
    """Loads the encoder's library; has ended once that is done."""
    thread = threading.Thread(target=import_module, args=("av",), name="encoder", daemon=True)
    thread.start()
    return thread


def _portrait(crop: Crop) -> bytes:
    frame = crop.frame
    if isinstance(frame, DeviceFrame):
        from engines.cuda.download import downloaded

        try:
            frame = downloaded(frame)
        except DeviceError as error:
            logger.warning("no best crop: %s", error)
            return b""
    return jpeg_of(crop, frame)


def _cut(crop: Crop, frame: Frame) -> VideoFrame:
    """The pixels of a crop, its sides even; at least two in each direction."""
    from av.video.frame import VideoFrame

    rows, columns = frame.planes[0].shape
    x, y = columns / frame.source_width, rows / frame.source_height
    left, top, right, bottom = crop.xyxy
    x0, x1 = _even(left * x, right * x, columns)
    y0, y1 = _even(top * y, bottom * y, rows)
    luma = frame.planes[0][y0:y1, x0:x1]
    chroma = [plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] for plane in frame.planes[1:]]
    packed = np.concatenate([np.ascontiguousarray(plane).ravel() for plane in (luma, *chroma)])
    return VideoFrame.from_ndarray(packed.reshape((y1 - y0) * 3 // 2, x1 - x0), format="yuv420p")


def _even(low: float, high: float, limit: int) -> tuple[int, int]:
    """The pixels from ``low`` to ``high``, from an even one to before an even one."""
    begin = min(int(low), limit - 2) // 2 * 2
    return begin, max(begin + 2, min(int(np.ceil(high)), limit) // 2 * 2)


def _scaled(picture: VideoFrame, frame: Frame, max_px: int) -> VideoFrame:
    """As JPEG has it: full range, BT.601; never larger than it was."""
    from av.video.reformatter import ColorRange, Colorspace

    scale = min(1.0, max_px / max(picture.width, picture.height))
    layout = frame.picture
    is_601 = layout.matrix is ColorMatrix.BT601
    return picture.reformat(
        width=max(2, round(picture.width * scale)),
        height=max(2, round(picture.height * scale)),
        format="yuvj420p",
        src_colorspace=Colorspace.ITU601 if is_601 else Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if layout.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )


def _encoded(picture: VideoFrame, quality: int) -> bytes:
    from av.video.codeccontext import VideoCodecContext

    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 1)
    encoder.qmin = encoder.qmax = quality
    picture.pts = 0
    return b"".join(_packets(encoder, picture))


def _packets(encoder: object, picture: VideoFrame) -> Iterator[bytes]:
    from av.video.codeccontext import VideoCodecContext

    assert isinstance(encoder, VideoCodecContext)  # noqa: S101
    for each in (picture, None):
        yield from (bytes(packet) for packet in encoder.encode(each))
