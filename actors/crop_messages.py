"""What travels between analytics and engine for secondary models: crops asked for, and answers.

Analytics knows the tracks, the engine has the pictures, and a picture is gone once it is inferred.
So analytics asks ahead, and the engine looks when the stream's next frame is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from actors.cascade_specs import SecondarySpec
from engines.crops import Box
from engines.readings import Attributes, Embeddings, Pictures, Readings, Texts
from engines.spec import ModelSpec

BEST_CROP = "@best_crop"
"""For whom best crops are asked: no secondary model of users can have this name."""


@dataclass(frozen=True, slots=True)
class SecondaryModel:
    """One secondary model of a pipeline.

    Attributes:
        spec: What the user asked for.
        model: What its model is.
    """

    spec: SecondarySpec
    model: ModelSpec


@dataclass(frozen=True, slots=True)
class CropRequest:
    """One object of a stream should be looked at in the stream's next frame.

    Attributes:
        stream: Stream id.
        session: Source session.
        secondary: Name of the secondary that should look.
        track: Identity of the object.
        class_id: Its class.
        box: Where it was last seen, source pixels.
        velocity_px_s: How fast left, top, right and bottom moved then, pixels a second.
        ts: When that was: UTC, seconds since 1970.
    """

    stream: str
    session: int
    secondary: str
    track: int
    class_id: int
    box: Box
    velocity_px_s: Box
    ts: float


class MissReason(str, Enum):
    """Why a crop that was asked for was not read."""

    BUSY = "busy"  # frames need all the time of the engine
    LATE = "late"  # no time was left before a deadline, or others came first
    ABSENT = "absent"  # nothing like the object is in the frame
    ASTRAY = "astray"  # it was cut from an object that is another track's


@dataclass(frozen=True, slots=True, eq=False)
class CropAnswer:
    """What one secondary made of crops of one frame.

    Attributes:
        secondary: Its name.
        tracks: Whose crops were asked for.
        rows: For each, the detection of the frame that was looked at.
        readings: In the same order; None of a detector, whose boxes others have looked at.
        missed: Tracks that were not looked at.
        reason: Why not.
    """

    secondary: str
    tracks: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    readings: Readings | None = None
    missed: tuple[int, ...] = ()
    reason: MissReason = MissReason.ABSENT

    def part(self, numbers: Sequence[int]) -> CropAnswer:
        """The answer for some of its tracks only, by number from 0; nothing counts as missed."""
        if len(numbers) == len(self.tracks):
            return replace(self, missed=())
        return CropAnswer(
            self.secondary,
            tuple(self.tracks[number] for number in numbers),
            tuple(self.rows[number] for number in numbers),
            None if self.readings is None else part_of(self.readings, numbers),
        )


def part_of(readings: Readings, numbers: Sequence[int]) -> Readings:
    """Some of the readings, by number from 0, in the order of the numbers."""
    rows = list(numbers)
    if isinstance(readings, Attributes):
        return Attributes(tuple(head[rows] for head in readings.probabilities))
    if isinstance(readings, Texts):
        return Texts(tuple(readings.text[row] for row in rows), readings.confidence[rows])
    if isinstance(readings, Pictures):
        return Pictures(tuple(readings.jpegs[row] for row in rows))
    return Embeddings(readings.vectors[rows])
