"""The yardstick: one process, one loop, PyAV and ONNX Runtime, nothing else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import onnxruntime
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from engines.families import adapter_for
from engines.frames import Frame, Picture
from engines.spec import ModelSpec


def plain_loop(
    clips: Sequence[Path], model: ModelSpec, *, seconds: float, decoded_per_inferred: float
) -> dict[str, float]:
    """Decode the clips in turn and infer one frame of so many, as fast as one loop can.

    Args:
        clips: Read frame by frame, round robin, again from the start at their end.
        model: The same as the system under test runs.
        seconds: How long.
        decoded_per_inferred: As many frames are decoded for each that is inferred.

    Returns:
        ``inferred_fps`` and ``decoded_fps``.
    """
    session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    prepare, adapter = _Preparation(model), adapter_for(model)
    num_decoded = num_inferred = 0
    began = time.monotonic()
    for decoded in _round_robin(clips):
        num_decoded += 1
        if num_decoded >= (num_inferred + 1) * decoded_per_inferred:
            adapter.read(session.run(None, {name: prepare(decoded)}), [_shape_of(decoded)])
            num_inferred += 1
        if time.monotonic() - began >= seconds:
            break
    elapsed = time.monotonic() - began
    return {"inferred_fps": num_inferred / elapsed, "decoded_fps": num_decoded / elapsed}


class _Preparation:
    """FFmpeg's scaler to RGB, then float planes with the grey border that the model wants."""

    def __init__(self, model: ModelSpec) -> None:
        self._input = model.input
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.float32]:
        wanted = self._input
        scale = min(wanted.width / frame.width, wanted.height / frame.height)
        width, height = round(frame.width * scale), round(frame.height * scale)
        picture = self._scaler.reformat(
            frame, width, height, f"{wanted.color.value}24", interpolation=Interpolation.BILINEAR
        )
        shape = (1, 3, wanted.height, wanted.width)
        tensor = np.full(shape, wanted.pad_value, np.float32)
        tensor[0, :, :height, :width] = picture.to_ndarray().transpose(2, 0, 1)
        return tensor


def _shape_of(frame: VideoFrame) -> Frame:
    """All that reading the output needs of a frame: its size."""
    return Frame(Picture(frame.width, frame.height), (), frame.width, frame.height)


def _round_robin(clips: Sequence[Path]) -> Iterator[VideoFrame]:
    films = [_looped(clip) for clip in clips]
    for film in itertools.cycle(films):
        yield next(film)


def _looped(clip: Path) -> Iterator[VideoFrame]:
    while True:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
            yield from container.decode(stream)
