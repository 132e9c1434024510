"""Line crossing: an object's foot goes from one side of a line segment to the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.geometry import Point, between, is_beside, line_distance, to_pixels
from actors.analytics.rules.scene import Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.specs import LineRule


@dataclass(slots=True)
class _Path:
    side: Side = field(default_factory=Side)
    foot: Point = (0.0, 0.0)
    met_segment: bool = False


class LineCrossing:
    """Reports each crossing once, when the object is certainly across, with its true moment.

    An object whose first sightings lie on the line belongs to neither side until it is clear of it.
    Going round an end of the segment is no crossing.
    """

    def __init__(self, spec: LineRule) -> None:
        self.spec = spec
        self._paths: dict[int, _Path] = {}

    def update(self, scene: Scene) -> list[Occurrence]:
        """The crossings that this scene completes."""
        a, b = to_pixels(self.spec.points, scene.source_size)
        crossings = []
        for sighting in scene.of_classes(self.spec.classes):
            path = self._paths.setdefault(sighting.track, _Path())
            if sighting.first is not None:
                self._advance(path, sighting.first, a, b)
            if self._advance(path, sighting, a, b):
                crossings.append(self._crossing(path, sighting))
        for track in scene.ended:
            self._paths.pop(track, None)
        return [c for c in crossings if self.spec.direction in ("both", c.data["direction"])]

    def close(self, reason: str) -> list[Occurrence]:
        """Forget all objects; a crossing has no end to report."""
        self._paths.clear()
        return []

    def _advance(self, path: _Path, sighting: Sighting, a: Point, b: Point) -> bool:
        """Move along the path; whether this completes a crossing of the segment."""
        foot, had_side = sighting.foot, path.side.settled is not None
        fraction = path.side.observe(line_distance(foot, a, b), sighting.at)
        if fraction is not None:
            path.met_segment = is_beside(between(path.foot, foot, fraction), a, b)
        path.foot = foot
        return path.side.settle(sighting.size_px) and had_side and path.met_segment

    def _crossing(self, path: _Path, sighting: Sighting) -> Occurrence:
        direction = "forward" if path.side.settled else "backward"
        return Occurrence(
            EventType.LINE_CROSS,
            Phase.INSTANT,
            self.spec.name,
            sighting,
            path.side.since or sighting.at,
            {"direction": direction},
        )
