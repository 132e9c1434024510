"""NAL units of H.264 in RTP packets (RFC 6184): alone, together (STAP-A), in parts (FU-A)."""

from __future__ import annotations

from actors.ingest.rtsp.depacketizer import Depacketizer
from actors.ingest.rtsp.nal import START_CODE, has_recovery_point
from actors.ingest.rtsp.unfamiliar import UnfamiliarError

_IDR, _SEI, _STAP_A, _FU_A = 5, 6, 24, 28
_BEGINNINGS = [START_CODE + bytes((header,)) for header in range(256)]


class H264Depacketizer(Depacketizer):
    """Access units of H.264, in packetisation modes 0 and 1."""

    _FRAGMENT_BYTES = 2

    __slots__ = ()

    def _take(self, begin: int, end: int) -> None:
        header = self._buffer[begin]
        kind = header & 0x1F
        if kind == _FU_A:
            if begin + 2 < end:
                self._take_fragment(header, begin + 2, end)
        elif kind == _STAP_A:
            self._take_aggregate(begin + 1, end)
        elif 0 < kind < _STAP_A:
            self._take_unit(begin, end)
        else:
            raise UnfamiliarError("sends H.264 in packets of an interleaved mode")

    def _take_fragment(self, indicator: int, begin: int, end: int) -> None:
        flags = self._buffer[begin - 1]
        kind = flags & 0x1F
        if flags & 0x80:
            if not 0 < kind < _IDR or not self._has_picture:  # as further slices are not
                self._note(kind, begin, end)
            self._parts.append(_BEGINNINGS[indicator & 0xE0 | kind])
            self._fragment = indicator << 8 | kind
        if self._fragment:
            self._parts.append(self._view[begin:end])
        if flags & 0x40:
            self._fragment = 0

    def _take_unit(self, begin: int, end: int) -> None:
        self._note(self._buffer[begin] & 0x1F, begin + 1, end)
        self._add(begin, end)

    def _note(self, kind: int, begin: int, end: int) -> None:
        """See what a NAL unit means for its access unit by its kind and its first bytes."""
        if 0 < kind <= _IDR:
            if begin < end:
                self._begin_slice(begin, is_keyframe=kind == _IDR)
        elif kind == _SEI and has_recovery_point(bytes(self._view[begin:end])):
            self._is_keyframe = True
