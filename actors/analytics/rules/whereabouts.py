"""Where the objects of a stream were last seen."""

from __future__ import annotations

from collections.abc import Iterable, Set

from actors.analytics.rules.geometry import Point
from actors.analytics.rules.scene import Scene, Sighting

Last = Scene | Sighting | None
"""Where an object was last seen: the scene, or how, if in another process; None if it was not."""


def foot_in(last: Scene | Sighting, track: int) -> Point:
    """Where an object stood when it was last seen."""
    return last.foot if isinstance(last, Sighting) else last.foot(last.number(track))


class Whereabouts:
    """Notes who is in each scene, all at once; rules that look at all objects share one."""

    def __init__(self) -> None:
        self._now: Scene | None = None
        self._present: Set[int] = frozenset()  # who is in it and counts
        self._then: Scene | None = None  # the scene before
        self._were: Set[int] = frozenset()
        self._gone: dict[int, Last] = {}  # where those were last seen who are not there

    def note(self, scene: Scene, present: Set[int]) -> None:
        """Note who is in a scene and counts; once is enough."""
        if scene is self._now:
            return
        self._then, self._were = self._now, self._present
        if not self._were <= present:
            self._gone.update(dict.fromkeys(self._were - present, self._then))
        self._now, self._present = scene, present

    def before(self, track: int) -> Last:
        """Where an object was seen before the last scene that was noted."""
        return self._then if track in self._were else self._gone.get(track)

    def last(self, track: int) -> Last:
        """Where an object was last seen."""
        return self._now if track in self._present else self._gone.get(track)

    def sighting(self, track: int) -> Sighting:
        """An object as it was last seen; KeyError if it never was."""
        last = self.last(track)
        if last is None:
            raise KeyError(f"object {track} was not seen")
        return last if isinstance(last, Sighting) else last.sighting(last.number(track))

    def sightings(self, tracks: Iterable[int]) -> list[Sighting]:
        """The same of some."""
        return [self.sighting(track) for track in tracks]

    def restore(self, tracks: Iterable[int], sightings: Iterable[Sighting]) -> None:
        """Take how objects were last seen in another process."""
        self._gone.update(zip(tracks, sightings, strict=True))

    def forget(self, *tracks: int) -> None:
        """These do not come again."""
        for track in tracks:
            self._gone.pop(track, None)

    def clear(self) -> None:
        """Forget all objects."""
        self._gone.clear()
        self._now = self._then = None
        self._present = self._were = frozenset()
