"""Pairs of things that belong to the same picture, for arithmetic over several pictures at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


def pairs(a: Indices, b: Indices, num_pictures: int) -> tuple[Indices, Indices]:
    """All pairs of the same picture, [p] and [p]; those of an ``a`` follow each other.

    Args:
        a: Picture of each thing of one kind, ascending.
        b: The same of another kind.
        num_pictures: How many there are.
    """
    if num_pictures == 1:
        return np.divmod(np.arange(len(a) * len(b)), max(len(b), 1))
    num_in = np.bincount(b, minlength=num_pictures)
    num_partners = num_in[a]
    i = np.arange(len(a)).repeat(num_partners)
    first = (num_in.cumsum() - num_in)[a] - (num_partners.cumsum() - num_partners)
    return i, np.add(np.arange(len(i)), first[i], dtype=np.intp)
