"""The world's films as a 1080p camera would send them: scaled up and coded at a steady rate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import av
from av.bitstream import BitStreamFilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cluster.demo.clips import cache_dir, demo_clips, demo_scenarios
from cluster.demo.rtsp.nal import CODECS

WIDTH, HEIGHT, FPS = 1920, 1080, 30
_MAX_FRAMES = 20 * FPS


def large_films(num: int, codec: str, bit_rate: int) -> list[Path]:
    """Films of 1080p30, a key frame each second, no B-frames; drawn where the cache has none.

    Args:
        num: How many different ones.
        codec: ``libx264`` or ``libx265``.
        bit_rate: Bits a second.
    """
    small = demo_clips(demo_scenarios(num, FPS), lambda _done, _all: None)
    jobs = [(path, _large_path(path, codec, bit_rate), codec, bit_rate) for path, _ in small]
    missing = [job for job in jobs if not job[1].exists()]
    if missing:
        with ProcessPoolExecutor(len(missing), mp_context=get_context("spawn")) as workers:
            list(workers.map(enlarge, *zip(*missing, strict=True)))
    return [job[1] for job in jobs]


def enlarge(small: Path, large: Path, codec: str, bit_rate: int) -> None:
    """Write a film at 1080p; the file appears when it is complete."""
    part = large.with_suffix(f".{os.getpid()}.part.mp4")
    try:
        with av.open(str(small)) as source, av.open(str(part), "w", format="mp4") as out:
            stream = out.add_stream(codec, rate=FPS, options=_options(codec))
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.bit_rate = bit_rate
            stream.codec_context.gop_size, stream.codec_context.max_b_frames = FPS, 0
            # Else a picture has as many slices as this machine has cores; a camera's has one.
            stream.codec_context.thread_type = "FRAME"
            for index, frame in enumerate(source.decode(video=0)):
                if index == _MAX_FRAMES:
                    break
                out.mux(stream.encode(_enlarged(frame, index)))
            out.mux(stream.encode(None))
        part.replace(large)
    finally:
        part.unlink(missing_ok=True)


def packets_of(film: Path) -> tuple[VideoCodecContext, Sequence[av.Packet[VideoStream]]]:
    """All coded pictures of a film as a camera sends them, with what is to decode them, unopened.

    Start codes are before their NAL units, and parameter sets among them.
    """
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        unpack = BitStreamFilterContext(CODECS[stream.codec_context.name].annexb_filter, stream)
        coded = (packet for packet in container.demux(stream) if packet.size)
        packets = [unpacked for packet in coded for unpacked in unpack.filter(packet)]
        context = av.CodecContext.create(stream.codec_context.name, "r")
    return cast(VideoCodecContext, context), packets


def _enlarged(frame: VideoFrame, index: int) -> VideoFrame:
    picture = frame.reformat(WIDTH, HEIGHT)
    picture.pts, picture.time_base, picture.pict_type = index, Fraction(1, FPS), 0
    return picture


def _large_path(small: Path, codec: str, bit_rate: int) -> Path:
    return cache_dir() / f"{small.stem}-{HEIGHT}p-one-slice-{codec[3:]}-{bit_rate}.mp4"


def _options(codec: str) -> dict[str, str]:
    if codec == "libx264":
        return {"preset": "superfast", "sc_threshold": "0", "bf": "0"}
    settings = f"keyint={FPS}:min-keyint={FPS}:scenecut=0:open-gop=0:bframes=0:log-level=error"
    return {"preset": "superfast", "x265-params": settings}
