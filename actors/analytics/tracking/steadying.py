"""What all objects of a picture do at once: the camera moved, not they.

A camera that shakes, turns or is carried moves every box alike. Frames that are far apart show it
most: a shift of half a box a frame leaves the overlap of nobody above a threshold.

A picture of another scene has all objects elsewhere at once: a film that begins anew, a camera that
goes to another preset. Who is still matched then is matched by chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]

_MIN_OBJECTS = 3
_MIN_RATIO = 4.0  # of the squared shift to its squared error: twice its error

# Of 28,000 pictures of MOT15, MOT17 and the synthetic world, 5 to 30 a second, that are no cut, one
# looks like one; of 180 cuts between scenes before the same background 156 do.
_MAX_CUT_S = 0.2
_MIN_MAJORITY = 3  # of tracks that are gone over those that are where they should be
_MIN_NEW, _NEW_SHARE = 3, 0.4
KEPT_OVERLAP = 0.4
"""Intersection over union of an object with where it should be, from which it counts as there."""


def common_shifts(residuals: Floats, counts: Counts) -> list[tuple[float, float]]:
    """By how much each picture is shifted against what was predicted; 0 where nothing shows it.

    The median, shrunk by how uncertain it is (James and Stein, 1961): an error as large as half of
    the shift leaves none of it, and objects that move each on their own give none.

    Args:
        residuals: Where objects are less where they should be, [2, n], pixels, those of a picture
            one after the other; it is overwritten.
        counts: How many objects each picture has.
    """
    middle = middles(residuals, counts)
    residuals -= middle if len(counts) == 1 else middle.repeat(counts, axis=1)
    residuals *= residuals
    spread = middles(residuals[0] + residuals[1], counts)
    return list(map(_shrunk, *middle.tolist(), spread.tolist(), counts.tolist()))


def _shrunk(x: float, y: float, spread: float, num: int) -> tuple[float, float]:
    squared = x * x + y * y
    if num < _MIN_OBJECTS or squared <= (error := spread * _MIN_RATIO / num):
        return 0.0, 0.0
    share = 1 - error / squared
    return share * x, share * y


def middles(values: Floats, counts: Counts) -> Floats:
    """The upper median of the values of each picture, [..., pictures]; infinity where it has none.

    Args:
        values: [..., n], n above 0, those of a picture one after the other.
        counts: How many each picture has.
    """
    if len(counts) == 1:
        ordered = values.copy()
        ordered.sort()
        middle = ordered.shape[-1] // 2
        only: Floats = ordered[..., middle : middle + 1]
        return only
    places = np.arange(counts.max() + 1)
    table = np.full((*values.shape[:-1], len(counts), len(places)), np.inf)
    table[..., places < counts[:, None]] = values
    table.sort()
    return np.asarray(table[..., np.arange(len(counts)), counts // 2])


def may_be_cuts(num_new: Counts, num_sure: Counts, passed_s: Floats) -> Counts:
    """Which pictures hold so much that nobody knew that they may be of another scene.

    Args:
        num_new: Of each picture the sure detections that belong to no track.
        num_sure: All its sure detections.
        passed_s: How long after the picture before; after a while all may have gone elsewhere.
    """
    is_new = (num_new >= _MIN_NEW) & (num_new >= _NEW_SHARE * num_sure) & (passed_s <= _MAX_CUT_S)
    return is_new.nonzero()[0]


def is_cut(num_seen: int, num_kept: int) -> bool:
    """Whether it is a cut, of one of these.

    Args:
        num_seen: Tracks that were seen in the picture before.
        num_kept: Those of them that were found where they should be.
    """
    return num_seen - 2 * num_kept >= _MIN_MAJORITY
