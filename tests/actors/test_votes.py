"""Votes settle on what most looks agree on, in whatever order they come."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.analytics.votes import LabelBallot, TextBallot
from engines.spec import Choice

LABELS = ("red", "green", "blue")

sure = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
    lambda row: (np.array(row) / sum(row)).astype(np.float32)
)
texts = st.tuples(st.sampled_from(["AB1", "AB7", "X", ""]), st.floats(0, 1))


def of_labels(
    rows: list[np.ndarray], choice: Choice = Choice.ONE, least: float = 0.0
) -> LabelBallot:
    ballot = LabelBallot(LABELS, choice)
    for row in rows:
        ballot.vote(np.array(row, np.float32), least)
    return ballot


def of_texts(votes: list[tuple[str, float]], least: float = 0.0) -> TextBallot:
    ballot = TextBallot()
    for text, confidence in votes:
        ballot.vote(text, confidence, least)
    return ballot


def test_nobody_leads_without_votes() -> None:
    assert LabelBallot(LABELS).leader() is None
    assert TextBallot().leader() is None
    assert of_texts([("", 0.9)]).leader() is None


def test_two_of_three_looks_win_against_one() -> None:
    leader = of_labels([[0.8, 0.1, 0.1], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0]]).leader()
    assert leader is not None
    assert (leader.values, leader.num_votes) == (("red",), 3)
    assert leader.confidence == pytest.approx(0.6)


def test_uncertain_looks_do_not_vote() -> None:
    leader = of_labels([[0.4, 0.3, 0.3], [0.1, 0.8, 0.1]], least=0.5).leader()
    assert leader is not None
    assert (leader.values, leader.num_votes) == (("green",), 1)
    assert of_texts([("AB1", 0.4)], least=0.5).leader() is None


def test_of_labels_that_may_all_be_true_those_above_one_half_are() -> None:
    leader = of_labels([[0.9, 0.1, 0.8], [0.7, 0.3, 0.6]], Choice.ANY).leader()
    assert leader is not None
    assert leader.values == ("red", "blue")
    assert leader.confidence == pytest.approx(0.7)
    nothing = of_labels([[0.1, 0.1, 0.2]], Choice.ANY).leader()
    assert nothing is not None
    assert nothing.values == ()


def test_a_text_is_weakened_by_every_vote_for_another() -> None:
    leader = of_texts([("AB1", 0.9), ("AB1", 0.7), ("AB7", 0.95)]).leader()
    assert leader is not None
    assert (leader.values, leader.num_votes) == (("AB1",), 2)
    assert leader.confidence == pytest.approx(1.6 / 3)


@given(st.lists(sure, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_labels_votes_does_not_matter(
    rows: list[np.ndarray], order: random.Random
) -> None:
    mixed = rows.copy()
    order.shuffle(mixed)
    one, other = of_labels(rows).leader(), of_labels(mixed).leader()
    assert one is not None
    assert other is not None
    assert one.confidence == pytest.approx(other.confidence)
    assert one.num_votes == other.num_votes


@given(st.lists(texts, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_text_votes_does_not_matter(
    votes: list[tuple[str, float]], order: random.Random
) -> None:
    mixed = votes.copy()
    order.shuffle(mixed)
    assert of_texts(votes).leader() == of_texts(mixed).leader()


@given(st.lists(sure, max_size=6), st.lists(sure, max_size=6))
def test_a_label_ballot_goes_on_from_its_state(
    before: list[np.ndarray], after: list[np.ndarray]
) -> None:
    moved = LabelBallot(LABELS)
    moved.restore(json.loads(json.dumps(of_labels(before).state())))
    for row in after:
        moved.vote(row, 0.0)
    assert moved.leader() == of_labels(before + after).leader()


def test_votes_on_another_number_of_labels_are_left_out() -> None:
    ballot = LabelBallot(("day", "night"))
    ballot.restore(of_labels([[0.9, 0.1, 0.0]]).state())
    assert ballot.leader() is None


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=6))
def test_a_text_ballot_goes_on_from_its_state(
    before: list[tuple[str, float]], after: list[tuple[str, float]]
) -> None:
    moved = TextBallot()
    moved.restore(json.loads(json.dumps(of_texts(before).state())))
    for text, confidence in after:
        moved.vote(text, confidence, 0.0)
    assert moved.leader() == of_texts(before + after).leader()
