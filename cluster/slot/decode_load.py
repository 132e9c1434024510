"""What decoding takes of a slot: stream by stream, and what its decoder was seen to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from actors.ingest.decode_cost import USUAL_FPS, cost_mpx_s
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.messages import HELD_BACK, StreamState
from cluster.slot.capacity import SteadyValue

_MAX_PLAUSIBLE_FPS = 120.0
_BUSY = 0.1
"""Share of the cores below which the work that is not decoding spoils the figure."""


class DecodeMeter:
    """What decoding one stream takes, at the rate at which its source sends.

    The rate is what the source says, or more where more was seen to last since it was opened. Where
    it says nothing plausible it is what was seen, and 25 frames a second before. What is seen may
    be too little where decoders are full, so a stream that is late or degraded makes no room.

    Args:
        expected_mpx_s: What it took before, which counts until its source is open; None where that
            is not known.

    Attributes:
        mpx_s: The cost; None while nothing is known of a source that is being opened. One that
            does not open costs nothing.
    """

    def __init__(self, expected_mpx_s: float | None = None) -> None:
        self.mpx_s = self._expected_mpx_s = expected_mpx_s
        self._session = 0
        self._fps = SteadyValue()
        self._highest_fps = 0.0

    def observe(self, camera: CameraStatus, now: float) -> None:
        """Take what its ingest actor says; ``now`` in seconds, never going back."""
        if camera.state in (StreamState.ENDED, StreamState.FAILED):
            self.mpx_s = 0.0
            return
        found = camera.properties
        if found is None or not found.width or not found.height:
            is_opening = camera.state is StreamState.CONNECTING
            self.mpx_s = self._expected_mpx_s if is_opening else 0.0
            return
        self._follow(camera, now)
        said_fps = found.fps if found.fps and found.fps <= _MAX_PLAUSIBLE_FPS else 0.0
        fps = max(said_fps, self._highest_fps) or USUAL_FPS
        self.mpx_s = cost_mpx_s(found.width, found.height, fps)

    def _follow(self, camera: CameraStatus, now: float) -> None:
        if not _is_decoded_whole(camera) or camera.decode_lag_s:
            return
        if camera.session != self._session:
            self._session, self._fps, self._highest_fps = camera.session, SteadyValue(), 0.0
        self._fps.add(camera.fps, now)
        self._highest_fps = max(self._highest_fps, self._fps.value)


class DecodeSpeed:
    """What the cores do of the work that streams bring, from processor time and decoded frames.

    The clip with which a decoder is measured at the start is one of many; the cameras' own
    pictures may be twice as hard, or half. For NVDEC there is no such account.

    Attributes:
        mpx_s: All cores together; 0 while cameras have not kept a tenth of them busy for five
            seconds.
        most_mpx_s: The most that was decoded over ten seconds, whatever it took.
    """

    def __init__(self, num_cores: int) -> None:
        self.most_mpx_s = 0.0
        self._num_cores = num_cores
        self._steady, self._decoded = SteadyValue(), SteadyValue()
        self._last: tuple[float, dict[str, float]] | None = None

    @property
    def mpx_s(self) -> float:
        """See the class."""
        return self._steady.value

    def observe(self, ingests: Iterable[IngestStatus], now: float) -> None:
        """Take what the ingest actors say; ``now`` in seconds, never going back."""
        known = {each.incarnation: each for each in ingests}
        decoded_mpx_s = {name: _decoded_mpx_s(each) for name, each in known.items()}
        self._decoded.add(sum(decoded_mpx_s.values()), now)
        self.most_mpx_s = max(self.most_mpx_s, self._decoded.value)
        last, self._last = self._last, (now, {name: each.cpu_s for name, each in known.items()})
        if last is None or now <= last[0]:
            return
        elapsed_s, before = now - last[0], last[1]
        both = [name for name in known if name in before]
        cpu_s = sum(known[name].cpu_s - before[name] for name in both)
        if cpu_s < _BUSY * self._num_cores * elapsed_s:
            return
        work_mpx = elapsed_s * sum(decoded_mpx_s[name] for name in both)
        if work_mpx > 0:
            self._steady.add(self._num_cores * work_mpx / cpu_s, now)


def _decoded_mpx_s(ingest: IngestStatus) -> float:
    """What an ingest actor decodes at present."""
    return sum(
        cost_mpx_s(camera.properties.width, camera.properties.height, camera.fps)
        for camera in ingest.streams
        if camera.properties is not None and camera.fps > 0
    )


def _is_decoded_whole(camera: CameraStatus) -> bool:
    is_running = camera.state is StreamState.RUNNING and camera.fps > 0
    return is_running and camera.degrade_step not in HELD_BACK
