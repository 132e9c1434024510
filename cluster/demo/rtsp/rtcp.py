"""RTCP sender reports (RFC 3550, section 6.4.1): they tie RTP time to the wall clock."""

from __future__ import annotations

import struct

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
_SENDER_REPORT = struct.Struct(">BBHIIIIII")
_CNAME = b"sightline"


def sender_report(
    ssrc: int, wall_s: float, timestamp: int, num_packets: int, num_payload_bytes: int
) -> bytes:
    """Return a compound packet: sender report and source description.

    Args:
        ssrc: The source.
        wall_s: Wall clock now, seconds since 1970.
        timestamp: RTP time of the same moment.
        num_packets: RTP packets sent in this session.
        num_payload_bytes: Payload sent in this session, bytes.
    """
    whole_s = int(wall_s)
    report = _SENDER_REPORT.pack(
        0x80,
        200,
        6,
        ssrc,
        (whole_s + NTP_EPOCH_S) & 0xFFFFFFFF,
        int((wall_s - whole_s) * (1 << 32)) & 0xFFFFFFFF,
        timestamp & 0xFFFFFFFF,
        num_packets & 0xFFFFFFFF,
        num_payload_bytes & 0xFFFFFFFF,
    )
    return report + _source_description(ssrc)


def _source_description(ssrc: int) -> bytes:
    chunk = struct.pack(">IBB", ssrc, 1, len(_CNAME)) + _CNAME
    chunk += b"\x00" * (4 - len(chunk) % 4)
    return struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk
