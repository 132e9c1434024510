"""Lets FFmpeg look at a camera's first picture, so that its decoder is set up as for a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.ingest.properties import SourceProperties
from actors.ingest.rtsp.depacketizer import AccessUnit
from actors.ingest.rtsp.nal import START_CODE
from actors.ingest.rtsp.sdp import CLOCK_HZ, VideoDescription
from actors.ingest.rtsp.unfamiliar import UnfamiliarError

_MAX_UNITS = 4


def is_enough(video: VideoDescription, units: Sequence[AccessUnit]) -> bool:
    """Whether these pictures tell what there is to know; after four it is played as it is."""
    is_sized = bool(video.parameter_sets) or any(unit.is_keyframe for unit in units)
    return len(units) >= _MAX_UNITS or bool(units and is_sized and video.fps)


def examine(
    video: VideoDescription, units: Sequence[AccessUnit]
) -> tuple[VideoCodecContext, SourceProperties]:
    """The decoder of a camera, set up and not yet opened, and its properties.

    Args:
        video: What the camera says.
        units: Its first pictures.

    Raises:
        UnfamiliarError: if FFmpeg can make nothing of them.
    """
    key = next((unit for unit in units if unit.is_keyframe), units[0])
    data = b"".join([START_CODE + unit for unit in video.parameter_sets])
    try:
        with av.open(io.BytesIO(data + key.data), format=video.codec) as container:
            context = cast(VideoStream, container.streams.video[0]).codec_context
    except (FFmpegError, IndexError):
        raise UnfamiliarError("begins with what FFmpeg cannot read") from None
    size = cast(Any, context)
    properties = SourceProperties(
        codec=context.name,
        width=size.width,
        height=size.height,
        fps=video.fps or nominal_fps(units),
        is_live=True,
        duration_s=None,
    )
    return context, properties


def nominal_fps(units: Sequence[AccessUnit]) -> float | None:
    """Pictures a second by the least distance between neighbours; None where there is none."""
    stamps = sorted(unit.timestamp for unit in units)
    steps = [later - earlier for earlier, later in pairwise(stamps) if later > earlier]
    return CLOCK_HZ / min(steps) if steps and min(steps) < CLOCK_HZ else None
