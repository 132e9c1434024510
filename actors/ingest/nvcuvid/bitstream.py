"""H.264 and H.265 as libnvcuvid wants them: start codes before NAL units, parameter sets in front.

Cameras send them so; MP4 puts lengths before NAL units and keeps parameter sets apart (ISO/IEC
14496-15, 5.3.3.1 and 8.3.3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

START_CODE = b"\x00\x00\x00\x01"
_AVCC_BYTES, _HVCC_BYTES = 7, 23


@dataclass(frozen=True, slots=True)
class Framing:
    """How NAL units of a stream are told apart.

    Attributes:
        head: Its parameter sets, with start codes; empty where they come with the pictures.
        length_bytes: Size of the number before a NAL unit; 0 where there are start codes.
    """

    head: bytes
    length_bytes: int

    def plain(self, data: bytes) -> bytes:
        """A coded picture with start codes.

        Raises:
            ValueError: if lengths lead out of it.
        """
        if not self.length_bytes:
            return data
        return b"".join(START_CODE + unit for unit in _units(data, self.length_bytes))


def framing(codec: str, extradata: bytes | None) -> Framing:
    """How a stream is framed.

    Args:
        codec: ``h264`` or ``hevc``.
        extradata: What its container says of it.

    Raises:
        ValueError: if that makes no sense.
    """
    if not extradata or extradata.startswith((START_CODE, START_CODE[1:])):
        return Framing(extradata or b"", 0)
    try:
        return _of_avcc(extradata) if codec == "h264" else _of_hvcc(extradata)
    except IndexError:
        raise ValueError(f"parameter sets of {codec} end early") from None


def _of_avcc(record: bytes) -> Framing:
    sets, at = b"", _AVCC_BYTES - 2
    for mask in (0x1F, 0xFF):  # sequence parameter sets, then those of pictures
        num, at = record[at] & mask, at + 1
        found, at = _sets(record, at, num)
        sets += found
    return Framing(sets, (record[4] & 3) + 1)


def _of_hvcc(record: bytes) -> Framing:
    sets, at = b"", _HVCC_BYTES
    for _ in range(record[_HVCC_BYTES - 1]):
        num = int.from_bytes(record[at + 1 : at + 3], "big")
        found, at = _sets(record, at + 3, num)
        sets += found
    return Framing(sets, (record[21] & 3) + 1)


def _sets(record: bytes, at: int, num: int) -> tuple[bytes, int]:
    """So many parameter sets with start codes, and where they end."""
    found = b""
    for _ in range(num):
        size = record[at] << 8 | record[at + 1]
        found, at = found + START_CODE + record[at + 2 : at + 2 + size], at + 2 + size
    return found, at


def _units(data: bytes, length_bytes: int) -> list[bytes]:
    units, at = [], 0
    while at < len(data):
        begin = at + length_bytes
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data):
            raise ValueError(f"a NAL unit of {at - begin} bytes in {len(data)}")
        units.append(data[begin:at])
    return units
