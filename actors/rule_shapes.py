"""What rules are drawn with, checked at the edges: points, lines, zones and the ground's plane."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actors.ground_plane import DegeneratePlaneError, facing, homography

Point = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
Size = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

_MIN_LENGTH = 1e-3  # of the picture's width and height
_MIN_AREA = 1e-6  # of the picture
_TINY = 1e-12


class Spec(BaseModel):
    """What all values that users give have in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


class PlanePoint(Spec):
    """One place, in the picture and on the ground."""

    image: Point = Field(description="In the picture, in the rule's coordinates.")
    ground_m: tuple[float, float] = Field(description="On the ground: metres from any origin.")


def require_inside(field: str, points: Sequence[Point], size: Size) -> None:
    """Refuse points outside a picture of this size.

    Raises:
        ValueError: names the field and the first point at fault, from 1.
    """
    for number, (x, y) in enumerate(points, 1):
        if x > size[0] or y > size[1]:
            raise ValueError(
                f"{field}: point {number} at ({x:g}, {y:g}) lies outside the picture: give at most "
                f"{size[0]:g} for x and {size[1]:g} for y"
            )


def require_length(field: str, a: Point, b: Point, size: Size) -> None:
    """Refuse a line without length.

    Raises:
        ValueError: names the field.
    """
    if abs(a[0] - b[0]) < _MIN_LENGTH * size[0] and abs(a[1] - b[1]) < _MIN_LENGTH * size[1]:
        raise ValueError(f"{field}: the two points are the same: give two different points")


def require_area(field: str, points: Sequence[Point], size: Size) -> None:
    """Refuse what is no simple polygon: one that crosses or touches itself, or has no area.

    Raises:
        ValueError: names the field and the corners at fault, from 1.
    """
    corners = [(x / size[0], y / size[1]) for x, y in points]
    if len(set(corners)) < len(corners):
        first, second = next(
            (i, j) for i, j in combinations(range(len(corners)), 2) if corners[i] == corners[j]
        )
        raise ValueError(
            f"{field}: corners {first + 1} and {second + 1} are the same: give each corner once, "
            "the zone closes by itself"
        )
    if not any(_turn(corners[0], corners[1], corner) for corner in corners[2:]):
        raise _no_area(field)
    for i, j in combinations(range(len(corners)), 2):
        if _sides_meet(corners, i, j):
            raise ValueError(
                f"{field}: the zone crosses itself, side {_side(corners, i)} meets side "
                f"{_side(corners, j)}: give the corners in their order around it"
            )
    if abs(_twice_area(corners)) < 2 * _MIN_AREA:
        raise _no_area(field)


def require_plane(field: str, points: Sequence[PlanePoint]) -> None:
    """Refuse pairs that define no plane, or one that is seen from both sides.

    Raises:
        ValueError: names the field.
    """
    image = [pair.image for pair in points]
    remedy = "give four corners of a large quadrilateral, no three of them on one line"
    try:
        matrix = homography(image, [pair.ground_m for pair in points])
    except DegeneratePlaneError as error:
        raise ValueError(f"{field}: {error}, so they define no plane: {remedy}") from None
    if facing(matrix, image) is None:
        raise ValueError(
            f"{field}: the horizon passes between the points: look for two pairs that were mixed up"
        )


def _no_area(field: str) -> ValueError:
    return ValueError(f"{field}: the zone has no area: give corners that enclose something")


def _side(corners: Sequence[Point], i: int) -> str:
    return f"{i + 1}-{(i + 1) % len(corners) + 1}"


def _twice_area(corners: Sequence[Point]) -> float:
    after = [*corners[1:], corners[0]]
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(corners, after, strict=True))


def _sides_meet(corners: Sequence[Point], i: int, j: int) -> bool:
    """Whether two sides have a point in common, other than the corner that neighbours share."""
    num = len(corners)
    a, b, c, d = corners[i], corners[(i + 1) % num], corners[j], corners[(j + 1) % num]
    if (i + 1) % num == j:
        return _folds_back(a, b, d)
    if (j + 1) % num == i:
        return _folds_back(c, d, b)
    if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
        return True
    return any(_lies_on(*each) for each in ((c, a, b), (d, a, b), (a, c, d), (b, c, d)))


def _folds_back(a: Point, corner: Point, b: Point) -> bool:
    """Whether the side from the corner to b runs back over the one from a."""
    ahead = (corner[0] - a[0]) * (b[0] - corner[0]) + (corner[1] - a[1]) * (b[1] - corner[1])
    return _turn(a, corner, b) == 0 and ahead < 0


def _turn(a: Point, b: Point, p: Point) -> int:
    """On which side of the line from a to b a point is: -1, 0 or 1."""
    cross = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    return 0 if abs(cross) < _TINY else 1 if cross > 0 else -1


def _lies_on(p: Point, a: Point, b: Point) -> bool:
    between = all(min(a[i], b[i]) <= p[i] <= max(a[i], b[i]) for i in (0, 1))
    return between and _turn(a, b, p) == 0
