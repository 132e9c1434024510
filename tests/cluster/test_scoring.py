"""The score says how right the reported line crossings are, and lets nobody cheat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.analytics.tracking.association import best_assignment
from cluster.demo.scoring import (
    TOLERANCE_S,
    Happening,
    Score,
    match,
    reported_event,
    score_by_type,
    true_events,
)
from cluster.demo.world import Scenario, Truth, TruthEvent

best_assignment()  # it takes a while to load, which is not the time of a test
LENGTH_S = 40.0
EPOCH = 1_750_000_000.25


def score(true: Sequence[Happening], reported: Sequence[Happening]) -> Score:
    return match(true, reported).score


def crossing(at_s: float, rule: str = "in", *, counts: bool = True) -> Happening:
    return Happening("cam0", rule, "forward", at_s, counts)


def film(*times_s: float, ignore: bool = False) -> Truth:
    """A film of 40 s in which lines are crossed at these times."""
    events = (
        TruthEvent("line_cross", "instant", "in", 1, 0, t, "forward", ignore) for t in times_s
    )
    return Truth(Scenario(seed=1, view="bridge", duration_s=LENGTH_S), (), tuple(events))


def event(at_s: float, direction: str = "forward") -> dict[str, object]:
    return {"ts": round(at_s * 1e3), "rule": "in", "data": {"direction": direction}}


crossings = st.lists(
    st.builds(
        Happening,
        st.sampled_from(["cam0", "cam1"]),
        st.sampled_from(["in", "out"]),
        st.sampled_from(["forward", "backward"]),
        st.floats(0, 30),
        st.booleans(),
    ),
    max_size=25,
)


@given(crossings)
def test_perfect_reports_score_one(true: Sequence[Happening]) -> None:
    perfect = score(true, [replace(crossing, counts=True) for crossing in true])
    num_counted = sum(crossing.counts for crossing in true)
    assert perfect == Score(num_counted, num_counted, num_counted, num_counted)
    assert (perfect.recall, perfect.precision) == (1.0, 1.0)


@given(crossings, crossings)
def test_a_score_is_a_share_and_finds_as_many_as_are_right(
    true: Sequence[Happening], reported: Sequence[Happening]
) -> None:
    result = score(true, reported)
    assert result.num_found == result.num_right
    assert result.num_found <= min(result.num_true, result.num_reported)
    assert result.num_true == sum(crossing.counts for crossing in true)
    assert 0 <= result.recall <= 1
    assert 0 <= result.precision <= 1


@given(crossings, crossings, st.randoms())
def test_the_order_of_reports_does_not_matter(
    true: Sequence[Happening], reported: Sequence[Happening], random: Random
) -> None:
    shuffled = list(reported)
    random.shuffle(shuffled)
    assert score(true, shuffled).num_found == score(true, reported).num_found


def test_of_what_happened_at_once_what_counts_is_matched_first() -> None:
    counted, hidden = Happening("cam0", "in", "forward", 0.0), []
    for _ in range(3):
        hidden.append(Happening("cam0", "in", "forward", 0.0, counts=False))
        for true in ([counted, *hidden], [*hidden, counted]):
            reported = [Happening("cam0", "in", "forward", 0.2)]
            assert score(true, reported) == Score(1, 1, 1, 1)


@given(crossings)
def test_nothing_reported_is_precise_and_finds_nothing(true: Sequence[Happening]) -> None:
    silent = score(true, [])
    assert (silent.precision, silent.num_found) == (1.0, 0)
    assert silent.recall == (0.0 if any(crossing.counts for crossing in true) else 1.0)


@pytest.mark.parametrize("reported", [True, False])
@given(crossings, st.lists(st.floats(100, 130), max_size=8))
def test_crossings_that_do_not_count_neither_help_nor_hurt(
    reported: bool, true: Sequence[Happening], ignored_at_s: Sequence[float]
) -> None:
    ignored = [crossing(at_s, counts=False) for at_s in ignored_at_s]
    reports = [replace(c, at_s=c.at_s + 0.3) for c in true[::2]]
    extra = [replace(c, counts=True) for c in ignored] if reported else []
    assert score([*true, *ignored], [*reports, *extra]) == score(true, reports)


def test_a_report_that_does_not_count_is_right_where_it_fits_and_never_wrong() -> None:
    edge = crossing(5.0, counts=False)
    assert score([crossing(5.1)], [edge]) == Score(1, 1, 1, 1)
    assert score([crossing(9.0)], [edge]) == Score(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("off_s", "found"),
    [(0.0, 1), (TOLERANCE_S - 0.01, 1), (0.01 - TOLERANCE_S, 1), (TOLERANCE_S + 0.01, 0)],
)
def test_a_report_may_be_off_by_the_tolerance_and_no_more(off_s: float, found: int) -> None:
    result = score([crossing(10.0)], [crossing(10.0 + off_s)])
    assert result == Score(1, 1, found, found)


@pytest.mark.parametrize(
    "other",
    [
        Happening("cam1", "in", "forward", 10.0),
        Happening("cam0", "out", "forward", 10.0),
        Happening("cam0", "in", "backward", 10.0),
    ],
)
def test_a_report_of_another_line_is_wrong(other: Happening) -> None:
    assert score([crossing(10.0)], [other]) == Score(1, 1, 0, 0)


def test_each_report_is_used_once_and_each_crossing_too() -> None:
    assert score([crossing(10.0), crossing(10.2)], [crossing(10.1)]) == Score(2, 1, 1, 1)
    twice = score([crossing(10.0)], [crossing(10.0), crossing(10.1)])
    assert (twice.recall, twice.precision) == (1.0, 0.5)


def test_the_nearest_in_time_belong_together() -> None:
    true = [crossing(10.0), crossing(10.5, counts=False)]
    assert score(true, [crossing(10.4)]) == Score(1, 0, 0, 0)
    assert score(true, [crossing(10.1)]) == Score(1, 1, 1, 1)


def test_reports_are_matched_so_that_as_many_as_possible_are_of_something() -> None:
    slow, quick = replace(crossing(11.5), earlier_s=1.5), replace(crossing(12.5), earlier_s=1.5)
    assert score([slow, quick], [crossing(10.0), crossing(11.4)]) == Score(2, 2, 2, 2)


def test_a_report_that_may_be_a_doubt_leaves_what_happened_to_one_that_cannot() -> None:
    true = replace(crossing(10.0), earlier_s=1.0, later_s=5.0)
    doubt = replace(crossing(12.0), phase="doubt")
    reports = [crossing(8.95), crossing(12.0)]
    assert match([true, doubt], reports).score == Score(1, 1, 1, 1)


def test_begin_and_end_are_different_and_each_type_has_its_score() -> None:
    begin = Happening("cam0", "bay", "", 5.0, True, "illegal_parking", "begin")
    end, update = replace(begin, at_s=9.0, phase="end"), replace(begin, at_s=7.0, phase="update")
    other = crossing(5.0)
    found = score_by_type([begin, end, other], [begin, update, replace(end, phase="begin")])
    assert found == {"illegal_parking": Score(2, 2, 1, 1), "line_cross": Score(1, 0, 0, 0)}


def test_scores_of_cameras_add_up() -> None:
    total = Score(4, 5, 3, 3) + Score(6, 5, 5, 5)
    assert total == Score(10, 10, 8, 8)
    assert (total.recall, total.precision) == (0.8, 0.8)


def test_the_film_is_repeated_for_as_long_as_it_was_watched() -> None:
    watched = (EPOCH + 5, EPOCH + 2.5 * LENGTH_S)
    found = true_events("cam0", film(10.0, 30.0), EPOCH, watched)
    assert [c.at_s - EPOCH for c in found] == pytest.approx([10, 30, 50, 70, 90])
    assert {(c.camera, c.rule, c.direction, c.counts) for c in found} == {
        ("cam0", "in", "forward", True)
    }


def test_what_happened_before_the_first_picture_or_after_the_end_is_left_out() -> None:
    before = true_events("cam0", film(2.0, 39.0), EPOCH, (EPOCH - 100, EPOCH + 20))
    assert [c.at_s - EPOCH for c in before] == pytest.approx([2])
    assert true_events("cam0", film(10.0), EPOCH, (EPOCH - 50, EPOCH - 20)) == []


@pytest.mark.parametrize(
    ("t_s", "counts"), [(0.5, False), (1.5, True), (20.0, True), (38.5, True), (39.5, False)]
)
def test_crossings_at_the_loops_seam_do_not_count(t_s: float, counts: bool) -> None:
    watched = (EPOCH - 10, EPOCH + 3 * LENGTH_S)
    truth = film(t_s)
    assert [c.counts for c in true_events("cam0", truth, EPOCH, watched)] == [counts] * 3
    for number in range(3):
        at_s = EPOCH + number * LENGTH_S + t_s
        assert reported_event("cam0", event(at_s), truth, EPOCH, watched).counts is counts


def test_crossings_at_the_edge_of_what_was_watched_do_not_count() -> None:
    watched = (EPOCH + 9, EPOCH + 31)
    found = true_events("cam0", film(9.5, 11.0, 29.0, 30.5), EPOCH, watched)
    assert [c.counts for c in found] == [False, True, True, False]


def test_what_the_truth_says_to_ignore_does_not_count() -> None:
    watched = (EPOCH, EPOCH + LENGTH_S)
    (hidden,) = true_events("cam0", film(20.0, ignore=True), EPOCH, watched)
    assert not hidden.counts


def test_only_line_crossings_are_taken_from_the_truth() -> None:
    truth = film(20.0)
    others = tuple(
        TruthEvent(kind, "instant", "zone", 1, 0, 20.0)
        for kind in ("zone_enter", "zone_exit", "wrong_way", "illegal_parking")
    )
    truth = replace(truth, events=truth.events + others)
    assert len(true_events("cam0", truth, EPOCH, (EPOCH, EPOCH + LENGTH_S))) == 1


def test_a_report_says_again_only_what_was_reported_of_the_same_place() -> None:
    here, beside, elsewhere = (
        (0.0, 0.0, 40.0, 40.0),
        (20.0, 0.0, 60.0, 40.0),
        (90.0, 0.0, 99.0, 9.0),
    )
    told = [replace(crossing(5.1), box=here), replace(crossing(5.2), box=beside)]
    told.append(replace(crossing(5.3), box=elsewhere))
    found = match([crossing(5)], told)
    assert [each.box for each in found.wrong] == [beside, elsewhere]
    assert [each.box for each in found.repeated()] == [beside]
    nowhere = match([crossing(5)], [crossing(5.1), crossing(5.2)])
    assert len(nowhere.repeated()) == 1


def test_a_report_has_the_place_of_its_event() -> None:
    placed = event(EPOCH + 20) | {"box": [1.0, 2.0, 3.0, 4.0]}
    read = reported_event("cam0", placed, film(), EPOCH, (EPOCH, EPOCH + LENGTH_S))
    assert read.box == (1.0, 2.0, 3.0, 4.0)


def test_an_event_is_read_as_a_crossing() -> None:
    watched = (EPOCH, EPOCH + LENGTH_S)
    read = reported_event("cam0", event(EPOCH + 20, "backward"), film(), EPOCH, watched)
    assert replace(read, at_s=0) == Happening("cam0", "in", "backward", 0, True)
    assert read.at_s == pytest.approx(EPOCH + 20, abs=1e-3)
    bare: dict[str, object] = {"ts": "5000", "rule": "in"}
    assert reported_event("cam0", bare, film(), 0.0, (0, 40)).direction == ""


@given(
    st.lists(st.floats(0, LENGTH_S), max_size=10),
    st.floats(0, 3 * LENGTH_S),
    st.floats(0, 2 * LENGTH_S),
)
def test_a_system_that_reports_just_what_happens_scores_one_whenever_it_is_watched(
    times_s: Sequence[float], begin_s: float, watched_s: float
) -> None:
    truth = film(*times_s)
    watched = (EPOCH + begin_s, EPOCH + begin_s + watched_s)
    true = true_events("cam0", truth, EPOCH, watched)
    reports = [reported_event("cam0", event(c.at_s), truth, EPOCH, watched) for c in true]
    perfect = score(true, reports)
    assert (perfect.recall, perfect.precision) == (1.0, 1.0)
