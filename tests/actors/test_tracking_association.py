"""Which detection belongs to which track: who may overlap, and the best assignment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from actors.analytics.tracking import boxes
from actors.analytics.tracking.association import Matching, beside, meeting_of
from actors.analytics.tracking.pairing import pairs

SEEDS = st.integers(0, 10**6)


def edges(random: np.random.Generator, num: int) -> np.ndarray:
    """Of boxes of all sizes, some of which lie on others or beside them."""
    corner, size = random.integers(-40, 300, (2, num)), random.integers(1, 90, (2, num))
    return boxes.of_corners(np.concatenate([corner, corner + size]).astype(float))[boxes.EDGES]


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_sweep_leaves_out_no_boxes_of_a_picture_that_overlap(seed, counts):
    random, numbers = np.random.default_rng(seed), np.arange(len(counts))
    of_a, of_b = (numbers.repeat(each) for each in zip(*counts, strict=True))
    a, b = edges(random, len(of_a)), edges(random, len(of_b))
    i, j = beside(a, b, of_a, of_b)
    met = meeting_of(a, b, i, j)
    all_met = meeting_of(a, b, *pairs(of_a, of_b, len(counts)))
    assert sorted(zip(*map(np.ndarray.tolist, met[:2]), strict=True)) == list(
        zip(*map(np.ndarray.tolist, all_met[:2]), strict=True)
    )
    assert (of_a[i] == of_b[j]).all()
    assert (np.diff(i) >= 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_box_that_is_nowhere_changes_nothing_for_other_pictures(value):
    of_a = np.arange(3).repeat(8)
    whole = edges(np.random.default_rng(5), len(of_a))
    spoilt = whole.copy()
    spoilt[:, 10:12] = value
    for_others = []
    for a in (whole, spoilt):
        i, j = beside(a, a, of_a, of_a)
        other = of_a[i] != 1
        for_others.append((i[other].tolist(), j[other].tolist()))
    assert for_others[0] == for_others[1]
    assert for_others[0][0]


def test_the_sweep_leaves_out_who_is_not_beside():
    of_a = np.arange(2).repeat(30)
    corner = np.stack([10.0 * np.tile(np.arange(30), 2), np.zeros(60)])
    a = boxes.of_corners(np.concatenate([corner, corner + 8]))[boxes.EDGES]
    i, j = beside(a, a, of_a, of_a)
    assert i.tolist() == j.tolist() == list(range(60))


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, num_pictures=st.integers(1, 12), num=st.integers(1, 9))
def test_the_matching_is_worth_as_much_as_the_best_of_all(seed, num_pictures, num):
    random = np.random.default_rng(seed)
    picture = np.arange(num_pictures).repeat(num)
    rows, cols = pairs(picture, picture, num_pictures)
    may = random.random(len(rows)) < 0.5
    rows, cols, worth = rows[may], cols[may], random.uniform(0.01, 1, int(may.sum()))
    matching = Matching(picture, len(picture))
    table = np.zeros((len(picture), len(picture)))
    table[rows, cols] = worth
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    found = matching.add(rows, cols, worth, len(picture))
    matched = matching.pairs()
    assert found == matching.num_pairs == len(matched[0]) == len(set(matched[1].tolist()))
    assert (table[matched] > 0).all()
    np.testing.assert_allclose(table[matched].sum(), best)
