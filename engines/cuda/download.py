"""Pictures of a GPU's memory, brought back to the host: for the few that people look at."""

from __future__ import annotations

import numpy as np

from engines.cuda.context import open_device
from engines.frames import Chroma, DeviceFrame, Frame, unpacked


def downloaded(frame: DeviceFrame, device: int = 0) -> Frame:
    """A picture in host memory; about a millisecond for 1920x1080.

    Args:
        frame: The picture.
        device: Index of its GPU, as this process counts.

    Raises:
        DeviceError: if the GPU does not give it.
    """
    host = np.empty(frame.picture.size_bytes, np.uint8)
    context = open_device(device)
    with context:
        context.cuda.memcpy_dtoh(host, frame.address)
    planes = unpacked(host.tobytes(), frame.picture)
    if frame.picture.chroma is Chroma.INTERLEAVED:
        luma, pairs = planes
        planes = luma, pairs[:, 0::2], pairs[:, 1::2]
    return Frame(frame.picture, planes, frame.source_width, frame.source_height)
