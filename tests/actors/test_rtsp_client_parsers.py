"""What the lean RTSP client makes of bytes: the formats, and that no bytes break it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ingest.rtsp.address import parse_address, resolve
from actors.ingest.rtsp.authentication import Authenticator, best_challenge
from actors.ingest.rtsp.depacketizer import AccessUnit, Depacketizer
from actors.ingest.rtsp.h264 import H264Depacketizer
from actors.ingest.rtsp.h265 import H265Depacketizer
from actors.ingest.rtsp.messages import answer, parse_head, request
from actors.ingest.rtsp.nal import has_recovery_point
from actors.ingest.rtsp.reader import Reader
from actors.ingest.rtsp.sdp import parse_sdp
from actors.ingest.rtsp.stamps import Stamps
from actors.ingest.rtsp.unfamiliar import UnfamiliarError
from actors.ingest.rtsp.upkeep import receiver_report, says_goodbye
from actors.ingest.rtsp.wire import Wire
from cluster.demo.rtsp.digest import Credentials, DigestAuthenticator, Verdict
from cluster.demo.rtsp.nal import H264, H265
from cluster.demo.rtsp.packetizer import payloads
from cluster.demo.rtsp.rtp import interleave, rtp_packets

PAYLOAD_TYPE = 96
START = b"\0\0\0\1"
SPS, PPS, IDR, P_SLICE = b"\x67\x42\x00\x1f", b"\x68\xce\x38", b"\x65\x88" * 900, b"\x41\x9a" * 700
IRAP, TRAIL = b"\x26\x01\x80" + b"\x55" * 3000, b"\x02\x01\x80" + b"\x33" * 1500


class Tape:
    """A wire that holds bytes and gives them in pieces; others use its buffer meanwhile."""

    keep, take_message = Wire.keep, Wire.take_message

    def __init__(self, *pieces: bytes, size: int = 1 << 18) -> None:
        self.buffer = bytearray()
        self.begin = self.end = 0
        self.shared = bytearray(size)
        self.pieces = list(pieces)

    def fill(self) -> None:
        found = self.buffer[self.begin : self.end] + self.pieces.pop(0)
        self.shared[: self.end] = b"$" * self.end
        self.shared[: len(found)] = found
        self.buffer, self.begin, self.end = self.shared, 0, len(found)


def read(pieces: list[bytes], kind: type[Depacketizer] = H264Depacketizer) -> list[AccessUnit]:
    tape = Tape(*pieces)
    depacketizer = kind(0, PAYLOAD_TYPE)
    reader = Reader("rtsp://host", tape, depacketizer, (0, 1), lambda _: None)
    units = []
    while tape.pieces:
        units += reader.read()
    return units


def packets(
    nals: list[bytes], sequence: int = 0, timestamp: int = 0, codec=H264, size: int = 1000
) -> list[bytes]:
    cut = payloads(nals, codec, size)
    return rtp_packets(cut, sequence=sequence, timestamp=timestamp, ssrc=7)


def stream(found: list[bytes]) -> bytes:
    return b"".join(interleave(0, packet) for packet in found)


def annexb(*nals: bytes) -> bytes:
    return b"".join(START + nal for nal in nals)


def content(unit: AccessUnit) -> bytes:
    return unit.data[:-64]


@pytest.mark.parametrize("piece", [1, 7, 500, 1 << 20])
@pytest.mark.parametrize(
    ("codec", "kind", "key", "other"),
    [(H264, H264Depacketizer, IDR, P_SLICE), (H265, H265Depacketizer, IRAP, TRAIL)],
)
def test_pictures_are_whole_however_they_are_cut(piece, codec, kind, key, other):
    found = packets([key, other], 65_533, 5, codec)
    found += packets([other], 65_533 + len(found) - (1 << 16), 9, codec)
    data = stream(found)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    first, second = read(pieces, kind)
    assert content(first) == annexb(key, other)
    assert content(second) == annexb(other)
    assert (first.timestamp, second.timestamp) == (5, 9)
    assert (first.is_keyframe, second.is_keyframe) == (True, False)
    assert not first.is_corrupt | second.is_corrupt


def test_aggregated_units_are_taken_apart():
    body = b"".join(len(nal).to_bytes(2, "big") + nal for nal in (SPS, PPS, IDR))
    found = rtp_packets([b"\x78" + body], sequence=1, timestamp=1, ssrc=1)
    (unit,) = read([stream(found)])
    assert content(unit) == annexb(SPS, PPS, IDR)
    assert unit.is_keyframe
    body = b"".join(len(nal).to_bytes(2, "big") + nal for nal in (IRAP, TRAIL))
    found = rtp_packets([b"\x60\x01" + body], sequence=1, timestamp=1, ssrc=1)
    (unit,) = read([stream(found)], H265Depacketizer)
    assert content(unit) == annexb(IRAP, TRAIL)


def test_marked_parameter_sets_wait_for_their_picture():
    found = packets([SPS], 0) + packets([PPS], 1) + packets([IDR], 2)
    (unit,) = read([stream(found)])
    assert content(unit) == annexb(SPS, PPS, IDR)


def test_without_markers_a_picture_ends_with_the_next_timestamp():
    found = packets([IDR], 0, 1) + packets([P_SLICE], 2, 2) + packets([P_SLICE], 4, 3)
    plain = [bytes((packet[0], packet[1] & 0x7F)) + packet[2:] for packet in found]
    units = read([stream(plain)])
    assert [content(unit) for unit in units] == [annexb(IDR), annexb(P_SLICE)]


def test_markers_within_a_picture_are_left_to_ffmpeg():
    found = packets([IDR], 0) + packets([b"\x65\x08" * 9], 2)
    with pytest.raises(UnfamiliarError, match="last slice"):
        read([stream(found)])


@pytest.mark.parametrize("lost", range(4))
def test_what_misses_a_packet_is_corrupt_and_the_next_picture_is_not(lost):
    first = packets([IDR], 10, 1, size=600)
    found = first + packets([P_SLICE], 14, 2) + packets([P_SLICE], 16, 3)
    assert len(first) == 4
    before = packets([P_SLICE], 8, 0)
    units = read([stream(before + found[:lost] + found[lost + 1 :])])
    assert [unit.timestamp for unit in units][-2:] == [2, 3]
    assert not units[-1].is_corrupt
    assert any(unit.is_corrupt for unit in units[1:])
    assert all(content(unit).startswith(START) for unit in units)


def test_extensions_sources_and_padding_are_no_payload():
    plain = packets([b"\x41\x9a\x33"], 5, 1)[0]
    extended = bytes((0xB2,)) + plain[1:12] + bytes(8) + b"\xbe\xde\0\1" + bytes(4) + plain[12:]
    (unit,) = read([stream([extended + b"\0\0\3"])])
    assert content(unit) == annexb(b"\x41\x9a\x33")


def test_packets_of_other_formats_and_channels_are_left_out():
    other = packets([IDR], 0)
    other = [bytes((packet[0], packet[1] + 1)) + packet[2:] for packet in other]
    data = stream(other) + interleave(4, other[0]) + stream(packets([P_SLICE], 2, 1))
    (unit,) = read([data])
    assert content(unit) == annexb(P_SLICE)


def test_a_recovery_point_is_a_place_to_begin():
    sei = b"\x06\x05\x02\xab\xcd\x06\x01\xc4\x80"
    (unit,) = read([stream(packets([sei, P_SLICE]))])
    assert unit.is_keyframe
    assert not has_recovery_point(b"\x05\x02\xab\xcd\x80")


def test_a_picture_without_end_is_refused():
    tape = Tape()
    depacketizer = H264Depacketizer(0, PAYLOAD_TYPE)
    fragments = packets([b"\x41\x80" + bytes(200_000)], size=60_000)[:-1]
    tape.pieces = [stream([fragments[0]])]
    reader = Reader("rtsp://host", tape, depacketizer, (0, 1), lambda _: None)
    reader.read()

    def go_on() -> None:
        for number in range(1, 400):
            packet = fragments[1][:2] + number.to_bytes(2, "big") + fragments[1][4:]
            tape.pieces = [stream([packet])]
            reader.read()

    with pytest.raises(UnfamiliarError, match="16 MiB"):
        go_on()


def test_times_go_on_over_the_wrap_and_back():
    stamps = Stamps(is_reordered=False)
    found = [stamps.place(at)[0] for at in (2**32 - 10, 5, 2**32 - 10, 100)]
    assert found == [0, 15, 0, 110]


def test_decoding_times_of_reordered_pictures_never_go_back():
    stamps = Stamps(is_reordered=True)
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
    found = [stamps.place(place * 3600) for place in order]
    assert all(dts <= pts for pts, dts in found)
    assert [dts for _, dts in found] == sorted(dts for _, dts in found)
    assert found[-1][1] > 0


SDP = b"""v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\nm=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0IAHw==,aM44\r
a=framerate:12.5\r\na=control:trackID=2\r\n"""


def test_a_description_tells_the_video():
    video = parse_sdp(SDP)
    assert (video.codec, video.payload_type, video.control) == ("h264", 96, "trackID=2")
    assert video.parameter_sets == (SPS, PPS)
    assert (video.fps, video.aggregate_control) == (12.5, "*")
    h265 = b"m=video 0 RTP/AVP 97\na=rtpmap:97 H265/90000\na=fmtp:97 sprop-vps=QAEM;sprop-sps=QgEB"
    assert parse_sdp(h265).parameter_sets == (b"\x40\x01\x0c", b"\x42\x01\x01")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"packetization-mode=1", b"packetization-mode=2"),
        (b"H264/90000", b"JPEG/90000"),
        (b"H264/90000", b"H264/1000"),
        (b"m=audio 0 RTP/AVP 0", b"m=video 0 RTP/AVP 97"),
        (b"m=video 0 RTP/AVP 96", b"m=video 0 RTP/AVP 96 97"),
        (b"m=video 0 RTP/AVP 96", b"m=video 0 RTP/SAVP 96"),
        (b"m=video 0 RTP/AVP 96", b"m=text 0 RTP/AVP 96"),
        (b"packetization-mode=1", b"sprop-max-don-diff=2"),
    ],
)
def test_other_videos_are_left_to_ffmpeg(old, new):
    assert old in SDP
    with pytest.raises(UnfamiliarError):
        parse_sdp(SDP.replace(old, new))


@pytest.mark.parametrize("rate", ["0", "nan", "inf", "-3", "x", "1e9"])
def test_impossible_rates_are_none(rate):
    assert parse_sdp(SDP.replace(b"12.5", rate.encode())).fps is None


def test_an_address_is_taken_apart_and_loses_its_credentials():
    found = parse_address("rtsp://us%40er:p%3A%2Fw@[::1]:8554/cam/1?channel=1&subtype=0")
    assert (found.host, found.port) == ("::1", 8554)
    assert found.url == "rtsp://[::1]:8554/cam/1?channel=1&subtype=0"
    assert (found.username, found.password) == ("us@er", "p:/w")
    assert parse_address("rtsp://host/cam").port == 554


@pytest.mark.parametrize(
    "url",
    ["rtsps://host/cam", "rtsp:///cam", "rtsp://host:x/cam", "rtsp://host/cam?tcp", "rtsp://h/a b"],
)
def test_other_addresses_are_left_to_ffmpeg(url):
    with pytest.raises(UnfamiliarError):
        parse_address(url)


def test_a_control_is_put_behind_its_base():
    assert resolve("rtsp://h/cam", "trackID=1") == "rtsp://h/cam/trackID=1"
    assert resolve("rtsp://h/cam/", "trackID=1") == "rtsp://h/cam/trackID=1"
    assert resolve("rtsp://h/cam?a=b", "t") == "rtsp://h/cam?a=b/t"
    assert resolve("rtsp://h/cam", "*") == "rtsp://h/cam"
    assert resolve("rtsp://h/cam", "rtsp://g/x") == "rtsp://g/x"


def test_digests_are_those_that_servers_expect():
    server, user = DigestAuthenticator(), Credentials("user", 'p"a\\ss')
    client = Authenticator(user.username, user.password)
    assert client.header("DESCRIBE", "rtsp://h/c") == ""
    assert client.take([server.challenge(0.0)])
    for _ in range(2):
        header = client.header("DESCRIBE", "rtsp://h/c")
        assert server.check(header, "DESCRIBE", user, 1.0) is Verdict.ACCEPTED
    assert not client.take([server.challenge(1.0)])
    assert client.take([server.challenge(2.0, stale=True)])


def test_the_digest_of_sha_256_is_that_of_rfc_7616():
    client = Authenticator("Mufasa", "Circle of Life")
    assert client.take(['Digest realm="r", nonce="n", algorithm=SHA-256, opaque="o"'])
    header = client.header("PLAY", "rtsp://h/c")

    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    expected = sha(f"{sha('Mufasa:r:Circle of Life')}:n:{sha('PLAY:rtsp://h/c')}")
    assert f'response="{expected}"' in header
    assert 'opaque="o"' in header
    assert "algorithm=SHA-256" in header


def test_the_strongest_login_is_taken_and_others_are_left_to_ffmpeg():
    offers = [
        'Basic realm="a"',
        'Digest realm="a", nonce="b", Digest realm="a", nonce="c"'
        ', algorithm=SHA-256, qop="auth,auth-int"',
    ]
    assert best_challenge(offers).kind == "sha256"
    assert best_challenge(offers[:1]).kind == "basic"
    assert best_challenge(['Digest realm="a", nonce="b", qop="auth-int"']) is None
    client = Authenticator("us", "pa:ss")
    with pytest.raises(UnfamiliarError):
        client.take(["Negotiate abc"])
    assert client.take(offers[:1])
    assert client.header("PLAY", "x") == f"Basic {base64.b64encode(b'us:pa:ss').decode()}"
    assert not client.take(offers[:1])
    assert not Authenticator(None, None).take(offers)


def test_messages_are_read_and_written():
    message, size = parse_head(b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 7\r\nX: a\r\nX: b")
    assert (message.status, message.cseq, size) == (200, 3, 7)
    assert message.headers["x"] == ["a", "b"]
    asked, _ = parse_head(b"OPTIONS * RTSP/1.0\r\nCSeq: 9")
    assert answer(asked) == b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
    asked, _ = parse_head(b"ANNOUNCE rtsp://h RTSP/1.0\r\nCSeq: 9")
    assert answer(asked).startswith(b"RTSP/1.0 501 ")
    head = request("PLAY", "rtsp://h", 4, {"Session": "a", "Empty": ""}).decode()
    assert re.fullmatch(r"PLAY rtsp://h RTSP/1.0\r\nCSeq: 4\r\nUser-.*\r\nSession: a\r\n\r\n", head)


def test_reports_are_well_formed_and_goodbyes_understood():
    report = receiver_report(1, 0x01020304)
    assert report[:4] == b"\x24\x01" + (len(report) - 4).to_bytes(2, "big")
    assert (len(report) - 4) % 4 == 0
    assert not says_goodbye(report[4:])
    assert says_goodbye(report[4:] + b"\x81\xcb\x00\x01\x01\x02\x03\x04")


hostile = settings(max_examples=200, deadline=None)


@hostile
@given(st.binary(max_size=400))
def test_no_bytes_break_the_parsers_of_text(data):
    text = data.decode("latin-1")
    for parse in (
        lambda: parse_sdp(data),
        lambda: parse_sdp(SDP + data),
        lambda: parse_head(data),
        lambda: parse_head(b"RTSP/1.0 200 OK\r\n" + data),
        lambda: parse_address(f"rtsp://{text}"),
        lambda: resolve("rtsp://host/", text),
        lambda: Authenticator("user", "password").take([text, f"Digest {text}"]),
        lambda: says_goodbye(data),
        lambda: has_recovery_point(data),
    ):
        with contextlib.suppress(UnfamiliarError):
            parse()


@hostile
@given(
    st.sampled_from([H264Depacketizer, H265Depacketizer]),
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 3), st.integers(0, 2), st.binary(max_size=40))
    ),
)
def test_no_packets_break_the_depacketizers(kind, made):
    found = [
        bytes((0x80 | first & 0x3F if index % 2 else 0x80, PAYLOAD_TYPE | (mark & 1) << 7))
        + (index + skip).to_bytes(2, "big")
        + bytes(3)
        + bytes((mark,))
        + bytes(4)
        + data
        for index, (first, mark, skip, data) in enumerate(made)
    ]
    try:
        units = read([stream(found)], kind)
    except UnfamiliarError:
        return
    assert all(content(unit) for unit in units)


@hostile
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [b"RTSP/1.0 200 OK\r\n\r\n", b"$\0\0\0", b"$\1\0\4", b"$\0\0\x10", b"\r\n"]
            ),
        )
    )
)
def test_no_stream_breaks_the_reader(pieces):
    tape = Tape(*[piece for piece in pieces if piece])
    depacketizer = H264Depacketizer(0, PAYLOAD_TYPE)
    reader = Reader("rtsp://host", tape, depacketizer, (0, 1), lambda _: None)
    try:
        while tape.pieces:
            reader.read()
    except UnfamiliarError:
        pass
    assert tape.begin <= tape.end
