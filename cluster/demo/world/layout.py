"""What a view is made of: its camera, rules, ground, routes, signals and standing things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cluster.demo.world.geometry import Camera, Point

Material = Literal["grass", "asphalt", "pavement", "kerb", "white", "yellow", "bay", "tarmac"]
PropKind = Literal[
    "tree", "lamp", "sign", "bin", "bollard", "bench", "shelter", "signal", "bush", "barrier"
]


@dataclass(frozen=True, slots=True)
class Line:
    """A counting line from ``a`` to ``b``, in picture coordinates 0..1.

    The side of a point p is the sign of ``cross(b - a, p - a)``, y down. A crossing from the
    negative to the positive side is ``forward``, the other way ``backward``.
    """

    name: str
    a: Point
    b: Point


ZoneKind = Literal["presence", "no_parking", "lane", "dwell", "crowd", "speed"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon in picture coordinates 0..1.

    Attributes:
        name: The rule's name.
        polygon: Corners.
        kind: ``presence`` reports entry and exit, ``no_parking`` cars that stand,
            ``lane`` vehicles that drive against ``direction``, ``dwell`` who stays for ``min_s``,
            ``crowd`` more than ``limit`` objects for ``min_s``, ``speed`` who is faster than
            ``limit`` km/h.
        direction: For a lane the lawful direction in the picture, in 0..1 coordinates, y down.
        ground: The corners on the ground, in metres.
        min_s: For a dwell or a crowd, how long it must last.
        limit: For a crowd the objects that are not too many, for a speed the km/h.
    """

    name: str
    polygon: tuple[Point, ...]
    kind: ZoneKind
    direction: Point | None = None
    ground: tuple[Point, ...] = ()
    min_s: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """A way through the scene, on the ground, in metres.

    Attributes:
        name: Unique in the view.
        kind: Who uses it.
        points: Corners of the polyline.
        speed_mps: Usual speed.
        rate_hz: Arrivals a second at density 1; zero for routes that only incidents use.
        group: Signal group that lets it go, empty where nothing holds it.
        stop_m: Arc length of the stop line; what stands there has its front at it.
    """

    name: str
    kind: Literal["drive", "walk"]
    points: tuple[Point, ...]
    speed_mps: float
    rate_hz: float = 0.0
    group: str = ""
    stop_m: float = 0.0


@dataclass(frozen=True, slots=True)
class SignalPhase:
    """A part of the signals' cycle: who may go, for how long, and the all-red time after it."""

    groups: tuple[str, ...]
    green_s: float
    clear_s: float


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece of ground of one material; later patches cover earlier ones."""

    material: Material
    polygon: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Prop:
    """A thing that stands still. Those with a chance below 1 are there on some seeds only."""

    kind: PropKind
    x_m: float
    y_m: float
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Building:
    """A box with windows: west, south, east and north bounds and height, in metres."""

    west_m: float
    south_m: float
    east_m: float
    north_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class View:
    """A viewpoint with its roads and its rules.

    Attributes:
        name: Key in ``VIEWS``.
        camera: Where it is seen from.
        lines: Counting lines.
        zones: Zones of all kinds.
        routes: Ways of vehicles and pedestrians.
        phases: The signals' cycle.
        wrong_way: Route of the wrong-way drive.
        clears: Routes that stay empty for the wrong-way drive.
        parking: Route of the car that parks.
        parking_m: Arc length where its front comes to rest.
        patches: Ground.
        props: Standing things.
        buildings: Houses.
    """

    name: str
    camera: Camera
    lines: tuple[Line, ...]
    zones: tuple[Zone, ...]
    routes: tuple[Route, ...]
    phases: tuple[SignalPhase, ...]
    wrong_way: str
    clears: tuple[str, ...]
    parking: str
    parking_m: float
    patches: tuple[Patch, ...]
    props: tuple[Prop, ...]
    buildings: tuple[Building, ...]

    @property
    def lamps(self) -> tuple[Point, ...]:
        """Where the street lamps stand."""
        return tuple((prop.x_m, prop.y_m) for prop in self.props if prop.kind == "lamp")


def ground_line(name: str, camera: Camera, a: Point, b: Point) -> Line:
    """Return the counting line seen over a line on the ground."""
    start, end = camera.normalised([a, b])
    return Line(name, start, end)


def ground_zone(
    name: str,
    camera: Camera,
    kind: ZoneKind,
    area: tuple[float, float, float, float],
    heading: Point | None = None,
    *,
    min_s: float = 0.0,
    limit: float = 0.0,
) -> Zone:
    """Return the zone seen over a rectangle (west, south, east, north) on the ground."""
    ground = rectangle(*area)
    polygon = camera.normalised(ground)
    if heading is None:
        return Zone(name, polygon, kind, None, ground, min_s, limit)
    x, y = (area[0] + area[2]) / 2, (area[1] + area[3]) / 2
    (u1, v1), (u2, v2) = camera.normalised([(x, y), (x + heading[0], y + heading[1])])
    return Zone(name, polygon, kind, (round(u2 - u1, 4), round(v2 - v1, 4)), ground)


def rectangle(west: float, south: float, east: float, north: float) -> tuple[Point, ...]:
    """Return the corners of a rectangle on the ground."""
    return (west, south), (east, south), (east, north), (west, north)


def rect(material: Material, west: float, south: float, east: float, north: float) -> Patch:
    """Return a rectangular patch."""
    return Patch(material, rectangle(west, south, east, north))


def dashes(
    fixed: float, start: float, stop: float, *, along: Literal["x", "y"], width: float = 0.16
) -> tuple[Patch, ...]:
    """Return a dashed white line at a fixed coordinate, along x or y."""
    result = []
    at = start
    while at < stop:
        low, high = fixed - width / 2, fixed + width / 2
        area = (at, low, at + 2.0, high) if along == "x" else (low, at, high, at + 2.0)
        result.append(rect("white", *area))
        at += 5.0
    return tuple(result)


def stripes(
    area: tuple[float, float, float, float], *, along: Literal["x", "y"]
) -> tuple[Patch, ...]:
    """Return a pedestrian crossing whose bars follow each other along x or y."""
    west, south, east, north = area
    start, stop = (west, east) if along == "x" else (south, north)
    bars = [start + 0.3 + 1.0 * i for i in range(int(stop - start))]
    return tuple(
        rect("white", at, south, at + 0.5, north)
        if along == "x"
        else rect("white", west, at, east, at + 0.5)
        for at in bars
    )


def edge(
    fixed: float, start: float, stop: float, *, along: Literal["x", "y"], width: float = 0.3
) -> Patch:
    """Return a kerb at a fixed coordinate, along x or y."""
    low, high = fixed - width / 2, fixed + width / 2
    area = (start, low, stop, high) if along == "x" else (low, start, high, stop)
    return rect("kerb", *area)
