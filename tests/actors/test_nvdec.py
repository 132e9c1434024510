from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from actors.ingest import nvdec
from actors.ingest.config import IngestConfig
from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.decoding import open_decoder, tell_fallback
from actors.ingest.picture import PictureLayout
from actors.ingest.source import open_source
from actors.messages import DegradeStep
from cluster.demo.rtsp.pattern import write_pattern
from engines.cuda.pool import DevicePlane, DevicePool
from engines.cuda.stand_in import HostMemory
from engines.frames import Chroma, FramePool, Picture

TINY = {"width": 128, "height": 96, "seconds": 1.0, "gop_size": 10}


CLIPS = [("libx264", 0, "mp4"), ("libx264", 2, "mp4"), ("libx265", 2, "mp4"), ("libx265", 0, "ts")]


@pytest.fixture(scope="module", params=CLIPS, ids=lambda param: "-".join(map(str, param)))
def clip(request, tmp_path_factory) -> Path:
    codec, num_b_frames, suffix = request.param
    path = tmp_path_factory.mktemp("nvdec") / f"{codec}.{suffix}"
    return written(path, codec, num_b_frames)


def written(path: Path, codec: str, num_b_frames: int) -> Path:
    size = {**TINY, "width": 256, "height": 192}
    write_pattern(path, codec=codec, num_b_frames=num_b_frames, **size)
    return path


@dataclass
class Surface:
    """An NV12 picture of the host that looks as one of NVDEC does."""

    frame: Any

    def __post_init__(self) -> None:
        self.format = SimpleNamespace(name="cuda")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.frame, name)


def gray_ramp(width: int, height: int) -> av.VideoFrame:
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(ramp, format="gray").reformat(format="nv12")


def test_the_picture_of_the_probe_is_one_that_decodes():
    context = av.CodecContext.create("h264", "r")
    pictures = [*context.decode(av.Packet(nvdec._PICTURE)), *context.decode(None)]
    assert [(p.width, p.height, p.format.name) for p in pictures] == [(256, 256, "yuv420p")]


def test_a_decoder_on_the_cpu_is_what_is_given_where_that_is_wanted(clip):
    decoder = open_decoder("cpu", open_source(clip.as_uri()).codec_context, 0.04)
    assert (type(decoder), decoder.name, decoder.fallback) == (CpuDecoder, "cpu", "")


@pytest.mark.skipif(not nvdec.nvdec_fault(), reason="NVDEC works here")
def test_without_nvdec_the_cpu_decodes_and_the_reason_is_warned_of_once(clip, caplog):
    source = open_source(clip.as_uri())
    tell_fallback(nvdec.nvdec_fault())
    caplog.clear()
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    assert decoder.name == "cpu"
    assert decoder.fallback == nvdec.nvdec_fault()
    assert not caplog.records
    pictures = [picture for packet in source.packets() for picture in decoder.decode(packet)]
    assert len(pictures) == 25


def test_a_fallback_is_warned_of_once_for_each_reason(caplog):
    for reason in ("one", "one", "two"):
        tell_fallback(reason)
    assert [r.getMessage() for r in caplog.records] == [
        "decoding on the CPU: one",
        "decoding on the CPU: two",
    ]


@pytest.mark.parametrize(("codec", "pix_fmt"), [("mpeg4", "yuv420p"), ("libx264", "yuv422p")])
def test_streams_that_nvdec_does_not_take_are_named(codec, pix_fmt, tmp_path):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
        frame = av.VideoFrame(64, 64, pix_fmt)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reason = nvdec.unsupported(open_source(path.as_uri()).codec_context)
    assert (codec if codec == "mpeg4" else pix_fmt) in reason


def test_eight_bit_h264_and_h265_are_asked_of_nvdec(clip):
    assert nvdec.unsupported(open_source(clip.as_uri()).codec_context) == ""


def test_a_surface_of_nvdec_goes_into_a_slot_of_its_gpu_as_it_lies():
    frame, pool = gray_ramp(96, 64), DevicePool.create(2, 96 * 64 * 3 // 2, memory=HostMemory)
    try:
        layout = PictureLayout()
        picture = layout.picture(Surface(frame), pool.layout.slot_bytes, is_device_slot=True)
        assert (picture.chroma, picture.width, picture.height) == (Chroma.INTERLEAVED, 96, 64)
        planes = layout.planes(Surface(frame), picture)
        assert all(isinstance(plane, DevicePlane) for plane in planes)
        assert all(plane.owner.frame is frame for plane in planes)
        pool.write(1, picture, planes)
        shown = FramePool.attach(
            type(pool.layout)(pool.layout.ipc.decode(), 2, pool.layout.slot_bytes)
        ).read(1, picture)
        expected = frame.to_ndarray()
        np.testing.assert_array_equal(shown.planes[0], expected[:64])
        np.testing.assert_array_equal(shown.planes[1], expected[64:, ::2])
        np.testing.assert_array_equal(shown.planes[2], expected[64:, 1::2])
    finally:
        pool.unlink()


def test_a_picture_of_the_cpu_stays_planar_in_a_slot_of_a_gpu():
    frame = gray_ramp(96, 64).reformat(format="yuv420p")
    picture = PictureLayout().picture(frame, 1 << 20, is_device_slot=True)
    assert picture == Picture(96, 64, picture.matrix)


@pytest.mark.parametrize(("max_bytes", "is_device_slot"), [(1 << 20, False), (4096, True)])
def test_a_surface_for_the_host_or_too_large_for_its_slot_is_converted(max_bytes, is_device_slot):
    picture = PictureLayout().picture(
        Surface(gray_ramp(96, 64)), max_bytes, is_device_slot=is_device_slot
    )
    assert picture.chroma is Chroma.PLANAR
    assert picture.size_bytes <= max_bytes


def test_cameras_are_decoded_on_the_cpu_unless_told_otherwise():
    assert IngestConfig().decoder == "cpu"


needs_nvdec = pytest.mark.skipif(bool(nvdec.nvdec_fault()), reason=nvdec.nvdec_fault() or "-")


def on_host(url: str) -> list[Decoded]:
    """A film's pictures by the decoder of the CPU."""
    source = open_source(url)
    decoder = CpuDecoder(source.codec_context, 0.04)
    return [picture for packet in source.packets() for picture in decoder.decode(packet)]


@pytest.mark.gpu
@needs_nvdec
def test_nvdec_gives_the_pictures_of_the_cpu(clip):
    source = open_source(clip.as_uri())
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    found = [
        (picture.pts_s, picture.frame.format.name, picture.frame.to_ndarray(format="yuv420p"))
        for packet in source.packets()
        for picture in decoder.decode(packet)
    ]
    expected = on_host(clip.as_uri())
    assert (decoder.name, decoder.fallback) == ("nvdec", "")
    assert {name for _, name, _ in found} == {"cuda"}
    assert [pts_s for pts_s, _, _ in found] == pytest.approx([p.pts_s for p in expected])
    for (_, _, ours), theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.frame.to_ndarray())


@pytest.mark.gpu
@needs_nvdec
@pytest.mark.parametrize("period", [1, 3, 100])
def test_nvdec_gives_the_same_pictures_whichever_are_collected(tmp_path, period):
    url = written(tmp_path / "clip.ts", "libx264", 0).as_uri()
    source = open_source(url)
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    found = []  # copies: a decoder has only a few surfaces to give out
    for number, packet in enumerate(source.packets()):
        pictures = decoder.begin(packet)
        pictures += decoder.collect() if number % period == 0 else []
        found += [(p.pts_s, p.frame.to_ndarray(format="yuv420p")) for p in pictures]
    expected = on_host(url)
    assert [pts_s for pts_s, _ in found] == pytest.approx([p.pts_s for p in expected])
    for (_, ours), theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.frame.to_ndarray())


@pytest.mark.gpu
@needs_nvdec
def test_nvdec_gives_each_picture_of_h265_with_the_next_packet(tmp_path):
    source = open_source(written(tmp_path / "clip.ts", "libx265", 0).as_uri())
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    assert decoder.is_deferred
    found = []
    for packet in source.packets():
        found.append([p.frame.format.name for p in decoder.begin(packet)])
        assert decoder.collect() == []
    assert found == [[]] + [["cuda"]] * 25
    assert decoder.is_deferred


@pytest.mark.gpu
@needs_nvdec
def test_nvdec_follows_the_steps_of_the_ladder(clip):
    source = open_source(clip.as_uri())
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    packets = list(source.packets())
    keys = [p for p in packets for _ in decoder.decode(p, DegradeStep.KEY_FRAMES)]
    assert [packet.is_keyframe for packet in keys] == [True] * 3
    assert not [p for p in packets for _ in decoder.decode(p, DegradeStep.PAUSED)]
    resumed = [p.frame.key_frame for packet in packets[5:] for p in decoder.decode(packet)]
    assert resumed[0]


@pytest.mark.gpu
@needs_nvdec
def test_a_picture_of_nvdec_arrives_whole_in_its_slot(clip):
    source = open_source(clip.as_uri())
    decoder = open_decoder("nvdec", source.codec_context, 0.04)
    first = next(p for packet in source.packets() for p in decoder.decode(packet)).frame
    layout, pool = PictureLayout(), DevicePool.create(2, 1 << 20)
    try:
        picture = layout.picture(first, 1 << 20, is_device_slot=True)
        pool.write(1, picture, layout.planes(first, picture))
        shown = downloaded(pool.read(1, picture).address, picture.size_bytes)
        np.testing.assert_array_equal(shown, first.to_ndarray(format="nv12").reshape(-1))
    finally:
        pool.unlink()


def downloaded(address: int, size_bytes: int) -> np.ndarray:
    from engines.cuda.context import open_device

    found = np.empty(size_bytes, np.uint8)
    with open_device() as context:
        context.cuda.memcpy_dtoh(found, address)
    return found
