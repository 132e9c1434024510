"""Pictures of H.265 come with the packet after theirs, and are those that come with their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.deferred import DeferredDecoder
from actors.ingest.hevc_parameters import _Bits, _number
from actors.messages import DegradeStep
from tests.actors.test_hevc_parameters import protected

FPS, GOP, NUM = 25, 10, 25
FILMS = {
    "plain": "",
    "slices": "slices=3",
    "vui": "range=limited:colorprim=bt709:transfer=bt709:colormatrix=bt709:hrd=1:vbv-maxrate=900:"
    "vbv-bufsize=900:sar=2",
    "several-references": "ref=4",
    "intra": "keyint=1",
    "open-gop": "open-gop=1",
    "units-behind-delimiters": "aud=1:hash=1",
    "smooth": "intra-refresh=1",
}

Film = Callable[..., Path]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Clips whose packets are as those of cameras: behind start codes."""
    folder = tmp_path_factory.mktemp("hevc")

    def write(name: str, fps: int = FPS, suffix: str = "ts") -> Path:
        path = folder / f"{name}-{fps}.{suffix}"
        if not path.exists():
            encode(path, FILMS[name], fps)
        return path

    return write


def encode(path: Path, settings: str, fps: int) -> None:
    basic = f"keyint={GOP}:scenecut=0:open-gop=0:bframes=0:repeat-headers=1:log-level=none"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 136, 98, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": f"{basic}:{settings}".rstrip(":")}
        for index in range(NUM):
            image = np.add.outer(np.arange(98), np.arange(136) + 5 * index).astype(np.uint8)
            image[10:40, 4 * index : 4 * index + 20] = 255 - 9 * index
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def opened(path: Path) -> tuple[av.video.codeccontext.VideoCodecContext, list[av.Packet]]:
    container = av.open(str(path))
    stream = container.streams.video[0]
    return stream.codec_context, list(container.demux(stream))


def delayed(path: Path, interval_s: float = 1 / FPS) -> tuple[DeferredDecoder, list[av.Packet]]:
    source, packets = opened(path)
    assert not source.has_b_frames
    context = av.CodecContext.create(source.name, "r")
    context.extradata = source.extradata
    return DeferredDecoder(context, interval_s, is_reordered=False), packets


def expected(path: Path) -> list[list[Decoded]]:
    context, packets = opened(path)
    decoder = CpuDecoder(context, 1 / FPS)
    return [decoder.decode(packet) for packet in packets]


def joined(pictures: list[list[Decoded]]) -> list[Decoded]:
    return list(chain.from_iterable(pictures))


def without_sets(packet: av.Packet) -> av.Packet:
    """As of a camera that tells its parameter sets before it plays, and not again."""
    data = bytes(packet)
    starts = [match.end() for match in re.finditer(b"\0\0\1", data)]
    first = next((at for at in starts if data[at] >> 1 & 0x3F < 32), None)
    if first is None:
        return packet
    return like(packet, b"\0\0\0\1" + data[first:])


def like(packet: av.Packet, data: bytes) -> av.Packet:
    other = av.Packet(data)
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.is_keyframe = packet.is_keyframe
    return other


def assert_same(found: list[Decoded], wanted: list[Decoded]) -> None:
    assert [p.pts_s for p in found] == [p.pts_s for p in wanted]
    assert not any(p.is_corrupt for p in found)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.frame.to_ndarray(), theirs.frame.to_ndarray())


@pytest.mark.parametrize("name", FILMS)
def test_each_picture_comes_with_the_next_packet_and_is_the_same_bit_by_bit(film, name):
    path = film(name)
    decoder, packets = delayed(path)
    assert decoder.is_deferred
    wanted = expected(path)
    assert [len(pictures) for pictures in wanted] == [1] * NUM + [0]
    found = []
    for packet in packets:
        found.append(decoder.begin(packet))
        assert decoder.collect() == []
    assert [len(pictures) for pictures in found] == [0] + [1] * NUM
    assert_same(joined(found), joined(wanted))
    assert decoder.is_deferred
    assert decoder.num_errors == 0


def test_slices_are_several(film):
    packets = opened(film("slices"))[1][:-1]
    found = {len(re.findall(rb"\x00\x00\x01[\x00-\x2b]\x01", bytes(p))) for p in packets}
    assert found == {3}


def without_order(data: bytes) -> bytes:
    """With an SPS of two sub-layers, whose higher one says that it is reordered, say that not."""
    found = re.search(rb"(?<=\x00\x00\x01)\x42\x01.+?(?=\x00\x00\x01|\x00\x00\x00)", data, re.S)
    if found is None:
        return data
    bits = _Bits(found[0][2:].replace(b"\0\0\3", b"\0\0"))
    begin, (lower, higher) = bits.skip_to_order()
    assert (lower[1], higher[1]) == (0, 1)
    listed = "".join(map(_number, (*lower, higher[0], 0, higher[2])))
    text = bits.text[:begin] + listed + bits.text[bits.at :].rstrip("0")
    text += "0" * (-len(text) % 8)
    changed = found[0][:2] + protected(int(text, 2).to_bytes(len(text) // 8, "big"))
    return data[: found.start()] + changed + data[found.end() :]


def test_streams_with_sub_layers_are_delayed_too(tmp_path):
    encode(tmp_path / "layers.ts", "temporal-layers=2:b-adapt=0", FPS)
    source, packets = opened(tmp_path / "layers.ts")
    packets = [like(packet, without_order(bytes(packet))) for packet in packets[:-1]]
    contexts = [av.CodecContext.create("hevc", "r") for _ in range(2)]
    for context in contexts:
        context.extradata = without_order(source.extradata)
    plain = CpuDecoder(contexts[0], 1 / FPS)
    decoder = DeferredDecoder(contexts[1], 1 / FPS, is_reordered=False)
    wanted = [plain.decode(packet) for packet in packets]
    found = [decoder.begin(packet) for packet in (*packets, av.Packet())]
    assert [len(pictures) for pictures in wanted] == [1] * NUM
    assert [len(pictures) for pictures in found] == [0] + [1] * NUM
    assert_same(joined(found)[:-1], joined(wanted)[:-1])


def test_sets_that_come_with_the_pictures_alone_are_rewritten_too(film):
    path = film("plain")
    source, packets = opened(path)
    bare = av.CodecContext.create(source.name, "r")
    decoder = DeferredDecoder(bare, 1 / FPS, is_reordered=False)
    found = [decoder.begin(packet) for packet in packets]
    assert [len(pictures) for pictures in found] == [0] + [1] * NUM
    assert_same(joined(found), joined(expected(path)))


def test_of_key_frames_only_each_comes_with_its_own_packet(film):
    decoder, packets = delayed(film("plain"))
    found = [decoder.begin(packet, DegradeStep.KEY_FRAMES) for packet in packets]
    assert [len(pictures) for pictures in found] == ([1] + [0] * (GOP - 1)) * 2 + [1] + [0] * 5
    keys = [pictures[0] for pictures in expected(film("plain"))[:NUM:GOP]]
    assert_same(joined(found), keys)
    assert decoder.is_deferred


@pytest.mark.parametrize("step", [DegradeStep.KEY_FRAMES, DegradeStep.PAUSED])
def test_after_a_cut_pictures_come_back_with_a_key_frame_and_undamaged(film, step):
    decoder, packets = delayed(film("plain"))
    before = [p for packet in packets[:14] for p in decoder.begin(packet)]
    meanwhile = [p for packet in packets[14:18] for p in decoder.begin(packet, step)]
    after = [p for packet in packets[18:] for p in decoder.begin(packet)]
    wanted = joined(expected(film("plain")))
    assert_same(before, wanted[:13])
    assert meanwhile == []
    assert_same(after, wanted[20:])


def test_a_broken_packet_counts_once_and_those_after_the_next_key_frame_are_whole(film):
    path = film("plain")
    decoder, packets = delayed(path)
    for packet in packets[:GOP]:
        decoder.begin(packet)
    decoder.begin(av.Packet(bytes(packets[GOP])[: packets[GOP].size // 2]))
    found = [p for packet in packets[2 * GOP :] for p in decoder.begin(packet)]
    assert_same([p for p in found if p.pts_s >= 0.4][-5:], joined(expected(path))[2 * GOP :])


def test_where_pictures_are_rare_or_not_behind_start_codes_they_come_with_their_packets(film):
    rare, packets = delayed(film("plain", fps=10), interval_s=0.1)
    assert not rare.is_deferred
    assert [len(rare.begin(packet)) for packet in packets] == [1] * NUM + [0]
    boxed, packets = delayed(film("plain", suffix="mp4"))
    assert not boxed.is_deferred
    assert [len(boxed.begin(packet)) for packet in packets] == [1] * NUM + [0]


def test_sets_that_come_before_the_pictures_alone_are_enough(film):
    decoder, packets = delayed(film("plain"))
    found = [decoder.begin(without_sets(packet)) for packet in packets]
    assert [len(pictures) for pictures in found] == [0] + [1] * NUM
    assert_same(joined(found), joined(expected(film("plain"))))


@pytest.mark.parametrize("comes", [lambda packet: packet, without_sets])
def test_where_pictures_become_rare_they_come_with_their_packets_again(film, comes):
    path = film("plain", fps=10)
    decoder, packets = delayed(path, interval_s=0.04)
    found = []
    for packet in map(comes, packets):
        found.append(decoder.begin(packet))
        assert decoder.is_deferred == (len(found) <= 2 * GOP)
    # Nine are late before the first key frame, nine more before the second.
    assert [len(pictures) for pictures in found] == [0] + [1] * 19 + [2] + [1] * 4 + [0]
    assert_same(joined(found), joined(expected(path)))


def test_a_set_that_cannot_be_read_is_left_to_ffmpeg(film):
    decoder, packets = delayed(film("plain"))
    decoder.begin(packets[0])
    assert decoder.is_deferred
    broken = av.Packet(bytes.fromhex("0000000142010101600000") + bytes(packets[1]))
    broken.time_base, broken.pts = packets[1].time_base, packets[1].pts
    decoder.begin(broken)
    assert not decoder.is_deferred


def test_a_file_played_again_goes_on_in_time(film):
    decoder, packets = delayed(film("plain"))
    times_s = []
    for _ in range(2):
        times_s += [p.pts_s for packet in packets for p in decoder.begin(packet)]
        decoder.restart()
    assert np.diff(times_s) == pytest.approx(1 / FPS)
    assert len(times_s) == 2 * NUM
