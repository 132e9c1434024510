"""After how many rounds a picture is asked for."""

from __future__ import annotations

import pytest

from actors.ingest.asking import Asking

BEAT_S = 0.016


def played(asking: Asking, began: float, lates: str) -> float:
    """Note rounds one after the other, ``L`` for each that was late; when the next one begins."""
    for late in lates:
        asking.note(began, is_late=late == "L")
        began += BEAT_S
    return began


@pytest.mark.parametrize("lates", ["", "....", "LL", "LL.LL.LL", "L.L.L.L."])
def test_a_picture_is_asked_for_after_one_round_while_rounds_are_late_now_and_then(lates):
    asking = Asking()
    assert asking.num_rounds(played(asking, 100.0, lates)) == 1


@pytest.mark.parametrize("lates", ["LLL", "..LLL", "LL.LLL..", "LLLL"])
def test_where_several_rounds_on_end_are_late_it_is_asked_for_after_two(lates):
    asking = Asking()
    assert asking.num_rounds(played(asking, 100.0, lates)) == 2


def test_after_a_while_one_round_is_tried_again_and_given_up_again():
    asking = Asking()
    now = played(asking, 100.0, "LLL")
    assert asking.num_rounds(now + 19.0) == 2
    assert asking.num_rounds(now + 21.0) == 1
    now = played(asking, now + 21.0, "LL")
    assert asking.num_rounds(now) == 1
    assert asking.num_rounds(played(asking, now, "L")) == 2


def test_late_rounds_meanwhile_lengthen_it():
    asking = Asking()
    now = played(asking, 100.0, "LLL")
    now = played(asking, now + 10.0, "LLL")
    assert asking.num_rounds(now + 19.0) == 2
