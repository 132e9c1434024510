"""What is to be drawn: a scenario is a seed, a view and a time of day, and decides every pixel."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

CLASSES = ("car", "lorry", "motorcycle", "pedestrian")
CAR, LORRY, MOTORCYCLE, PEDESTRIAN = range(4)

# Part of every cache key: raise it when the look, the traffic or the truth of a scenario changes.
WORLD_VERSION = 3

TimeOfDay = Literal["day", "dusk", "night"]

_CAMERAS: tuple[tuple[str, TimeOfDay], ...] = (
    ("crossroads", "day"),
    ("bridge", "day"),
    ("street", "dusk"),
    ("car_park", "day"),
    ("junction", "night"),
    ("bridge", "night"),
    ("street", "day"),
    ("crossroads", "dusk"),
    ("car_park", "night"),
    ("junction", "day"),
    ("bridge", "dusk"),
    ("crossroads", "night"),
    ("car_park", "dusk"),
    ("junction", "dusk"),
    ("street", "night"),
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One camera's world.

    Attributes:
        seed: Decides traffic, colours, clutter and noise.
        view: Name of a view in ``VIEWS``.
        time_of_day: Light of the scene.
        width: Picture width in pixels, even.
        height: Picture height in pixels, even; 16:9 is what the views' rules are made for.
        fps: Frames a second.
        duration_s: Length of the clip.
        density: Factor on the number of vehicles and pedestrians.

    Raises:
        ValueError: If a size is odd or too small, or a rate or duration is not positive.
    """

    seed: int
    view: str
    time_of_day: TimeOfDay = "day"
    width: int = 640
    height: int = 360
    fps: int = 25
    duration_s: float = 30.0
    density: float = 1.0

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2 or self.width < 64 or self.height < 36:
            raise ValueError(
                f"scenario size {self.width}x{self.height}: use even numbers of at least 64x36"
            )
        if self.fps < 1 or self.duration_s <= 0 or self.density <= 0:
            raise ValueError(
                f"scenario fps={self.fps}, duration_s={self.duration_s}, density={self.density}: "
                "each must be positive"
            )

    @property
    def num_frames(self) -> int:
        """Number of frames of the clip."""
        return max(1, round(self.duration_s * self.fps))

    def digest(self) -> str:
        """Return a name for this scenario's clip: a hash of all that decides it."""
        text = json.dumps({"world": WORLD_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def scenarios(num_cameras: int, seed: int = 0) -> list[Scenario]:
    """Return scenarios for a number of cameras: views and times of day in turn, each its own seed.

    Raises:
        ValueError: If the number is negative.
    """
    if num_cameras < 0:
        raise ValueError(f"num_cameras is {num_cameras}: use 0 or more")
    picked = (_CAMERAS[i % len(_CAMERAS)] for i in range(num_cameras))
    return [
        Scenario(seed=seed * 10_000 + i, view=view, time_of_day=time_of_day)
        for i, (view, time_of_day) in enumerate(picked)
    ]
