"""What a source says of itself; apart from `source`, so that readers need no codecs."""

from __future__ import annotations

from dataclasses import dataclass

_DEFAULT_FPS = 25.0


@dataclass(frozen=True, slots=True)
class SourceProperties:
    """What a source says of itself when it opens.

    Attributes:
        codec: FFmpeg's name of the coding (``h264``, ``hevc``).
        width: Of the picture, pixels; 0 where it is not known before the first picture.
        height: Of the picture, pixels; 0 likewise.
        fps: Nominal pictures a second; None where it is not known.
        is_live: True for a camera: its end is a disconnect. False for what ends.
        duration_s: Of a file; None where it is live or not known.
        decoder: What decodes it: ``cpu`` or ``nvdec``; empty before it is known.
        fallback: Why that is the CPU where the GPU should decode; else empty.
    """

    codec: str
    width: int
    height: int
    fps: float | None
    is_live: bool
    duration_s: float | None
    decoder: str = ""
    fallback: str = ""

    @property
    def interval_s(self) -> float:
        """Nominal time between pictures, seconds; that of 25 a second where it is not known."""
        return 1.0 / (self.fps or _DEFAULT_FPS)
