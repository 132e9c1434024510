"""NVDEC by NVIDIA's own library, with a stand-in for the library where there is no GPU."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from actors.ingest.decoder import CpuDecoder
from actors.ingest.decoding import open_decoder
from actors.ingest.nvcuvid import decoder as decoder_module
from actors.ingest.nvcuvid import structs, waiting
from actors.ingest.nvcuvid.bitstream import framing
from actors.ingest.nvcuvid.decoder import NvcuvidDecoder
from actors.ingest.nvcuvid.stream import VideoStream
from actors.ingest.nvcuvid.surface import Colors, Surface
from actors.ingest.nvcuvid.waiting import Patience, Waiting
from actors.ingest.nvdec import NvdecDecoder, nvdec_fault
from actors.ingest.picture import PictureLayout
from actors.ingest.source import open_source
from actors.messages import DegradeStep
from cluster.demo.rtsp.pattern import write_pattern
from engines.cuda.pool import DevicePool
from engines.cuda.stand_in import HostMemory
from engines.errors import DeviceError
from engines.frames import FramePool, Picture, PoolLayout
from tests.actors.nvcuvid_stand_in import Anywhere, StandIn

SIZES = {
    "Rect": (8, {"bottom": 6}),
    "VideoFormat": (
        64,
        {
            "is_progressive": 12,
            "min_num_surfaces": 15,
            "coded_width": 16,
            "left": 24,
            "chroma_format": 40,
            "signal_flags": 56,
            "matrix": 59,
            "header_bytes": 60,
        },
    ),
    "SourcePacket": (32, {"payload": 16, "timestamp": 24}),
    "DisplayInfo": (24, {"timestamp": 16}),
    "PictureParams": (
        288,
        {"picture_index": 8, "payload": 32, "is_intra": 60, "h264": 184, "h264_order": 280},
    ),
    "ParserParams": (
        136,
        {"max_display_delay": 16, "user": 40, "on_sequence": 48, "on_display": 64, "header": 128},
    ),
    "DecodeCaps": (
        88,
        {
            "is_supported": 24,
            "max_width": 28,
            "max_num_macroblocks": 36,
            "min_width": 40,
            "min_height": 42,
        },
    ),
    "CreateInfo": (
        176,
        {
            "codec": 24,
            "bit_depth_minus8": 40,
            "max_width": 56,
            "display_area": 80,
            "output_format": 88,
            "target_width": 96,
            "num_output_surfaces": 112,
            "lock": 120,
            "target_rect": 128,
        },
    ),
    "ReconfigureInfo": (128, {"num_surfaces": 16, "display_area": 68, "target_rect": 76}),
    "ProcessingParams": (264, {"is_unpaired": 12, "stream": 56}),
    "DecodeStatus": (192, {"status": 0}),
    "Copy2D": (
        128,
        {
            "source_kind": 16,
            "source_device": 32,
            "source_pitch": 48,
            "target_kind": 72,
            "target_device": 88,
            "target_pitch": 104,
            "row_bytes": 112,
            "num_rows": 120,
        },
    ),
}
"""What gcc says of NVIDIA's headers on x86-64: ``sizeof``, and ``offsetof`` by our names."""


@pytest.fixture
def gpu(monkeypatch) -> StandIn:
    stand_in = StandIn()
    library = stand_in.library()
    monkeypatch.setattr("actors.ingest.nvcuvid.stream.load_library", lambda: library)
    monkeypatch.setattr("actors.ingest.nvcuvid.stream.CurrentContext", lambda _: Anywhere())
    return stand_in


@pytest.fixture(scope="module", params=["libx264-mp4", "libx264-ts", "libx265-mp4", "libx265-ts"])
def clip(request, tmp_path_factory) -> Path:
    return a_clip(tmp_path_factory.mktemp("nvcuvid"), *request.param.split("-"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return a_clip(tmp_path_factory.mktemp("plain"), "libx264", "mp4", num_b_frames=0)


def a_clip(folder: Path, codec: str, suffix: str, **changes: Any) -> Path:
    path = folder / f"{codec}.{suffix}"
    settings = {"width": 256, "height": 194, "seconds": 1.0, "gop_size": 10, "num_b_frames": 2}
    write_pattern(path, codec=codec, **{**settings, **changes})
    return path


def in_slots(path: Path, kind: type[CpuDecoder], memory: Any = HostMemory) -> list[Any]:
    """Layout, time and pixels of all pictures of a film, by way of a slot."""
    source, layout = open_source(path.as_uri()), PictureLayout()
    decoder, found = kind(source.codec_context, 0.04), []
    pool = DevicePool.create(1, 1 << 20, memory=memory)
    try:
        for packet in source.packets():
            for decoded in decoder.decode(packet):
                picture = layout.fill(pool, 0, decoded.frame)
                found.append((picture, decoded.pts_s, content(pool, picture)))
    finally:
        pool.unlink()
        source.close()
    return found


def content(pool: DevicePool, picture: Picture) -> list[np.ndarray]:
    if not pool.layout.ipc.startswith(b"/"):
        return [downloaded(pool.read(0, picture).address, picture.size_bytes)]
    shown = PoolLayout(pool.layout.ipc.decode(), 1, pool.layout.slot_bytes)
    return [plane.copy() for plane in FramePool.attach(shown).read(0, picture).planes]


def on_the_cpu(path: Path) -> list[Any]:
    source = open_source(path.as_uri())
    decoder = CpuDecoder(source.codec_context, 0.04)
    return [each for packet in source.packets() for each in decoder.decode(packet)]


@pytest.mark.parametrize("name", SIZES)
def test_structures_lie_as_the_compiler_lays_them(name):
    kind = getattr(structs, name)
    size_bytes, offsets = SIZES[name]
    assert ctypes.sizeof(kind) == size_bytes
    assert {field: getattr(kind, field).offset for field in offsets} == offsets


def test_full_range_is_the_fourth_bit_of_a_signal_description():
    assert Colors.of(8 | 5, 1) == Colors(1, 2)
    assert Colors.of(7, 6) == Colors(6, 1)


def test_pictures_come_as_the_cpu_decodes_them_in_order_and_time(gpu, clip):
    expected = on_the_cpu(clip)
    found = in_slots(clip, NvcuvidDecoder)
    assert [pts_s for _, pts_s, _ in found] == pytest.approx([each.pts_s for each in expected])
    for (picture, _, planes), each in zip(found, expected, strict=True):
        assert (picture.width, picture.height) == (256, 194)
        theirs = each.frame.to_ndarray()[:194]
        np.testing.assert_array_equal(planes[0], theirs)


@pytest.mark.parametrize("decode", ["poll", "driver"])
@pytest.mark.parametrize("copy", ["poll", "stream", "event"])
def test_every_way_to_wait_gives_the_pictures(gpu, plain, decode, copy, monkeypatch):
    monkeypatch.setattr(decoder_module, "WAITING", Waiting(decode, copy))
    gpu.statuses = [structs.STATUS_IN_PROGRESS] * 3
    assert len(in_slots(plain, NvcuvidDecoder)) == 25
    assert ("get_status" in gpu.calls) == (decode == "poll")
    assert ("query_stream" in gpu.calls) == (copy == "poll")
    assert ("wait_stream" in gpu.calls) == (copy == "stream")
    assert ("wait_event" in gpu.calls) == (copy == "event")


def test_one_copy_moves_luma_and_chroma(gpu, plain):
    in_slots(plain, NvcuvidDecoder)
    assert gpu.calls.count("copy") == gpu.calls.count("map_frame") == 25
    assert gpu.calls.count("unmap_frame") == 25


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_change_of_size_goes_on_with_new_pictures(gpu, codec, tmp_path):
    film = tmp_path / f"film.{codec}"
    sizes = [(256, 192), (128, 96), (320, 240), (256, 192)]
    encoder = "libx264" if codec == "h264" else "libx265"
    with film.open("wb") as file:
        for index, (width, height) in enumerate(sizes):
            part = tmp_path / f"{index}.{codec}"
            write_pattern(part, codec=encoder, width=width, height=height, fps=10, seconds=1.0)
            file.write(part.read_bytes())
    shown = [(p.width, p.height) for p, _, _ in in_slots(film, NvcuvidDecoder)]
    assert shown == [size for size in sizes for _ in range(10)]
    assert gpu.calls.count("create_decoder") == 2  # the second size fits into the first decoder
    assert gpu.calls.count("reconfigure_decoder") == 2


def test_what_a_decoder_took_is_given_back_with_it(gpu, plain):
    source = open_source(plain.as_uri())
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    for packet in source.packets():
        decoder.decode(packet)
    assert gpu.num_open == 4
    del decoder
    gc.collect()
    assert gpu.num_open == 0


def test_a_picture_that_was_not_copied_in_time_is_refused(gpu, plain):
    source = open_source(plain.as_uri())
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    shown = [each for packet in source.packets() for each in decoder.decode(packet)]
    late: Any = shown[0].frame
    assert isinstance(late, Surface)
    with pytest.raises(DeviceError, match="gone"):
        late.copy_to(0)


def test_a_picture_for_the_host_is_fetched_and_converted(gpu, plain):
    source, layout = open_source(plain.as_uri()), PictureLayout()
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    first = next(each for packet in source.packets() for each in decoder.decode(packet))
    pool = FramePool.create(1, 1 << 20)
    try:
        picture = layout.fill(pool, 0, first.frame)
        shown = pool.read(0, picture).planes[0].copy()
    finally:
        pool.close()
        pool.unlink()
    np.testing.assert_array_equal(shown, on_the_cpu(plain)[0].frame.to_ndarray()[:194])


def test_key_frames_alone_come_out_at_once_and_playing_goes_on_with_the_next(gpu, clip):
    source = open_source(clip.as_uri())
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    packets = list(source.packets())
    keys = [p for p in packets for _ in decoder.decode(p, DegradeStep.KEY_FRAMES)]
    assert [packet.is_keyframe for packet in keys] == [True] * len(keys)
    assert len(keys) == sum(packet.is_keyframe for packet in packets)
    assert not [p for p in packets for _ in decoder.decode(p, DegradeStep.PAUSED)]
    assert len([p for packet in packets[5:] for p in decoder.decode(packet)]) > 10


def test_a_film_that_begins_again_gives_all_pictures_again_and_times_go_on(gpu, plain):
    source = open_source(plain.as_uri())
    decoder, times_s = NvcuvidDecoder(source.codec_context, 0.04), []
    for _ in range(2):
        times_s += [each.pts_s for packet in source.packets() for each in decoder.decode(packet)]
        source.rewind()
        decoder.restart()
    assert len(times_s) == 50
    assert times_s == sorted(times_s)


def test_a_damaged_packet_counts_as_refused_and_those_after_it_come(gpu, plain):
    source = open_source(plain.as_uri())
    decoder, num = NvcuvidDecoder(source.codec_context, 0.04), 0
    for index, packet in enumerate(source.packets()):
        if index == 12:
            damaged = av.Packet(bytes(100))
            damaged.time_base = packet.time_base
            num += len(decoder.decode(damaged))
        else:
            num += len(decoder.decode(packet))
    assert decoder.num_errors >= 1
    assert 20 < num < 25


def test_a_decoder_that_refuses_everything_says_so(gpu, plain):
    gpu.fails["decode"] = 1
    source = open_source(plain.as_uri())
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    packets = [packet for packet in source.packets() if packet.size] * 10
    for packet in packets[:99]:
        decoder.decode(packet)
    with pytest.raises(DeviceError, match="100 packets"):
        decoder.decode(packets[99])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_progressive": 0}, "interlaced"),
        ({"bit_depth_minus8": 2}, "8 bits"),
        ({"max_size": (128, 128)}, "256x208"),
    ],
)
def test_what_is_not_known_for_certain_ffmpeg_decodes_and_it_is_said(
    gpu, plain, changes, reason, monkeypatch, caplog
):
    for name, value in changes.items():
        setattr(gpu, name, value)
    monkeypatch.setattr(decoder_module, "NvdecDecoder", Ffmpeg)
    decoder_module._told.clear()
    source = open_source(plain.as_uri())
    decoder = NvcuvidDecoder(source.codec_context, 0.04)
    pictures = [each for packet in source.packets() for each in decoder.decode(packet)]
    assert len(pictures) == 25
    assert gpu.num_open == 0
    assert [reason in record.getMessage() for record in caplog.records] == [True]


def test_the_settings_say_what_drives_nvdec(gpu, plain, monkeypatch):
    monkeypatch.setattr("actors.ingest.nvdec.nvdec_fault", str)
    monkeypatch.setattr("actors.ingest.nvdec.NvdecDecoder", Ffmpeg)
    context = open_source(plain.as_uri()).codec_context
    assert type(open_decoder("nvdec", context, 0.04, nvdec="nvcuvid")) is NvcuvidDecoder
    assert type(open_decoder("nvdec", context, 0.04, nvdec="ffmpeg")) is Ffmpeg


def test_where_the_library_refuses_ffmpeg_decodes_on_the_gpu_and_nothing_is_left(
    gpu, plain, monkeypatch, caplog
):
    monkeypatch.setattr("actors.ingest.nvdec.nvdec_fault", str)
    monkeypatch.setattr("actors.ingest.nvdec.NvdecDecoder", Ffmpeg)
    gpu.fails["create_parser"] = 100
    decoder_module._told.clear()
    context = open_source(plain.as_uri()).codec_context
    assert type(open_decoder("nvdec", context, 0.04, nvdec="nvcuvid")) is Ffmpeg
    assert "opening a parser failed with CUDA error 100" in caplog.text
    assert gpu.num_open == 0


class Ffmpeg(NvdecDecoder):
    """FFmpeg's decoder of the CPU in the place of that of the GPU."""

    def __init__(self, context: Any, interval_s: float) -> None:
        own: Any = av.CodecContext.create(context.name, "r")
        own.extradata = context.extradata
        CpuDecoder.__init__(self, own, interval_s)
        self.name = "nvdec"
        self._is_open, self._num_refused = True, 0

    def _decoded(self, frame: Any) -> Any:
        return CpuDecoder._decoded(self, frame)


def video(codec: str = "h264", *, is_in_order: bool) -> VideoStream:
    return VideoStream(codec, is_in_order=is_in_order, waiting=Waiting())


def fed(stream: VideoStream, script: list[Any], gpu: StandIn) -> list[list[int]]:
    gpu.script = script
    return [[each.number for each in stream.feed(1, 1, n)] for n in range(1, len(script) + 1)]


def coded(index: int, order: int, *shown: int, is_intra: bool = False) -> list[Any]:
    return [("decode", (index, order, is_intra)), *(("display", each) for each in shown)]


BEGIN = ("sequence", (64, 64))


def test_pictures_in_order_are_shown_at_once_though_the_parser_holds_them_back(gpu):
    late = [
        [BEGIN, *coded(0, 0, is_intra=True)],
        coded(1, 2),
        coded(2, 4, 0),
        coded(3, 0, 1, is_intra=True),
        coded(4, 2, 2),
    ]
    stream = video(is_in_order=True)
    assert fed(stream, late, gpu) == [[1], [2], [3], [4], [5]]
    stream.close()


def test_a_picture_out_of_order_is_where_the_parsers_order_begins(gpu):
    reordered = [
        [BEGIN, *coded(0, 0, is_intra=True)],
        coded(1, 6, 0),
        coded(2, 2, 2),
        coded(3, 4, 3, 1),
        coded(4, 12),
        coded(5, 8, 5),
    ]
    stream = video(is_in_order=True)
    assert fed(stream, reordered, gpu) == [[1], [2], [3], [4], [], [6]]
    stream.close()


def test_h265_and_streams_that_say_that_they_reorder_come_in_the_parsers_order(gpu):
    for codec, is_in_order in (("hevc", True), ("h264", False)):
        stream = video(codec, is_in_order=is_in_order)
        script = [[BEGIN, *coded(0, 0, is_intra=True)], coded(1, 6, 0), coded(2, 2, 2, 1)]
        assert fed(stream, script, gpu) == [[], [1], [3, 2]]
        stream.close()


@pytest.mark.parametrize("after", [coded(0, 2), [("sequence", (128, 96)), *coded(0, 0)]])
def test_a_picture_whose_place_is_taken_in_the_same_packet_is_kept_aside(gpu, after):
    stream = video("hevc", is_in_order=True)
    fed(stream, [[BEGIN, *coded(0, 0, is_intra=True)]], gpu)
    gpu.script = [[("display", 0), *after]]
    (first,) = stream.feed(1, 1, 7)
    pixels = np.zeros(64 * 96, np.uint8)
    first.copy_to(pixels.ctypes.data)
    assert (first.width, first.height, set(pixels)) == (64, 64, {1})
    stream.close()
    assert gpu.num_open == 0


def test_lengths_become_start_codes_and_parameter_sets_go_in_front():
    record = bytes([1, 66, 0, 30, 0xFF, 0xE1, 0, 2, 0x67, 7, 1, 0, 1, 0x68])
    found = framing("h264", record)
    assert found.head == b"\0\0\0\1\x67\7\0\0\0\1\x68"
    assert found.plain(b"\0\0\0\2ab\0\0\0\1c") == b"\0\0\0\1ab\0\0\0\1c"


@pytest.mark.parametrize("extradata", [None, b"", b"\0\0\1\x67", b"\0\0\0\1\x67"])
def test_pictures_with_start_codes_stay_as_they_are(extradata):
    found = framing("h264", extradata)
    assert (found.head, found.plain(b"\0\0\1abc")) == (extradata or b"", b"\0\0\1abc")


def test_parameter_sets_that_end_early_and_lengths_that_lead_astray_are_refused():
    with pytest.raises(ValueError, match="end early"):
        framing("h264", b"\1\2\3")
    with pytest.raises(ValueError, match="NAL unit of 9 bytes"):
        framing("h264", bytes([1, 66, 0, 30, 0xFF, 0xE0, 0])).plain(b"\0\0\0\11ab")


def test_patience_sleeps_once_where_the_usual_time_suffices(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    patience = Patience("decoding", Waiting(step_s=0.0005))
    for _ in range(50):
        done_at = clock.now + 0.003
        patience.wait(clock.now, lambda at=done_at: clock.now >= at)
    clock.num_sleeps = 0
    began = clock.now
    for _ in range(100):
        done_at = clock.now + 0.003
        patience.wait(clock.now, lambda at=done_at: clock.now >= at)
    assert clock.num_sleeps < 130
    assert clock.now - began < 100 * 0.0036


def test_patience_ends(monkeypatch):
    monkeypatch.setattr(waiting, "time", Clock())
    with pytest.raises(DeviceError, match="has taken 10 s"):
        Patience("decoding a picture", Waiting(step_s=0.1)).wait(0.0, lambda: False)


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now, self.num_sleeps = 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.num_sleeps += 1


needs_nvdec = pytest.mark.skipif(bool(nvdec_fault()), reason=nvdec_fault() or "-")


@pytest.mark.gpu
@needs_nvdec
def test_both_ways_through_nvdec_give_the_same_bits(clip):
    from engines.cuda.memory import CudaMemory

    found = in_slots(clip, NvcuvidDecoder, CudaMemory)
    expected = in_slots(clip, NvdecDecoder, CudaMemory)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[:2] == (theirs[0], pytest.approx(theirs[1]))
        np.testing.assert_array_equal(ours[2][0], theirs[2][0])


def downloaded(address: int, size_bytes: int) -> np.ndarray:
    from engines.cuda.context import open_device

    found = np.empty(size_bytes, np.uint8)
    with open_device() as context:
        context.cuda.memcpy_dtoh(found, address)
    return found
