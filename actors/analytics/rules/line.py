"""Line crossing: an object's foot goes from one side of a line segment to the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.geometry import Line, between, to_pixels
from actors.analytics.rules.scene import Occurrence, Scene, Sighting, feet_of
from actors.analytics.rules.side import Side
from actors.specs import LineRule


@dataclass(slots=True)
class _Path:
    last: Sighting
    side: Side = field(default_factory=Side)
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
        line = Line(*to_pixels(self.spec.points, scene.source_size))
        sightings, feet = scene.of_classes(self.spec.classes)
        crossings = []
        for sighting, distance_px in zip(sightings, line.distances(feet), strict=True):
            path = self._paths.get(sighting.track) or self._begin(sighting, line)
            if path.side.stays(distance_px, sighting.at):
                path.last = sighting
            elif self._advance(path, sighting, distance_px, line):
                crossings.append(self._crossing(path))
        for track in scene.ended:
            self._paths.pop(track, None)
        return [c for c in crossings if self.spec.direction in ("both", c.data["direction"])]

    def close(self, reason: str) -> list[Occurrence]:
        """Forget all objects; a crossing has no end to report."""
        self._paths.clear()
        return []

    def _begin(self, sighting: Sighting, line: Line) -> _Path:
        first = sighting.first or sighting
        self._paths[sighting.track] = path = _Path(first)
        if sighting.first is not None:
            (first_px,) = line.distances(feet_of([first]))
            self._advance(path, first, first_px, line)
        return path

    def _advance(self, path: _Path, sighting: Sighting, distance_px: float, line: Line) -> bool:
        """Move along the path; whether this completes a crossing of the segment."""
        last, had_side = path.last, path.side.settled is not None
        path.last = sighting
        fraction = path.side.observe(distance_px, sighting.at)
        if fraction is not None:
            path.met_segment = line.is_beside(between(last.foot, sighting.foot, fraction))
        return path.side.settle(sighting.size_px) and had_side and path.met_segment

    def _crossing(self, path: _Path) -> Occurrence:
        direction = "forward" if path.side.settled else "backward"
        return Occurrence(
            EventType.LINE_CROSS,
            Phase.INSTANT,
            self.spec.name,
            path.last,
            path.side.since or path.last.at,
            {"direction": direction},
        )
