"""Objects that leave the picture, and what is found in their place but cannot be them.

Where one drives out at the border another may drive in, and for a moment their boxes overlap. The
box of who leaves ends at the border, and its other side follows it out: what reaches much deeper
into the picture than that is somebody else, who would inherit a track.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

# In sizes of the box: how close to the border it ends there, how fast a second its other side must
# follow, and how much deeper than that side somebody else is.
_AT_BORDER, _FOLLOWS, _DEEPER = 0.1, 0.5, 0.3

_OTHER = np.array([2, 3, 0, 1])  # the other side of each: left, top, right, bottom


def border_of(size: tuple[int, int] | None) -> kalman.Floats:
    """Edges [4, 1] of a picture of so many pixels; without a size nothing comes near them."""
    width, height = (math.inf, math.inf) if size is None else size
    origin = math.inf if size is None else 0.0
    return np.array([[origin], [origin], [width], [height]], dtype=np.float64)


def reach_of(
    state: kalman.Floats, edges: kalman.Floats, borders: kalman.Floats
) -> kalman.Floats | None:
    """How deep objects that leave may still reach.

    Args:
        state: Of tracks as they are predicted, [5, 4, n].
        edges: Of their boxes, [4, n].
        borders: Of the picture of each, [4, n]; or of all, [4, 1].

    Returns:
        For each side at which a track leaves the edge of its other side, else infinity, [4, n];
        None where nobody leaves.
    """
    position, velocity = state[kalman.POSITION], state[kalman.VELOCITY]
    size = np.sqrt(position[2] * position[3])
    leaves = edges >= borders - _AT_BORDER * size
    if not np.count_nonzero(leaves):
        return None
    leaves &= kalman.to_edges(velocity)[_OTHER] <= -_FOLLOWS * size
    if not np.count_nonzero(leaves):
        return None
    return np.where(leaves, edges[_OTHER], np.inf)


def is_another(reach: kalman.Floats, edges: kalman.Floats, i: Indices, j: Indices) -> Mask:
    """Which detections are too deep in the picture to be the track that they are paired with.

    Args:
        reach: Of tracks, see ``reach_of``.
        edges: Of detections, [4, m].
        i: Track of each pair.
        j: Detection of each pair.
    """
    found = edges.take(j, axis=1)
    width, height = found[:2] + found[2:]
    deeper = found[_OTHER] - reach.take(i, axis=1)
    return np.asarray((deeper > _DEEPER * np.sqrt(width * height)).any(axis=0))
