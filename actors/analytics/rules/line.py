"""Line crossing: an object's foot goes from one side of a line segment to the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.conditions import Conditions
from actors.analytics.rules.geometry import Line, Point, between
from actors.analytics.rules.scene import Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.whereabouts import Whereabouts, foot_in
from actors.rule_specs import LineRule


@dataclass(slots=True)
class _Path:
    foot: Point
    side: Side = field(default_factory=Side)
    met_segment: bool = False

    def catch_up(self, last: Scene | Sighting, track: int, line: Line) -> None:
        """Take where the object was last seen, if that was only noted."""
        self.foot = foot_in(last, track)
        self.side.distance_px, self.side.at = line.distance(self.foot), last.at


class LineCrossing:
    """Reports each crossing once, when the object is certainly across, with its true moment.

    An object whose first sightings lie on the line belongs to neither side until it is clear of it.
    Going round an end of the segment is no crossing. ``data.counts`` has the crossings of both
    directions since the rule was made, whichever are reported.
    """

    def __init__(self, spec: LineRule) -> None:
        self.spec = spec
        self._paths: dict[int, _Path] = {}
        self._whereabouts = Whereabouts()
        self._counts = {"forward": 0, "backward": 0}
        self._conditions = Conditions.of(spec)
        self._lines: dict[tuple[int, int], Line] = {}  # by size of the picture

    def update(self, scene: Scene) -> list[Occurrence]:
        """The crossings that this scene completes."""
        line, crossings = self._line(scene.source_size), []
        for number, track, before in self._whereabouts.take(scene, self._conditions):
            path = self._paths.get(track)
            distance_px = line.distance(scene.feet[number])
            if path is None or not path.side.stays(distance_px, scene.at):
                sighting = scene.sighting(number)
                if path is None:
                    path = self._begin(sighting, line)
                elif before is not None:
                    path.catch_up(before, track, line)
                if self._advance(path, sighting, line):
                    crossings.append(self._crossing(path, sighting))
            if path.side.rest is None:
                self._whereabouts.move(track)
            else:
                self._whereabouts.rest(scene, number, abs(distance_px))
        for track in scene.ended:
            self._paths.pop(track, None)
            self._whereabouts.forget(track)
        return [c for c in crossings if self.spec.direction in ("both", c.data["direction"])]

    def close(self, reason: str) -> list[Occurrence]:
        """Forget all objects; a crossing has no end to report."""
        self._paths.clear()
        self._whereabouts.clear()
        return []

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        paths = self._paths.values()
        to.ints(self._paths)
        to.sides([path.side for path in paths])
        to.flags([path.met_segment for path in paths])
        to.sightings(self._whereabouts.sightings(self._paths))
        to.ints(self._counts.values())

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        tracks = saved.ints()
        rows = zip(tracks, saved.sides(), saved.flags(), strict=True)
        self._paths = {track: _Path((0.0, 0.0), side, bool(met)) for track, side, met in rows}
        self._whereabouts.restore(tracks, saved.sightings())
        self._counts = dict(zip(self._counts, saved.ints(), strict=True))

    def _line(self, size: tuple[int, int]) -> Line:
        """The line in pixels, worked out once for each size of the picture."""
        if size not in self._lines:
            self._lines = {size: Line(*self.spec.in_pixels(self.spec.points, size))}
        return self._lines[size]

    def _begin(self, sighting: Sighting, line: Line) -> _Path:
        first = sighting.first or sighting
        self._paths[sighting.track] = path = _Path(first.foot)
        if sighting.first is not None:
            self._advance(path, first, line)
        return path

    def _advance(self, path: _Path, sighting: Sighting, line: Line) -> bool:
        """Move along the path; whether this completes a crossing of the segment."""
        foot, had_side = sighting.foot, path.side.settled is not None
        fraction = path.side.observe(line.distance(foot), sighting.at)
        if fraction is not None:
            path.met_segment = line.is_beside(between(path.foot, foot, fraction))
        path.foot = foot
        return path.side.settle(sighting.size_px) and had_side and path.met_segment

    def _crossing(self, path: _Path, sighting: Sighting) -> Occurrence:
        direction = "forward" if path.side.settled else "backward"
        self._counts[direction] += 1
        return Occurrence(
            EventType.LINE_CROSS,
            Phase.INSTANT,
            self.spec.name,
            sighting,
            path.side.since or sighting.at,
            {"direction": direction, "counts": dict(self._counts)},
        )
