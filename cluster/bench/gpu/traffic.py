"""What a film weighs on its way: receiving costs by the packet, and a packet holds little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster.demo.rtsp.clip import Clip

_BITS_PER_MBIT = 1e6


def traffic_of(film: Path) -> dict[str, Any]:
    """A film as our camera server sends it: ``mbit_s``, ``rtp_packets`` a frame, ``fps``."""
    clip = Clip.open(film)
    num_packets = sum(len(unit.payloads) for unit in clip.units)
    num_bits = 8 * sum(len(payload) for unit in clip.units for payload in unit.payloads)
    return {
        "film": film.name,
        "codec": clip.codec.name,
        "fps": round(clip.fps, 2),
        "mbit_s": round(num_bits / clip.duration_s / _BITS_PER_MBIT, 2),
        "rtp_packets": round(num_packets / len(clip.units), 1),
    }
