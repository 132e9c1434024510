"""Rule state as a tree, so that a stream can go on in another process.

A tree is made of JSON values, arrays, ``Moments`` and ``Sightings``. What a rule knows of its
objects is in columns, an object a row: rules refer to the same moments and sightings thousands of
times, and only whole columns of them are written fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.side import Side


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """A column of moments; who reads the tree gets a list of them."""

    column: Sequence[Moment | None]


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """A column of sightings, without their first ones; who reads the tree gets a list of them."""

    column: Sequence[Sighting | None]


def floats(column: Sequence[float | None]) -> NDArray[np.float64]:
    """A column of numbers; NaN where there is none."""
    return np.array(column, dtype=np.float64)


def flags(column: Sequence[bool | None]) -> NDArray[np.int8]:
    """A column of answers; -1 where there is none."""
    return np.array([-1 if flag is None else flag for flag in column], dtype=np.int8)


def optional_flags(column: NDArray[np.int8]) -> list[bool | None]:
    """What ``flags`` was given."""
    return [(False, True, None)[flag] for flag in column.tolist()]


def sides_state(sides: Sequence[Side]) -> list[Any]:
    """Sides as columns, in the order of their values."""
    return [
        flags([side.settled for side in sides]),
        flags([side.rest for side in sides]),
        Moments([side.since for side in sides]),
        floats([side.distance_px for side in sides]),
        Moments([side.at for side in sides]),
    ]


def sides_of(state: Sequence[Any]) -> list[Side]:
    """What ``sides_state`` gave."""
    settled, rest, since, distance_px, at = state
    columns = optional_flags(settled), optional_flags(rest), since, distance_px.tolist(), at
    return [Side(*values) for values in zip(*columns, strict=True)]
