from __future__ import annotations

import itertools
from itertools import pairwise
from pathlib import Path

import av
import pytest

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.picture import PictureLayout
from actors.ingest.source import Source, open_source
from actors.messages import DegradeStep
from cluster.demo.rtsp.pattern import write_pattern
from engines.frames import FramePool, Picture

VIDEOS = Path(__file__).parents[2].parent / "shared" / "data" / "videos"
TINY = {"width": 128, "height": 96, "seconds": 2.0, "gop_size": 10}


def opened(path: Path) -> tuple[Source, CpuDecoder]:
    source = open_source(path.as_uri())
    return source, CpuDecoder(source.codec_context, 1 / (source.properties.fps or 25))


def decoded(path: Path, skip: range = range(0)) -> tuple[list[Decoded], CpuDecoder]:
    source, decoder = opened(path)
    packets = [packet for index, packet in enumerate(source.packets()) if index not in skip]
    return [picture for packet in packets for picture in decoder.decode(packet)], decoder


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def clip(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("decoder") / f"{request.param}.mp4"
    write_pattern(path, codec=request.param, num_b_frames=2, **TINY)
    return path


def test_every_picture_comes_out_once_and_in_order(clip):
    pictures, decoder = decoded(clip)
    assert [picture.pts_s for picture in pictures] == pytest.approx([i / 25 for i in range(50)])
    assert not any(picture.is_corrupt for picture in pictures)
    assert decoder.num_errors == 0


def test_nothing_comes_out_before_the_first_key_frame(clip):
    pictures, _ = decoded(clip, skip=range(3))
    assert pictures[0].pts_s == pytest.approx(0.4, abs=0.1)
    assert pictures[0].frame.key_frame


def test_a_decoder_without_its_own_care_waits_for_a_key_frame_too(tmp_path):
    write_pattern(tmp_path / "mpeg4.avi", codec="mpeg4", **TINY)
    pictures, _ = decoded(tmp_path / "mpeg4.avi", skip=range(3))
    assert pictures[0].frame.key_frame


def test_a_stream_that_never_has_a_key_frame_is_decoded_after_a_while(clip):
    source, decoder = opened(clip)
    packets = [packet for packet in source.packets() if packet.size]
    for packet in packets * 7:
        packet.is_keyframe = False
        decoder.decode(packet)
    assert any(decoder.decode(packet) for packet in packets)


def test_broken_packets_are_counted_and_the_next_key_frame_heals(clip):
    source, decoder = opened(clip)
    packets = list(source.packets())
    for packet in packets[:21]:
        decoder.decode(packet)
    for packet in packets[21:24]:
        assert decoder.decode(av.Packet(bytes(packet)[: packet.size // 2])) == []
    healed = [picture for packet in packets[30:] for picture in decoder.decode(packet)]
    assert decoder.num_errors == 3
    assert len([picture for picture in healed if not picture.is_corrupt]) >= 20


def test_a_file_played_again_goes_on_in_time(clip):
    source, decoder = opened(clip)
    times = []
    for _ in range(3):
        for packet in source.packets():
            times += [picture.pts_s for picture in decoder.decode(packet)]
        source.rewind()
        decoder.restart()
    assert times == pytest.approx([i / 25 for i in range(150)])


def shown(
    path: Path, *phases: tuple[DegradeStep, int]
) -> tuple[list[list[Decoded]], list[Decoded]]:
    """The pictures of each phase of so many packets, and all those of the whole clip."""
    source, decoder = opened(path)
    packets = source.packets()
    pictures = [
        [
            picture
            for packet in itertools.islice(packets, num)
            for picture in decoder.decode(packet, step)
        ]
        for step, num in phases
    ]
    assert decoder.num_errors == 0
    return pictures, decoded(path)[0]


def is_as_it_was(picture: Decoded, whole: list[Decoded]) -> bool:
    same = next(each for each in whole if abs(each.pts_s - picture.pts_s) < 1e-6)
    return bool((picture.frame.to_ndarray() == same.frame.to_ndarray()).all())


def test_of_key_frames_only_each_comes_out_with_its_own_packet_and_its_own_time(clip):
    (pictures,), whole = shown(clip, (DegradeStep.KEY_FRAMES, 41))
    assert [picture.pts_s for picture in pictures] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert all(picture.frame.key_frame for picture in pictures)
    assert all(is_as_it_was(picture, whole) for picture in pictures)


@pytest.mark.parametrize("step", [DegradeStep.KEY_FRAMES, DegradeStep.PAUSED])
def test_after_a_cut_pictures_come_back_with_a_key_frame_and_undamaged(clip, step):
    phases = [(DegradeStep.NONE, 14), (step, 9), (DegradeStep.NONE, 28)]
    (before, meanwhile, after), whole = shown(clip, *phases)
    assert 10 <= len(before) <= 14
    assert [p.pts_s for p in meanwhile] == ([] if step is DegradeStep.PAUSED else [0.8])
    assert after[0].frame.key_frame
    assert [p.pts_s for p in after] == pytest.approx([i / 25 for i in range(30, 50)])
    assert not any(picture.is_corrupt for picture in after)
    assert all(is_as_it_was(picture, whole) for picture in after)


def test_a_stream_known_to_have_key_frames_waits_for_one_however_long_it_takes(clip):
    source, decoder = opened(clip)
    packets = [packet for packet in source.packets() if packet.size]
    for packet in packets[:15]:
        decoder.decode(packet)
    decoder.decode(packets[15], DegradeStep.PAUSED)
    assert not any(decoder.decode(packet) for packet in packets[16:20] * 100)
    assert any(decoder.decode(packet) for packet in packets[20:25])


def test_a_stream_without_key_frames_comes_back_from_a_pause_too(clip):
    source, decoder = opened(clip)
    packets = [packet for packet in source.packets() if packet.size]
    for packet in packets:
        packet.is_keyframe = False
        decoder.decode(packet, DegradeStep.PAUSED)
    for packet in packets * 7:
        decoder.decode(packet)
    assert any(decoder.decode(packet) for packet in packets)


def test_a_file_played_again_under_key_frames_only_goes_on_in_time(clip):
    source, decoder = opened(clip)
    times = []
    for _ in range(2):
        for packet in source.packets():
            times += [picture.pts_s for picture in decoder.decode(packet, DegradeStep.KEY_FRAMES)]
        source.rewind()
        decoder.restart()
    assert times[:5] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert len(times) == 10
    assert times == sorted(times)


ODD_CLIPS = {
    "pets09_s2l1_vtest.avi": 795,
    "nv_Retail02_short.mp4": None,
    "highway_bgs_video02.avi": 748,
    "retail_shelf.mp4": 200,
    "vpl_cars_320x240.h264": 30,
    "vpl_cars_320x240.h265": 30,
    "vpl_cars_320x240.mjpeg": 30,
    "vpf_test_res_change.h264": 96,
    "udacity_solidWhiteRight.mp4": 221,
    "nasa_13013.mp4": None,
}


@pytest.mark.data
@pytest.mark.parametrize("name", ODD_CLIPS)
def test_odd_clips_decode_into_slots(name):
    if not (VIDEOS / name).exists():
        pytest.skip(f"{VIDEOS / name} is absent")
    source, decoder = opened(VIDEOS / name)
    pool, layout = FramePool.create(1, Picture(640, 360).size_bytes), PictureLayout()
    sizes, num = set(), 0
    for packet in itertools.islice(source.packets(), 1000 if ODD_CLIPS[name] else 120):
        for picture in decoder.decode(packet):
            num += 1
            sizes.add((picture.frame.width, picture.frame.height))
            fitted = layout.picture(picture.frame, pool.layout.slot_bytes)
            if num % 50 == 1 or len(sizes) == 2:
                pool.write(0, fitted, layout.planes(picture.frame, fitted))
    pool.unlink()
    assert decoder.num_errors == 0
    assert num == ODD_CLIPS[name] or (ODD_CLIPS[name] is None and num > 100)
    assert len(sizes) == (2 if "res_change" in name else 1)


@pytest.mark.data
def test_the_times_of_packed_b_frames_do_not_stand_still():
    if not (VIDEOS / "highway_bgs_video02.avi").exists():
        pytest.skip("the clip is absent")
    pictures, _ = decoded(VIDEOS / "highway_bgs_video02.avi")
    times = [picture.pts_s for picture in pictures]
    assert times[-1] == pytest.approx(29.9, abs=0.3)
    assert max(b - a for a, b in pairwise(times)) < 0.2
