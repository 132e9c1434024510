"""NAL units of H.264 and H.265: how to split them from a byte stream and tell their kinds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

START_CODE = b"\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Codec:
    """What RTP needs to know about a codec.

    Attributes:
        name: ``"h264"`` or ``"h265"``.
        encoding: The encoding name in SDP.
        annexb_filter: FFmpeg's bit stream filter that writes start codes.
        header_bytes: Length of the NAL unit header.
        sequence_type: NAL type that opens a group of parameter sets (SPS; for H.265 the VPS).
        parameter_types: NAL types of all parameter sets, in the order they are sent.
        skipped_types: NAL types that RTP does without (delimiters, filler) or cannot carry.
    """

    name: str
    encoding: str
    annexb_filter: str
    header_bytes: int
    sequence_type: int
    parameter_types: tuple[int, ...]
    skipped_types: frozenset[int]

    def nal_type(self, nal: bytes) -> int:
        """Return the type of a NAL unit."""
        return nal[0] & 0x1F if self.header_bytes == 1 else (nal[0] >> 1) & 0x3F

    def is_parameter_set(self, nal: bytes) -> bool:
        """Tell whether a NAL unit is a VPS, SPS or PPS."""
        return self.nal_type(nal) in self.parameter_types

    def carries(self, nal: bytes) -> bool:
        """Tell whether a NAL unit is to be sent."""
        return len(nal) > self.header_bytes and self.nal_type(nal) not in self.skipped_types


H264 = Codec(
    name="h264",
    encoding="H264",
    annexb_filter="h264_mp4toannexb",
    header_bytes=1,
    sequence_type=7,
    parameter_types=(7, 8),
    # RFC 6184, table 1: 0 and 24 to 31 are no NAL units of a stream; 9 delimits, 12 fills.
    skipped_types=frozenset({0, 9, 12, *range(24, 32)}),
)
H265 = Codec(
    name="h265",
    encoding="H265",
    annexb_filter="hevc_mp4toannexb",
    header_bytes=2,
    sequence_type=32,
    parameter_types=(32, 33, 34),
    # RFC 7798, section 1.1.4: 48 to 63 are free for payload formats; 35 delimits, 38 fills.
    skipped_types=frozenset({35, 38, *range(48, 64)}),
)
CODECS = {"h264": H264, "hevc": H265}


def split_annexb(data: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream (H.264 annex B), without start codes."""
    # The zero bytes after a NAL unit are padding or the head of a four-byte start code.
    units = (part.rstrip(b"\x00") for part in data.split(START_CODE)[1:])
    return [unit for unit in units if unit]


class ParameterSets:
    """The parameter sets in force at a point of a stream."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._units: list[bytes] = []

    def update(self, nals: Iterable[bytes]) -> None:
        """Take in the parameter sets among ``nals``; a new sequence replaces all before it."""
        found = [nal for nal in nals if self._codec.is_parameter_set(nal)]
        if any(self._codec.nal_type(nal) == self._codec.sequence_type for nal in found):
            self._units = []
        self._units += [nal for nal in dict.fromkeys(found) if nal not in self._units]

    def ordered(self) -> list[bytes]:
        """Return the parameter sets in the order in which a decoder wants them."""
        return sorted(self._units, key=self._codec.nal_type)
