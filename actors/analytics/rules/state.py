"""Rule state as a tree, so that a stream can go on in another process.

A tree is made of JSON values, arrays and columns. A column has one value of each object; who reads
the tree gets a list of them. Rules refer to the same moments and sightings thousands of times, so
they are written all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.side import Side


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of one kind; None where there is none, but of numbers."""

    kind: Literal["floats", "flags", "moments", "sightings"]
    values: Sequence[Any]


def floats(values: Sequence[float]) -> Column:
    """A column of numbers."""
    return Column("floats", values)


def flags(values: Sequence[bool | None]) -> Column:
    """A column of answers."""
    return Column("flags", values)


def moments(values: Sequence[Moment | None]) -> Column:
    """A column of moments."""
    return Column("moments", values)


def sightings(values: Sequence[Sighting | None]) -> Column:
    """A column of sightings, without their first ones."""
    return Column("sightings", values)


def sides_state(sides: Sequence[Side]) -> list[Column]:
    """Sides as columns, in the order of their values."""
    return [
        flags([side.settled for side in sides]),
        flags([side.rest for side in sides]),
        moments([side.since for side in sides]),
        floats([side.distance_px for side in sides]),
        moments([side.at for side in sides]),
    ]


def sides_of(state: Sequence[Any]) -> list[Side]:
    """What ``sides_state`` gave."""
    return [Side(*values) for values in zip(*state, strict=True)]
