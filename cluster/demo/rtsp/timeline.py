"""When each picture of a looping clip is due. Pure arithmetic in RTP ticks."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from cluster.demo.rtsp.clip import AccessUnit, Clip


@dataclass(frozen=True, slots=True)
class Timeline:
    """A clip that repeats for ever.

    Pictures are numbered through all loops, in decode order; number 0 begins the first loop.

    Attributes:
        clip: What is played.
        start: Ticks of the clip's first picture, on the clock of the camera.
    """

    clip: Clip
    start: int = 0

    def unit(self, number: int) -> AccessUnit:
        """Return the access unit that picture ``number`` is."""
        return self.clip.units[number % len(self.clip.units)]

    def due(self, number: int) -> int:
        """Return the ticks at which picture ``number`` is sent."""
        return self._loop_start(number) + self.unit(number).due

    def pts(self, number: int) -> int:
        """Return the ticks at which picture ``number`` is shown."""
        return self._loop_start(number) + self.unit(number).pts

    def first_due(self, ticks: int) -> int:
        """Return the first picture that is due at ``ticks`` or later, never one before 0."""
        loop, within = divmod(ticks - self.start - self.clip.dues[0], self.clip.duration)
        index = bisect_left(self.clip.dues, within + self.clip.dues[0])
        return max(0, loop * len(self.clip.units) + index)

    def keyframe(self, number: int) -> int:
        """Return the first picture from ``number`` on that is a keyframe."""
        while not self.unit(number).keyframe:
            number += 1
        return number

    def num_packets(self, begin: int, end: int) -> int:
        """Return how many RTP packets the pictures from ``begin`` up to ``end`` have."""
        return sum(len(self.unit(number).payloads) for number in range(begin, end))

    def _loop_start(self, number: int) -> int:
        return self.start + number // len(self.clip.units) * self.clip.duration
