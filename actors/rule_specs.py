"""Rules as users ask for them, one class a kind, validated at the edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from actors.rule_shapes import (
    PlanePoint,
    Point,
    Size,
    Spec,
    require_area,
    require_inside,
    require_length,
    require_plane,
)
from actors.schedule import Schedule

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
UpdateS = Annotated[float | None, Field(ge=0.1, description="Seconds between updates; null: none.")]
Sizes = Annotated[float, Field(gt=0, le=100)]
AttributeName = Annotated[str, Field(min_length=1, max_length=64)]
AttributeValues = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    Field(min_length=1, max_length=64),
]


class _Rule(Spec):
    """What all rules have in common: a name, coordinates, and which objects count, and when."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name in events.")
    classes: tuple[str, ...] = Field((), description="Labels that count; empty for all.")
    min_confidence: float = Field(0.0, ge=0, le=1, description="Sightings below do not count.")
    attributes: dict[AttributeName, AttributeValues] = Field(
        {},
        max_length=16,
        description="What secondary models must have settled on of an object that counts: one of "
        "the values of each, as {color: [red, white], type: [car]}; empty for nothing.",
    )
    min_size: Size | None = Field(
        None, description="Width and height that a box must have, in the rule's coordinates."
    )
    max_size: Size | None = Field(None, description="Width and height that it may have.")
    schedule: Schedule | None = Field(None, description="When the rule is on; null for always.")
    coordinates: Literal["relative", "pixels"] = Field(
        "relative", description="Fractions of width and height, or pixels of picture_size."
    )
    picture_size: Size | None = Field(
        None, description="Width and height of the picture that pixels are of."
    )

    @property
    def unit(self) -> Size:
        """Width and height of the picture in the rule's coordinates."""
        return self.picture_size or (1.0, 1.0)

    def in_pixels(self, points: Sequence[Point], size: tuple[int, int]) -> list[Point]:
        """Points in pixels of a picture of this size."""
        width, height = self.unit
        return [(x * size[0] / width, y * size[1] / height) for x, y in points]

    @model_validator(mode="after")
    def _coordinates_have_a_size(self) -> _Rule:
        if self.coordinates == "pixels" and self.picture_size is None:
            raise ValueError(
                "picture_size: is missing, and coordinates are in pixels: give the width and "
                "height of the picture that they are of"
            )
        if self.coordinates == "relative" and self.picture_size is not None:
            raise ValueError(
                "picture_size: has no use for relative coordinates: leave it out, or say "
                "coordinates: pixels"
            )
        return self

    @model_validator(mode="after")
    def _is_drawn_in_the_picture(self) -> _Rule:
        for field, points in self._drawn():
            require_inside(field, points, self.unit)
        return self

    @model_validator(mode="after")
    def _some_sizes_count(self) -> _Rule:
        least, most = self.min_size or (0, 0), self.max_size or (float("inf"), float("inf"))
        if least[0] > most[0] or least[1] > most[1]:
            raise ValueError("max_size: is below min_size, no box is both: make it larger")
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield from ()


class LineRule(_Rule):
    """Report objects whose foot (bottom centre of the box) crosses a line segment.

    The side of a point p is the sign of cross(b - a, p - a) in picture coordinates (y down); from
    negative to positive is ``forward``, the other way ``backward``. Both are counted, whichever is
    reported.
    """

    kind: Literal["line"] = "line"
    points: tuple[Point, Point] = Field(description="a and b.")
    direction: Literal["both", "forward", "backward"] = "both"

    @model_validator(mode="after")
    def _has_length(self) -> LineRule:
        require_length("points", *self.points, self.unit)
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield "points", self.points


class _InZone(_Rule):
    points: tuple[Point, ...] = Field(
        min_length=3, max_length=64, description="Corners of the zone, in order."
    )

    @model_validator(mode="after")
    def _is_a_zone(self) -> _InZone:
        require_area("points", self.points, self.unit)
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield "points", self.points


class ZoneRule(_InZone):
    """Report objects whose foot enters or leaves a polygon."""

    kind: Literal["zone"] = "zone"


class LoiteringRule(_InZone):
    """Report objects that stay in a zone for long."""

    kind: Literal["loitering"] = "loitering"
    min_s: Seconds = Field(30.0, description="For so long, seconds.")
    update_s: UpdateS = None


class ParkingRule(_InZone):
    """Report objects that stand still in a zone for long."""

    kind: Literal["illegal_parking"] = "illegal_parking"
    min_s: Seconds = Field(60.0, description="For so long, seconds.")
    update_s: UpdateS = 60.0
    tolerance_sizes: Sizes = Field(
        0.15, description="What still counts as standing, in sizes of its box."
    )


class WrongWayRule(_InZone):
    """Report objects that move against a direction in a zone."""

    kind: Literal["wrong_way"] = "wrong_way"
    direction: tuple[Point, Point] = Field(description="The lawful way: from here to there.")
    min_distance_sizes: Sizes = Field(
        0.5, description="How far against it, in sizes of the box (root of width times height)."
    )
    min_s: float = Field(0.5, ge=0, le=3600, description="And for how long, seconds.")
    max_angle_deg: float = Field(60.0, gt=0, le=90, description="What counts as against it.")

    @model_validator(mode="after")
    def _has_a_direction(self) -> WrongWayRule:
        require_length("direction", *self.direction, self.unit)
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield "points", self.points
        yield "direction", self.direction


class CrowdRule(_InZone):
    """Report that there are too many objects in a zone."""

    kind: Literal["overcrowding"] = "overcrowding"
    max_objects: int = Field(ge=0, le=10_000, description="More than so many are too many.")
    min_s: float = Field(5.0, ge=0, le=86_400, description="For so long, seconds.")
    end_at: int | None = Field(
        None, ge=0, description="It ends at so many; null for one below max_objects."
    )
    update_s: UpdateS = None

    @model_validator(mode="after")
    def _ends_below(self) -> CrowdRule:
        if self.end_at is not None and self.end_at > self.max_objects:
            raise ValueError(
                f"end_at: is above max_objects, it would end while there are too many: give at "
                f"most {self.max_objects}"
            )
        return self


class SpeedRule(_InZone):
    """Report objects that are too fast or too slow on the ground of a zone."""

    kind: Literal["speed"] = "speed"
    plane: tuple[PlanePoint, ...] = Field(
        min_length=4, max_length=64, description="Places whose position on the ground is known."
    )
    over_kmh: float | None = Field(None, gt=0, le=1000, description="Above is too fast.")
    under_kmh: float | None = Field(None, gt=0, le=1000, description="Below is too slow.")
    window_s: float = Field(1.0, ge=0.2, le=60, description="Speed is the mean of so long.")
    update_s: UpdateS = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> SpeedRule:
        if self.over_kmh is None and self.under_kmh is None:
            raise ValueError("over_kmh: is missing: give over_kmh, under_kmh or both")
        if self.under_kmh and self.over_kmh and self.under_kmh >= self.over_kmh:
            raise ValueError("under_kmh: is not below over_kmh: give less, or leave one out")
        return self

    @model_validator(mode="after")
    def _has_a_plane(self) -> SpeedRule:
        require_plane("plane", self.plane)
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield "points", self.points
        yield "plane", [pair.image for pair in self.plane]


class ObjectRule(_Rule):
    """Report that an object has appeared (begin) and that it is gone (end)."""

    kind: Literal["object"] = "object"
    points: tuple[Point, ...] | None = Field(
        None, min_length=3, max_length=64, description="Corners of a zone; null for all of it."
    )
    min_s: float = Field(0.0, ge=0, le=86_400, description="It counts once it is there so long.")
    update_s: UpdateS = None
    summary: bool = Field(
        False,
        description="Its end tells the way of the object, when it was seen first and last, and the "
        "classes that it was taken for.",
    )

    @model_validator(mode="after")
    def _is_a_zone(self) -> ObjectRule:
        if self.points is not None:
            require_area("points", self.points, self.unit)
        return self

    def _drawn(self) -> Iterator[tuple[str, Sequence[Point]]]:
        yield "points", self.points or ()


AnyRule = (
    LineRule
    | ZoneRule
    | LoiteringRule
    | ParkingRule
    | WrongWayRule
    | CrowdRule
    | SpeedRule
    | ObjectRule
)
ZoneSpec = (
    ZoneRule | LoiteringRule | ParkingRule | WrongWayRule | CrowdRule | SpeedRule | ObjectRule
)
RuleSpec = Annotated[AnyRule, Field(discriminator="kind")]
RULE_MODELS: tuple[type[Spec], ...] = get_args(AnyRule)
