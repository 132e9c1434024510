"""NAL units of H.265 in RTP packets (RFC 7798): alone, together (AP), in parts (FU)."""

from __future__ import annotations

from actors.ingest.rtsp.depacketizer import Depacketizer
from actors.ingest.rtsp.nal import START_CODE
from actors.ingest.rtsp.unfamiliar import UnfamiliarError

_SLICES = range(32)
_RANDOM_ACCESS = range(16, 24)
_AGGREGATE, _FRAGMENT = 48, 49


class H265Depacketizer(Depacketizer):
    """Access units of H.265, sent in the order in which they are decoded."""

    _FRAGMENT_BYTES = 3

    __slots__ = ()

    def _take(self, begin: int, end: int) -> None:
        kind = self._buffer[begin] >> 1 & 0x3F
        if kind == _FRAGMENT:
            self._take_fragment(begin, end)
        elif kind == _AGGREGATE:
            self._take_aggregate(begin + 2, end)
        elif kind < _AGGREGATE:
            self._take_unit(begin, end)
        else:
            raise UnfamiliarError("sends H.265 in packets of another kind than RFC 7798 has")

    def _take_fragment(self, begin: int, end: int) -> None:
        if begin + 2 >= end:
            return
        first, second, flags = self._buffer[begin : begin + 3]
        kind = flags & 0x3F
        if flags & 0x80:
            self._note(kind, begin + 3, end)
            self._parts.append(START_CODE + bytes((first & 0x81 | kind << 1, second)))
            self._fragment = (first << 8 | second) << 8 | kind
        if self._fragment:
            self._parts.append(self._view[begin + 3 : end])
        if flags & 0x40:
            self._fragment = 0

    def _take_unit(self, begin: int, end: int) -> None:
        self._note(self._buffer[begin] >> 1 & 0x3F, begin + 2, end)
        self._add(begin, end)

    def _note(self, kind: int, begin: int, end: int) -> None:
        """See what a NAL unit means for its access unit by its kind and its first bytes."""
        if kind in _SLICES and begin < end:
            self._begin_slice(begin, is_keyframe=kind in _RANDOM_ACCESS)
