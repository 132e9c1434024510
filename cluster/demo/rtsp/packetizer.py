"""NAL units into RTP payloads: single NAL unit packets and fragments (RFC 6184, RFC 7798)."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.demo.rtsp.nal import Codec

_FU_A_H264 = 28  # RFC 6184, section 5.8
_FU_H265 = 49  # RFC 7798, section 4.4.3
_START, _END = 0x80, 0x40


def payloads(nals: Iterable[bytes], codec: Codec, max_payload_bytes: int) -> tuple[bytes, ...]:
    """Return the RTP payloads of one access unit, none longer than ``max_payload_bytes``."""
    cut: list[bytes] = []
    for nal in nals:
        if len(nal) <= max_payload_bytes:
            cut.append(nal)
        else:
            cut += _fragments(nal, codec, max_payload_bytes)
    return tuple(cut)


def _fragments(nal: bytes, codec: Codec, max_payload_bytes: int) -> list[bytes]:
    prefix, kind = _fragment_prefix(nal, codec)
    body = memoryview(nal)[codec.header_bytes :]
    room = max_payload_bytes - len(prefix) - 1
    starts = range(0, len(body), room)
    return [
        b"".join((prefix, bytes((_flags(at, room, len(body)) | kind,)), body[at : at + room]))
        for at in starts
    ]


def _fragment_prefix(nal: bytes, codec: Codec) -> tuple[bytes, int]:
    kind = codec.nal_type(nal)
    if codec.header_bytes == 1:
        return bytes(((nal[0] & 0xE0) | _FU_A_H264,)), kind
    return bytes(((nal[0] & 0x81) | (_FU_H265 << 1), nal[1])), kind


def _flags(at: int, room: int, length: int) -> int:
    return (_START if at == 0 else 0) | (_END if at + room >= length else 0)
