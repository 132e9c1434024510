"""Which decoder a stream gets: that of the GPU where it is wanted and works, or the CPU's."""

from __future__ import annotations

import logging
import threading

from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from actors.ingest.config import DecoderName
from actors.ingest.decoder import CpuDecoder
from engines.errors import DeviceError

log = logging.getLogger(__name__)

_told: set[str] = set()
_telling = threading.Lock()


def open_decoder(wanted: DecoderName, context: VideoCodecContext, interval_s: float) -> CpuDecoder:
    """A decoder for a stream. Falling back to the CPU is logged, and said by ``fallback``.

    Args:
        wanted: What should decode.
        context: Set up for the stream, not yet opened.
        interval_s: Nominal time between pictures, for those without a time of their own.
    """
    if wanted == "cpu":
        return CpuDecoder(context, interval_s)
    from actors.ingest.nvdec import NvdecDecoder, nvdec_fault, unsupported

    reason = unsupported(context) or nvdec_fault()
    if not reason:
        try:
            return NvdecDecoder(context, interval_s)
        except (DeviceError, FFmpegError) as error:
            reason = f"NVDEC takes no further stream: {error}"
    tell_fallback(reason)
    decoder = CpuDecoder(context, interval_s)
    decoder.fallback = reason
    return decoder


def tell_fallback(reason: str) -> None:
    """Warn that streams are decoded on the CPU instead; once a process and reason."""
    with _telling:
        is_new = reason not in _told
        _told.add(reason)
    if is_new:
        log.warning("decoding on the CPU: %s", reason)
