"""Decodes on the GPU: NVDEC through FFmpeg, pictures stay in device memory.

Whether it works here is tried once a process. FFmpeg refuses a primary context that waits in
another way than by blocking, so the context is always opened by us first.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import cast

import av
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ingest.decoder import Decoded
from actors.ingest.deferred import DeferredDecoder
from engines.cuda.context import open_device
from engines.cuda.ranges import DECODE
from engines.errors import DeviceError

DEVICE_FORMAT = "cuda"
"""FFmpeg's name of the pixel format of pictures in device memory."""

CODECS = ("h264", "hevc")
FORMATS = ("yuv420p", "yuvj420p", "nv12", None)
"""What becomes NV12; None is a stream that has not said yet, and is 8 bits deep nearly always."""

_OPTIONS = {"hwaccel_flags": "+unsafe_output"}
"""FFmpeg would copy each picture, since a decoder has only about five surfaces to give out. Ours go
into the pool, and back within a few milliseconds; whoever holds many of them must copy them."""
_MAX_OPENING = 4
"""Opening takes 0.2 s and twice that beside many others; those that run should not feel it."""
_MAX_ERRORS = 100
_REMEDY = (
    "the driver's libnvcuvid must be there, in a container NVIDIA_DRIVER_CAPABILITIES must name "
    "video; see `sightline doctor`"
)
# One grey H.264 picture of 256 x 256.
_PICTURE = bytes.fromhex(
    "000000016764100dacb82010d0800000030080000019420000000168ee0f2c8b0000000165888404affe"
    "f7addf8136815aee95ce2d32eae50d0f547da5299e2dc358ef8828b5fe70af787f40000005e806f33174"
    "004100000001650102221012bffef7addf8136815aee95ce2d32eae50d0f547da5299e2dc358ef8828b5"
    "fe70af787f40000005e806f331740041"
)

_opening = threading.Semaphore(_MAX_OPENING)
_probing = threading.Lock()


class NvdecDecoder(DeferredDecoder):
    """NVDEC for one stream; what it cannot take FFmpeg decodes on the CPU, and ``name`` says so.

    Args:
        context: Of the source, unopened; the decoder is set up like it.
        interval_s: Nominal time between pictures, for those without a time of their own.

    Raises:
        DeviceError: if the GPU cannot be used; also from ``decode``, when it refuses all packets.
        FFmpegError: if FFmpeg cannot use it.
    """

    def __init__(self, context: VideoCodecContext, interval_s: float) -> None:
        on_device = _device_context(context.name, context.extradata)
        super().__init__(on_device, interval_s, is_reordered=bool(context.has_b_frames))
        self.name = "nvdec"
        self._is_open = False
        self._num_refused = 0

    @DECODE
    def _decode(self, packet: Packet[VideoStream]) -> list[Decoded]:
        num_errors = self.num_errors
        if self._is_open:
            pictures = super()._decode(packet)
        else:
            with _opening:
                pictures = super()._decode(packet)
        if self.num_errors == num_errors:
            self._is_open, self._num_refused = True, 0
        else:
            self._note_refused()
        return pictures

    def _note_refused(self) -> None:
        # FFmpeg tells a broken GPU from a broken packet no more than this.
        self._num_refused += 1
        if self._num_refused >= _MAX_ERRORS:
            raise DeviceError(f"NVDEC has refused {self._num_refused} packets on end")

    def _note_frame(self, frame: VideoFrame) -> None:
        is_on_device = frame.format.name == DEVICE_FORMAT
        if is_on_device != (self.name == "nvdec"):
            self.name = "nvdec" if is_on_device else "cpu"
            self.fallback = "" if is_on_device else _refused(frame)


def unsupported(context: VideoCodecContext) -> str:
    """Why NVDEC is not asked to decode a stream; empty where it is."""
    if context.name not in CODECS:
        return f"{context.name} is decoded on the CPU; cameras that send H.264 or H.265 are not"
    if context.pix_fmt not in FORMATS:
        return f"{context.pix_fmt} is decoded on the CPU; 8-bit 4:2:0 is not"
    return ""


def nvdec_fault() -> str:
    """Why NVDEC cannot be used here, with the remedy; empty where it can. Tried once a process."""
    with _probing:
        return _probe()


@cache
def _probe() -> str:
    try:
        pictures = _decode_one()
    except DeviceError as error:
        return str(error)
    except FFmpegError as error:
        return f"FFmpeg cannot use NVDEC ({error.strerror}): {_REMEDY}"
    if pictures and pictures[0].format.name == DEVICE_FORMAT:
        return ""
    return f"NVDEC decodes no H.264 here: {_REMEDY}"


def _decode_one() -> list[VideoFrame]:
    context = _device_context("h264", None)
    return [*context.decode(cast("Packet[VideoStream]", Packet(_PICTURE))), *context.decode(None)]


def _device_context(codec: str, extradata: bytes | None) -> VideoCodecContext:
    open_device()
    acceleration = HWAccel(DEVICE_FORMAT, is_hw_owned=True, options={"primary_ctx": "1"})
    context = av.CodecContext.create(codec, "r", acceleration)
    context.options = dict(_OPTIONS)
    if extradata is not None:
        context.extradata = extradata
    return cast(VideoCodecContext, context)


def _refused(frame: VideoFrame) -> str:
    return (
        f"NVDEC does not take {frame.width}x{frame.height} {frame.format.name} of this stream, or "
        "the GPU has no room for another decoder"
    )
