"""What NAL units of H.264 and H.265 tell by their first bytes."""

from __future__ import annotations

START_CODE = b"\x00\x00\x00\x01"

_RECOVERY_POINT = 6
_MAX_SEI_BYTES = 1024


def is_annex_b(parameters: bytes) -> bool:
    """Whether parameter sets, and so the packets, are behind start codes; none is."""
    return not parameters or (parameters[:2] == b"\x00\x00" and parameters[2:3] <= b"\x01")


def has_recovery_point(sei: bytes) -> bool:
    """Whether an SEI of H.264 says that decoding may begin here (Rec. H.264, D.1.8).

    Args:
        sei: The NAL unit without its header; what exceeds a KiB is not looked at.
    """
    data = sei[:_MAX_SEI_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
    at = 0
    while at + 2 < len(data):
        kind, at = _number(data, at)
        size, at = _number(data, at)
        if kind == _RECOVERY_POINT and size > 0 and at < len(data):
            return True
        at += size
    return False


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of an SEI's header, 255 for each byte that is full, and where it ends."""
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value, at = value + 0xFF, at + 1
    return (value + data[at], at + 1) if at < len(data) else (value, at)
