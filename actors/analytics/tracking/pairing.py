"""Pairs of things that belong to the same picture, for arithmetic over several pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def pairs(a: Indices, b: Indices, num_pictures: int) -> tuple[Indices, Indices]:
    """All pairs of the same picture, [p] and [p]; those of an ``a`` follow each other.

    Args:
        a: Picture of each thing of one kind, ascending.
        b: The same of another kind.
        num_pictures: How many there are.

    Returns:
        Arrays that are not to be written to: those of one picture are kept for the next one.
    """
    if num_pictures == 1:
        return _all_pairs(len(a), len(b))
    num_in = np.bincount(b, minlength=num_pictures)
    num_partners = num_in[a]
    i = np.arange(len(a)).repeat(num_partners)
    first = (num_in.cumsum() - num_in)[a] - (num_partners.cumsum() - num_partners)
    return i, np.add(np.arange(len(i)), first[i], dtype=np.intp)


@lru_cache(maxsize=128)
def _all_pairs(num_a: int, num_b: int) -> tuple[Indices, Indices]:
    return np.divmod(np.arange(num_a * num_b), max(num_b, 1))


def spans(picture: Indices, num_pictures: int) -> list[slice]:
    """Where the things of each picture are; pictures ascend."""
    if num_pictures == 1:
        return [slice(0, len(picture))]
    ends = picture.searchsorted(np.arange(num_pictures + 1)).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def passing(masks: Sequence[Mask], num: int) -> Indices:
    """Which of so many things pass all masks."""
    if not masks:
        return np.arange(num)
    left = masks[0].copy()
    for mask in masks[1:]:
        left &= mask
    some: Indices = left.nonzero()[0]
    return some
