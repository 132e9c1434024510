"""Line crossing: an object's foot goes from one side of a line segment to the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.geometry import Line, Point, between
from actors.analytics.rules.lookout import Lookout
from actors.analytics.rules.scene import Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.whereabouts import Last, Whereabouts, foot_in
from actors.rule_specs import LineRule


@dataclass(slots=True)
class _Path:
    foot: Point
    side: Side = field(default_factory=Side)
    met_segment: bool = False

    def catch_up(self, last: Last, track: int, line: Line) -> None:
        """Take where the object was seen before, if that was only noted."""
        if last is not None:
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
        self._lookout = Lookout(spec)
        self._counts = {"forward": 0, "backward": 0}
        self._lines: dict[tuple[int, int], Line] = {}  # by size of the picture

    def update(self, scene: Scene) -> list[Occurrence]:
        """The crossings that this scene completes."""
        crossings = []
        for number in self._lookout.take(scene):
            track, line = scene.tracks[number], self._line(scene.source_size)
            path, distance_px = self._paths.get(track), line.distance(scene.foot(number))
            if path is None or not path.side.stays(distance_px, scene.at):
                sighting = scene.sighting(number)
                if path is None:
                    path = self._begin(sighting, line)
                else:
                    path.catch_up(self._lookout.whereabouts.before(track), track, line)
                if self._advance(path, sighting, line):
                    crossings += self._crossing(path, sighting)
            if path.side.rest is None:
                self._lookout.move(track)
            else:
                self._lookout.rest(scene, track, abs(distance_px))
        for track in scene.ended:
            self._paths.pop(track, None)
            self._lookout.forget(track)
        return crossings

    def close(self, reason: str) -> list[Occurrence]:
        """Forget all objects; a crossing has no end to report."""
        self._paths.clear()
        self._lookout.clear()
        return []

    def share(self, whereabouts: Whereabouts) -> None:
        """Note where objects are together with other rules of the stream."""
        self._lookout.share(whereabouts)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        paths = self._paths.values()
        to.ints(self._paths)
        to.sides([path.side for path in paths])
        to.flags([path.met_segment for path in paths])
        to.sightings(self._lookout.whereabouts.sightings(self._paths))
        to.ints(self._counts.values())

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        tracks = saved.ints()
        rows = zip(tracks, saved.sides(), saved.flags(), strict=True)
        self._paths = {track: _Path((0.0, 0.0), side, bool(met)) for track, side, met in rows}
        self._lookout.whereabouts.restore(tracks, saved.sightings())
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

    def _crossing(self, path: _Path, sighting: Sighting) -> list[Occurrence]:
        """Count a crossing; report it if its direction is asked for."""
        direction = "forward" if path.side.settled else "backward"
        self._counts[direction] += 1
        if self.spec.direction not in ("both", direction):
            return []
        at, name = path.side.since or sighting.at, self.spec.name
        data = {"direction": direction, "counts": dict(self._counts)}
        return [Occurrence(EventType.LINE_CROSS, Phase.INSTANT, name, sighting, at, data)]
