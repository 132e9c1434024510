"""What really happens in a world: boxes and identities of each frame, and events with their times.

Boxes are *amodal within the picture*: they bound the whole object, also the part that something
hides, clipped to the picture. ``ignore`` marks objects that nobody should be scored on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.demo.world.scenario import Scenario

EventType = Literal[
    "line_cross",
    "zone_enter",
    "zone_exit",
    "wrong_way",
    "illegal_parking",
    "loitering",
    "overcrowding",
    "speed",
    "object",
]
Phase = Literal["instant", "begin", "end", "doubt"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameTruth:
    """The objects of one frame, as arrays of one length N.

    Attributes:
        index: Number of the frame.
        t_s: Time of the frame since the clip's start.
        xyxy: Boxes in pixels, float32 ``[N, 4]``, clipped to the picture.
        class_id: Index in ``CLASSES``, int32 ``[N]``.
        identity: Number of the object, unique in the clip, int32 ``[N]``.
        visible: Visible share of the object's silhouette, 0..1, float32 ``[N]``: what is outside
            the picture or behind another thing is not visible.
        ignore: True where the object is too small or too hidden to be scored, bool ``[N]``.
    """

    index: int
    t_s: float
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    identity: NDArray[np.int32]
    visible: NDArray[np.float32]
    ignore: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.class_id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameTruth):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """Return the frame as JSON values; coordinates and shares have two digits."""
        return {
            "index": self.index,
            "t_s": self.t_s,
            "xyxy": [[round(float(v), 2) for v in box] for box in self.xyxy],
            "class_id": self.class_id.tolist(),
            "identity": self.identity.tolist(),
            "visible": [round(float(v), 2) for v in self.visible],
            "ignore": self.ignore.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FrameTruth:
        """Build a frame from what ``to_dict`` gave."""
        return cls(
            index=values["index"],
            t_s=values["t_s"],
            xyxy=np.array(values["xyxy"], dtype=np.float32).reshape(-1, 4),
            class_id=np.array(values["class_id"], dtype=np.int32),
            identity=np.array(values["identity"], dtype=np.int32),
            visible=np.array(values["visible"], dtype=np.float32),
            ignore=np.array(values["ignore"], dtype=bool),
        )


@dataclass(frozen=True, slots=True)
class TruthEvent:
    """Something that a rule should report.

    Attributes:
        type: What happened.
        phase: ``instant`` for a line, ``begin`` and ``end`` for all that lasts; ``doubt`` where it
            may be reported as begun or ended, or not: it was a matter of a little more or less.
        rule: Name of the view's line or zone, or of what looks for objects.
        identity: The object; 0 for a crowd.
        class_id: Its class; -1 for a crowd.
        t_s: When, since the clip's start. Parking begins when the car comes to rest, a stay when
            the object comes, a crowd when there are too many.
        direction: ``forward`` or ``backward`` over a line, else empty.
        ignore: True where a good tracker may or may not report it: the object was not clearly seen
            on both sides of the event. Such an event counts neither as found nor as missed.
    """

    type: EventType
    phase: Phase
    rule: str
    identity: int
    class_id: int
    t_s: float
    direction: str = ""
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is known of a clip. Identities do not continue when a player loops it."""

    scenario: Scenario
    frames: tuple[FrameTruth, ...]
    events: tuple[TruthEvent, ...]

    def scored_events(self, type_: EventType | None = None) -> tuple[TruthEvent, ...]:
        """Return the events that count, in order of time, of one type or of all."""
        return tuple(e for e in self.events if not e.ignore and type_ in (None, e.type))

    def to_json(self) -> str:
        """Return the truth as one JSON object."""
        return json.dumps(
            {
                "scenario": asdict(self.scenario),
                "frames": [frame.to_dict() for frame in self.frames],
                "events": [asdict(event) for event in self.events],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Truth:
        """Build the truth from what ``to_json`` gave.

        Raises:
            ValueError: If the text is not JSON.
            KeyError: If a field is missing.
        """
        values = json.loads(text)
        return cls(
            scenario=Scenario(**values["scenario"]),
            frames=tuple(FrameTruth.from_dict(frame) for frame in values["frames"]),
            events=tuple(TruthEvent(**event) for event in values["events"]),
        )
