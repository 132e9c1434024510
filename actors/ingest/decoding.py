"""Which decoder a stream gets: that of the GPU where it is wanted and works, or the CPU's."""

from __future__ import annotations

import logging
import threading

from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from actors.ingest.config import DecoderName, NvdecWay
from actors.ingest.decoder import CpuDecoder
from engines.errors import DeviceError

log = logging.getLogger(__name__)

_told: set[str] = set()
_telling = threading.Lock()


def open_decoder(
    wanted: DecoderName,
    context: VideoCodecContext,
    interval_s: float,
    *,
    nvdec: NvdecWay = "ffmpeg",
) -> CpuDecoder:
    """A decoder for a stream. Falling back to the CPU is logged, and said by ``fallback``.

    Args:
        wanted: What should decode.
        context: Set up for the stream, not yet opened.
        interval_s: Nominal time between pictures, for those without a time of their own.
        nvdec: What drives the GPU's decoder.
    """
    if wanted == "cpu":
        return CpuDecoder(context, interval_s)
    from actors.ingest.nvdec import nvdec_fault, unsupported

    reason = unsupported(context) or nvdec_fault()
    if not reason:
        try:
            return _open_nvdec(context, interval_s, nvdec)
        except (DeviceError, FFmpegError) as error:
            reason = f"NVDEC takes no further stream: {error}"
    tell_fallback(reason)
    decoder = CpuDecoder(context, interval_s)
    decoder.fallback = reason
    return decoder


def _open_nvdec(context: VideoCodecContext, interval_s: float, way: NvdecWay) -> CpuDecoder:
    from actors.ingest.nvcuvid.decoder import NvcuvidDecoder, tell
    from actors.ingest.nvdec import NvdecDecoder

    if way == "nvcuvid":
        try:
            return NvcuvidDecoder(context, interval_s)
        except (DeviceError, ValueError) as error:
            tell(f"cannot be read otherwise ({error})")
    return NvdecDecoder(context, interval_s)


def tell_fallback(reason: str) -> None:
    """Warn that streams are decoded on the CPU instead; once a process and reason."""
    with _telling:
        is_new = reason not in _told
        _told.add(reason)
    if is_new:
        log.warning("decoding on the CPU: %s", reason)
