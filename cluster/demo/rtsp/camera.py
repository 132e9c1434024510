"""How a camera is described, and what is counted of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.errors import InvalidCameraError

TRANSPORTS = frozenset({"tcp", "udp"})
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera to be served.

    Attributes:
        name: Path of its URL: letters, digits, ``_``, ``.``, ``-``, parts joined by ``/``.
        clip: What it plays, again and again.
        username: Where given, clients must authenticate (digest).
        password: Goes with ``username``.
        transports: ``"tcp"`` (interleaved), ``"udp"``, or both.
        epoch: Wall clock of its first picture, seconds since 1970; None begins when the
            camera is added, cameras shifted against each other by eighths of a frame.
        timestamp_offset: RTP time at the epoch; None is random.
        first_sequence: RTP sequence number of the first packet; None is random.
    """

    name: str
    clip: Clip
    username: str | None = None
    password: str | None = None
    transports: Collection[str] = TRANSPORTS
    epoch: float | None = None
    timestamp_offset: int | None = None
    first_sequence: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = f"name: {self.name!r}; use letters, digits, '_', '.', '-' and '/' between"
            raise InvalidCameraError(message)
        if (self.username is None) != (self.password is None):
            message = f"camera {self.name}: give username and password, or neither"
            raise InvalidCameraError(message)
        if self.username is not None and ":" in self.username:
            message = (
                f"camera {self.name}: the username holds a ':', which clients take for its end"
            )
            raise InvalidCameraError(f"{message}; choose another")
        if not self.transports or not TRANSPORTS.issuperset(self.transports):
            message = f"camera {self.name}: transports {sorted(self.transports)}; give tcp, udp"
            raise InvalidCameraError(message)

    def __repr__(self) -> str:
        return f"Camera({self.name!r}, {len(self.clip.units)} pictures)"


@dataclass(slots=True)
class CameraCounters:
    """What a camera has done since it was added; frames and packets are summed over clients."""

    num_clients: int = 0
    num_frames_sent: int = 0
    num_packets_sent: int = 0
    num_bytes_sent: int = 0
    num_packets_lost: int = 0
    """Left out by the loss fault."""
    num_frames_dropped: int = 0
    """Not sent because a client did not read."""
