"""Reading videos, cutting them into RTP payloads, and their times."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.demo.rtsp import Clip, playable_clip, transcode
from cluster.demo.rtsp.clip import AccessUnit
from cluster.demo.rtsp.errors import (
    InvalidCameraError,
    NoVideoStreamError,
    TranscodeError,
    UnreadableVideoError,
    UnsupportedCodecError,
    VideoError,
)
from cluster.demo.rtsp.nal import H264, H265, Codec, ParameterSets, split_annexb
from cluster.demo.rtsp.packetizer import payloads
from cluster.demo.rtsp.timeline import Timeline
from cluster.demo.rtsp.timestamps import Stamp, presentation_ticks
from tests.cluster.rtsp_builders import FRAME_TICKS, file_hashes, tiny_clip, write_tiny

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "videos"


def reassembled(parts: tuple[bytes, ...], codec: Codec) -> list[bytes]:
    """What a receiver makes of the payloads (RFC 6184, 5.8; RFC 7798, 4.4.3)."""
    nals: list[bytes] = []
    fragment_type = 28 if codec is H264 else 49
    for part in parts:
        if codec.nal_type(part) != fragment_type:
            nals.append(part)
            continue
        flags, body = part[codec.header_bytes], part[codec.header_bytes + 1 :]
        if flags & 0x80:
            kind = flags & (0x1F if codec is H264 else 0x3F)
            head = (
                bytes(((part[0] & 0xE0) | kind,))
                if codec is H264
                else bytes(((part[0] & 0x81) | kind << 1, part[1]))
            )
            nals.append(head)
        nals[-1] += body
    return nals


@given(
    codec=st.sampled_from([H264, H265]),
    bodies=st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=5),
    max_payload_bytes=st.integers(20, 400),
)
def test_fragments_are_put_together_to_the_same_units(
    codec: Codec, bodies: list[bytes], max_payload_bytes: int
) -> None:
    header = bytes((0x65,)) if codec is H264 else bytes((0x26, 0x01))
    nals = [header + body for body in bodies]
    parts = payloads(nals, codec, max_payload_bytes)
    assert reassembled(parts, codec) == nals
    assert max(map(len, parts)) <= max_payload_bytes


def test_a_byte_stream_splits_at_short_and_long_start_codes() -> None:
    stream = b"\0\0\0\1\x67abc\0\0\1\x68d\0\0\0\1\x65\0\0\3\1x\0\0"
    assert split_annexb(stream) == [b"\x67abc", b"\x68d", b"\x65\0\0\3\1x"]


def test_a_new_sequence_replaces_the_parameter_sets_before_it() -> None:
    sets = ParameterSets(H264)
    sets.update([b"\x68first", b"\x67first"])
    sets.update([b"\x68second"])
    assert sets.ordered() == [b"\x67first", b"\x68first", b"\x68second"]
    sets.update([b"\x67new", b"\x68new", b"\x65slice"])
    assert sets.ordered() == [b"\x67new", b"\x68new"]


def stamps(pts: list[int | None], dts: list[int | None] | None = None) -> list[Stamp]:
    return [Stamp(p, d, 0) for p, d in zip(pts, dts or pts, strict=True)]


def test_times_that_are_right_are_kept_and_begin_at_zero() -> None:
    given_times = stamps([5000, 12200, 8600, 15800], [1400, 5000, 8600, 12200])
    assert presentation_ticks(given_times, None, 3600) == [0, 7200, 3600, 10800]


def test_a_step_back_in_the_file_is_closed_with_one_frame() -> None:
    given_times = stamps([0, 3600, 7200, 0, 3600])
    assert presentation_ticks(given_times, None, 3600) == [0, 3600, 7200, 10800, 14400]


def test_a_pause_of_a_minute_is_closed_and_one_of_five_seconds_is_kept() -> None:
    long, short = 60 * 90_000, 5 * 90_000
    assert presentation_ticks(stamps([0, long]), None, 3600) == [0, 3600]
    assert presentation_ticks(stamps([0, short]), None, 3600) == [0, short]


def test_missing_times_follow_the_frame_rate_in_display_order() -> None:
    timeless = stamps([None, None, None])
    assert presentation_ticks(timeless, None, 3600) == [0, 3600, 7200]
    assert presentation_ticks(timeless, [0, 2, 1], 3600) == [0, 7200, 3600]


@given(st.lists(st.integers(0, 10**6) | st.none(), min_size=1, max_size=50))
def test_repaired_times_are_distinct_and_begin_at_zero(pts: list[int | None]) -> None:
    ticks = presentation_ticks(stamps(pts), None, 3600)
    assert min(ticks) == 0
    assert len(set(ticks)) == len(pts)


def made_up_clip(keys: str, frame_ticks: int = 10) -> Clip:
    units = tuple(
        AccessUnit(at * frame_ticks, at * frame_ticks, key == "K", (b"x",) * (at + 1))
        for at, key in enumerate(keys)
    )
    dues = tuple(unit.due for unit in units)
    return Clip(H264, 2, 2, units, dues, len(keys) * frame_ticks, ())


def test_a_timeline_repeats_without_a_gap() -> None:
    line = Timeline(made_up_clip("K--"), start=1000)
    assert [line.due(number) for number in range(7)] == [1000 + 10 * number for number in range(7)]
    assert line.num_packets(1, 5) == 2 + 3 + 1 + 2


@given(ticks=st.integers(-100, 10_000), start=st.integers(-1000, 1000))
def test_a_timeline_finds_the_first_picture_due_at_a_time(ticks: int, start: int) -> None:
    line = Timeline(made_up_clip("K--K-"), start)
    number = line.first_due(ticks)
    assert line.due(number) >= ticks
    assert number == 0 or line.due(number - 1) < ticks


def test_a_timeline_finds_the_next_keyframe_over_the_loop() -> None:
    line = Timeline(made_up_clip("K--K-"))
    assert [line.keyframe(number) for number in (0, 1, 4, 6)] == [0, 3, 5, 8]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "h264"])
def test_a_clip_opens_from_each_container_with_the_same_pictures(
    tmp_path: Path, suffix: str
) -> None:
    clip = tiny_clip(tmp_path, f"a.{suffix}")
    assert (clip.codec, clip.width, clip.height, len(clip.units)) == (H264, 128, 96, 25)
    assert clip.duration_s == pytest.approx(0.25)
    assert [unit.pts for unit in clip.units] == [FRAME_TICKS * index for index in range(25)]
    assert [index for index, unit in enumerate(clip.units) if unit.keyframe] == [0, 5, 10, 15, 20]
    assert [H264.nal_type(nal) for nal in clip.parameter_sets] == [7, 8]


def test_each_keyframe_carries_its_parameter_sets(tmp_path: Path) -> None:
    clip = tiny_clip(tmp_path)
    heads = {
        tuple(H264.nal_type(part) for part in u.payloads[:2]) for u in clip.units if u.keyframe
    }
    assert heads == {(7, 8)}


@pytest.mark.parametrize("suffix", ["mp4", "h264", "ts"])
def test_b_frames_are_sent_in_decode_order_and_never_before_they_are_seen(
    tmp_path: Path, suffix: str
) -> None:
    clip = tiny_clip(tmp_path, f"b.{suffix}", num_b_frames=2)
    pts = [unit.pts for unit in clip.units]
    assert pts != sorted(pts)
    assert sorted(pts) == [FRAME_TICKS * index for index in range(25)]
    assert all(unit.due >= unit.pts for unit in clip.units)
    assert list(clip.dues) == sorted(clip.dues)


def test_raw_b_frames_have_the_times_of_the_same_video_in_a_container(tmp_path: Path) -> None:
    raw = tiny_clip(tmp_path, "raw.h265", codec="libx265", num_b_frames=3)
    boxed = tiny_clip(tmp_path, "boxed.mp4", codec="libx265", num_b_frames=3)
    assert [unit.pts for unit in raw.units] == [unit.pts for unit in boxed.units]


def test_a_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mp4"
    times_ms = [0, 40, 200, 240, 900, 1000]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.max_b_frames = 0
        for at_ms in times_ms:
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert [unit.pts for unit in Clip.open(path).units] == [90 * at_ms for at_ms in times_ms]


def test_sound_and_odd_sizes_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=44100)
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 66, 130, "yuv420p"
        for _ in range(10):
            container.mux(video.encode(av.VideoFrame(66, 130, "yuv420p")))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    clip = Clip.open(path)
    assert (clip.width, clip.height, len(clip.units)) == (66, 130, 10)


def test_pictures_before_the_first_keyframe_are_left_out(tmp_path: Path) -> None:
    whole = write_tiny(tmp_path / "whole.h264").read_bytes()
    cut = tmp_path / "cut.h264"
    cut.write_bytes(whole[whole.index(b"\0\0\1\x41") - 1 :])  # from a picture after the first on
    clip = Clip.open(cut)
    assert clip.units[0].keyframe
    assert len(clip.units) == 20


def test_what_cannot_be_played_is_refused_with_the_remedy(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    with pytest.raises(UnreadableVideoError, match=r"notes\.txt.*give a video file"):
        Clip.open(text)
    with pytest.raises(UnreadableVideoError, match="No such file"):
        Clip.open(tmp_path / "absent.mp4")
    mpeg4 = write_tiny(tmp_path / "old.avi", codec="mpeg4")
    with pytest.raises(UnsupportedCodecError, match="playable_clip"):
        Clip.open(mpeg4)
    with pytest.raises(InvalidCameraError, match="1400"):
        Clip.open(mpeg4, max_packet_bytes=12)


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    return path


def test_a_file_with_sound_only_has_no_video_stream(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav")
    with pytest.raises(NoVideoStreamError, match="streams: audio"):
        Clip.open(path)
    with pytest.raises(NoVideoStreamError):
        transcode(path, tmp_path / "out.mp4")


def test_another_codec_is_transcoded_once(tmp_path: Path) -> None:
    source, cache = write_tiny(tmp_path / "old.avi", codec="mpeg4"), tmp_path / "cache"
    steps: list[float] = []
    clip = playable_clip(source, cache, steps.append)
    assert (clip.codec, len(clip.units), clip.max_keyframe_interval_s) == (H264, 25, 0.25)
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    steps.clear()
    assert playable_clip(source, cache, steps.append).units == clip.units
    assert steps == []
    assert [path.suffix for path in cache.iterdir()] == [".mp4"]


def test_a_clip_with_rare_keyframes_is_made_playable(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "rare.mp4", fps=25, seconds=4.0, gop_size=100, num_b_frames=2)
    assert Clip.open(source).max_keyframe_interval_s == pytest.approx(4.0)
    clip = playable_clip(source, tmp_path / "cache")
    assert clip.max_keyframe_interval_s == pytest.approx(1.0)
    assert clip.dues[0] == 0
    assert len(clip.units) == 100


def test_a_video_that_breaks_off_leaves_no_result(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "old.mp4", codec="mpeg4")
    source.write_bytes(source.read_bytes()[:600])
    with pytest.raises(VideoError):
        playable_clip(source, tmp_path / "cache")
    with pytest.raises(TranscodeError, match="writable"):
        transcode(source, tmp_path / "out" / "a.mp4")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("name", "num_pictures"),
    [
        ("vpf_test_res_change.h264", 96),
        ("vpl_cars_320x240.h265", 30),
        ("retail_shelf.mp4", 200),
        ("street_cars_input_video.mp4", 905),
    ],
)
def test_real_videos_open_whole(name: str, num_pictures: int) -> None:
    clip = Clip.open(DATA / name)
    assert len(clip.units) == num_pictures
    assert clip.units[0].pts == 0
    assert len(clip.parameter_sets) == len(clip.codec.parameter_types)


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
def test_raw_times_give_the_display_order_of_the_decoder() -> None:
    path = DATA / "vpl_cars_320x240.h264"
    clip = Clip.open(path)
    assert sorted(unit.pts for unit in clip.units) == [3600 * at for at in range(len(clip.units))]
    assert [unit.pts for unit in clip.units] != sorted(unit.pts for unit in clip.units)
    assert len(file_hashes(path)) == len(clip.units)
