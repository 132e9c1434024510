"""Objects that leave the picture, and what is found in their place but cannot be them.

Where one drives out at the border another may drive in, and for a moment their boxes overlap. The
box of who leaves ends at the border, and its other side follows it out: what reaches much deeper
into the picture than that, or farther along the border, is somebody else, who would inherit a
track.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import boxes, kalman

Mask = NDArray[np.bool_]

# In sizes of the box: how close to the border it ends there, how fast a second its other side must
# follow, and how far beyond where it should be somebody else reaches.
_AT_BORDER, _FOLLOWS, _BEYOND = np.array(0.1), np.array(-0.5), np.array(0.3)

_NOWHERE = np.full((4, 1), np.inf)
# Of the velocity of centre and size: that of the edge across from each.
_OTHER_SIDE = np.array([[-1, 0, 0.5, 0], [0, -1, 0, 0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]])


def border_of(size: tuple[int, int] | None) -> kalman.Floats | None:
    """Edges [4, 1] of a picture of so many pixels; None without a size."""
    return None if size is None else np.array([[size[0]], [size[1]], [0.0], [0.0]])


def borders_of(borders: Sequence[kalman.Floats | None]) -> kalman.Floats | None:
    """Edges [4, n] of several pictures; nothing comes near those without any. None if all are."""
    if len(borders) == 1:
        return borders[0]
    if not any(each is not None for each in borders):
        return None
    return np.concatenate([_NOWHERE if each is None else each for each in borders], axis=1)


def reach_of(
    ahead: kalman.Floats, velocity: kalman.Floats, borders: kalman.Floats
) -> kalman.Floats | None:
    """How far objects that leave may still reach.

    Args:
        ahead: Boxes of tracks as they are predicted, a table.
        velocity: Of centre and size, [4, n].
        borders: Of the picture of each, [4, n]; or of all, [4, 1].

    Returns:
        The edges of tracks that leave, as they are predicted, else infinity, [4, n]; None where
        nobody leaves.
    """
    size, edges = np.sqrt(ahead[boxes.AREA]), ahead[boxes.EDGES]
    leaves = edges >= borders - _AT_BORDER * size
    if not np.count_nonzero(leaves):
        return None
    leaves &= _OTHER_SIDE.dot(velocity) <= _FOLLOWS * size
    if not np.count_nonzero(leaves):
        return None
    return np.where(np.logical_or.reduce(leaves), edges, np.inf)


def is_another(reach: kalman.Floats, found: kalman.Floats) -> Mask | None:
    """Which detections reach too far to be the track that they are paired with; None for none.

    Args:
        reach: Of the track of each pair, see ``reach_of``.
        found: Box of the detection of each pair, a table.
    """
    beyond = found[boxes.EDGES] - reach > _BEYOND * np.sqrt(found[boxes.AREA])
    return np.logical_or.reduce(beyond) if np.count_nonzero(beyond) else None
