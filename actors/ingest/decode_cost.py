"""What decoding costs: the unit in which decoders are measured and streams are counted. Pure.

A picture costs its pixels, and as much as one of 640x360 for all that is done once a picture:
reading its packets, booking it, handing it on. On a CPU that was 0.5 ms beside 2.2 ns a pixel. The
unit is a million such pixels a second, Mpx/s; 1080p at 25 frames a second takes 57.6 of them.
"""

from __future__ import annotations

from dataclasses import dataclass

PICTURE_PX = 640 * 360
"""What a picture costs beside its pixels, in pixels."""

FULL_HD = (1920, 1080)
USUAL_FPS = 25.0


@dataclass(frozen=True, slots=True)
class DecodeCapacity:
    """What a decoder was measured to do with H.264 of 1080p, all threads together.

    Attributes:
        decoder: ``cpu`` or ``nvdec``.
        device: Product name of the CPU or the GPU.
        num_cores: Cores that a CPU decoder may use; for a GPU those of its host.
        full_hd_fps: Frames a second.
    """

    decoder: str
    device: str
    num_cores: int
    full_hd_fps: float

    @property
    def mpx_s(self) -> float:
        """The same in Mpx/s."""
        return cost_mpx_s(*FULL_HD, self.full_hd_fps)


def cost_mpx_s(width: int, height: int, fps: float) -> float:
    """What decoding a stream takes, Mpx/s.

    Args:
        width: Of its pictures, pixels.
        height: Likewise.
        fps: Pictures a second.
    """
    return (width * height + PICTURE_PX) * fps / 1e6


def full_hd_fps(mpx_s: float) -> float:
    """How many frames a second of 1080p cost so much."""
    return mpx_s / cost_mpx_s(*FULL_HD, 1.0)


ASSUMED_MPX_S = cost_mpx_s(*FULL_HD, USUAL_FPS)
"""What a stream is taken for until its source is known: 1080p at 25 frames a second."""
