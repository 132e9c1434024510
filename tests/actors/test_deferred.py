"""Pictures that are fetched after their packets are those that come with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import pytest

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.deferred import DeferredDecoder
from actors.messages import DegradeStep
from cluster.bench.gpu.films import packets_of
from cluster.demo.rtsp.pattern import write_pattern

Opened = tuple[av.video.codeccontext.VideoCodecContext, list[av.Packet]]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    folder = tmp_path_factory.mktemp("deferred")

    def write(codec: str, num_b_frames: int) -> Path:
        path = folder / f"{codec}-{num_b_frames}.mp4"
        if not path.exists():
            size = {"width": 128, "height": 96, "seconds": 1.0, "gop_size": 10}
            write_pattern(path, codec=codec, num_b_frames=num_b_frames, **size)
        return path

    return write


def opened(path: Path) -> Opened:
    container = av.open(str(path))
    stream = container.streams.video[0]
    return stream.codec_context, list(container.demux(stream))


def deferred(path: Path, is_reordered: bool) -> tuple[DeferredDecoder, list[av.Packet]]:
    source, packets = opened(path)
    context = av.CodecContext.create(source.name, "r")
    context.extradata = source.extradata
    return DeferredDecoder(context, 0.04, is_reordered=is_reordered), packets


def annex_b(path: Path) -> tuple[DeferredDecoder, Sequence[av.Packet]]:
    """A decoder and packets as cameras send them: parameter sets are in the stream."""
    context, packets = packets_of(path)
    return DeferredDecoder(context, 0.04, is_reordered=False), packets


def expected(path: Path) -> list[Decoded]:
    context, packets = opened(path)
    decoder = CpuDecoder(context, 0.04)
    return [picture for packet in packets for picture in decoder.decode(packet)]


def assert_same(found: list[Decoded], path: Path) -> None:
    wanted = expected(path)
    assert [p.pts_s for p in found] == pytest.approx([p.pts_s for p in wanted])
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.frame.to_ndarray(), theirs.frame.to_ndarray())


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("num_b_frames", [0, 2])
def test_pictures_and_times_are_those_of_the_plain_decoder(film, codec, num_b_frames):
    path = film(codec, num_b_frames)
    decoder, packets = deferred(path, bool(num_b_frames))
    found = [p for packet in packets for p in (*decoder.begin(packet), *decoder.collect())]
    assert_same(found, path)
    again, packets = deferred(path, bool(num_b_frames))
    assert_same([p for packet in packets for p in again.decode(packet)], path)


def test_a_picture_waits_until_it_is_collected_or_another_packet_begins(film):
    decoder, packets = deferred(film("libx264", 0), False)
    assert decoder.is_deferred
    assert decoder.begin(packets[0]) == []
    assert [p.pts_s for p in decoder.collect()] == [0.0]
    assert decoder.collect() == []
    assert decoder.begin(packets[1]) == []
    assert [p.pts_s for p in decoder.begin(packets[2])] == [0.04]
    assert [p.pts_s for p in decoder.collect()] == [0.08]


def played(decoder: DeferredDecoder, packets: Sequence[av.Packet], wanted: str) -> list[Decoded]:
    """Pictures are collected after those packets that are marked with a ``c``, over and over."""
    found = []
    for packet, mark in zip(packets, cycle(wanted), strict=False):
        found += decoder.begin(packet)
        found += decoder.collect() if mark == "c" else []
    return found


@pytest.mark.parametrize("wanted", ["c", ".", "c.", "..c", "cc......c", "cccccccccc........."])
def test_pictures_are_the_same_whichever_are_collected(film, wanted):
    path = film("libx264", 0)
    decoder, packets = annex_b(path)
    assert_same(played(decoder, packets, wanted) + decoder.collect(), path)


@pytest.mark.parametrize("wanted", ["c.", "cc......c"])
def test_lengths_in_the_place_of_start_codes_change_no_picture(film, wanted):
    path = film("libx264", 0)
    decoder, packets = deferred(path, False)
    assert_same(played(decoder, packets, wanted) + decoder.collect(), path)


def test_where_places_begin_anew_without_an_idr_at_most_the_pictures_until_a_key_frame_are_lost(
    film, monkeypatch
):
    monkeypatch.setattr("actors.ingest.deferred._IDR", re.compile(b"(?!)"))
    decoder, packets = annex_b(film("libx264", 0))
    found = played(decoder, packets, ".........c") + decoder.collect()
    times_s = [p.pts_s for p in found]
    missing = {round(number / 25, 2) for number in range(25)} - {round(s, 2) for s in times_s}
    assert missing == {round(number / 25, 2) for number in range(10, 20)}
    assert times_s == sorted(times_s)
    assert decoder.num_errors == 0


def test_what_was_kept_back_when_decoding_is_cut_off_comes_no_more(film):
    decoder, packets = annex_b(film("libx264", 0))
    found = played(decoder, packets[:5], "..c")
    decoder.catch_up()
    assert decoder.collect() == []
    found += played(decoder, packets[5:], "..c") + decoder.collect()
    times_s = [p.pts_s for p in found]
    assert times_s == pytest.approx([*np.arange(4) / 25, *np.arange(10, 25) / 25])


def test_only_what_the_decoder_would_hold_back_is_deferred(film):
    assert deferred(film("libx265", 2), True)[0].is_deferred
    assert not deferred(film("libx265", 0), False)[0].is_deferred


def test_a_stream_that_is_reordered_against_its_word_is_left_to_ffmpeg(film):
    path = film("libx264", 2)
    decoder, packets = deferred(path, False)
    found = [p for packet in packets for p in (*decoder.begin(packet), *decoder.collect())]
    times_s = [p.pts_s for p in found]
    assert sorted(times_s) == pytest.approx([p.pts_s for p in expected(path)])
    assert times_s[3:] == sorted(times_s[3:])


@pytest.mark.parametrize("wanted", ["c.", "..c", "..........c"])
def test_such_a_stream_loses_no_more_than_the_pictures_until_a_key_frame(tmp_path, wanted):
    path = tmp_path / "film.mp4"
    write_pattern(path, width=128, height=96, seconds=3.0, gop_size=10, num_b_frames=2)
    decoder, packets = annex_b(path)
    found = [round(p.pts_s, 2) for p in played(decoder, packets, wanted)]
    wanted_s = {round(p.pts_s, 2) for p in expected(path)[:-5]}  # the last wait for more packets
    assert len(wanted_s - set(found)) <= 10
    assert found[-40:] == sorted(found[-40:])


def test_steps_of_the_ladder_give_key_frames_alone_and_all_again(film):
    decoder, packets = deferred(film("libx264", 0), False)
    keys = [p for packet in packets for p in decoder.decode(packet, DegradeStep.KEY_FRAMES)]
    assert [p.pts_s for p in keys] == pytest.approx([0.0, 0.4, 0.8])
    assert not [p for packet in packets for p in decoder.decode(packet, DegradeStep.PAUSED)]
    resumed = [p.pts_s for packet in packets[5:] for p in decoder.decode(packet)]
    assert resumed[0] == pytest.approx(0.4)
    assert decoder.num_errors == 0


def test_a_broken_packet_counts_once_and_those_after_the_next_key_frame_are_whole(film):
    decoder, packets = deferred(film("libx264", 0), False)
    broken = av.Packet(b"\x00\x00\x00\x06\x65" + b"\xff" * 5)
    broken.time_base = packets[0].time_base
    broken.is_keyframe = True
    found = [*decoder.decode(broken)]
    num_errors = decoder.num_errors
    found += [p for packet in packets for p in decoder.decode(packet)]
    assert num_errors == decoder.num_errors == 1
    assert [p.pts_s for p in found if not p.is_corrupt] == pytest.approx(np.arange(25) / 25)
