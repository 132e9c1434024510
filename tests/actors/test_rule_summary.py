"""The summary at the end of an object: where it went, in few points, and what it was taken for."""

from __future__ import annotations

import itertools

import pytest

from actors.analytics.events import Phase
from actors.analytics.rules import Occurrence, Sighting, make_rule
from actors.analytics.rules.journey import MAX_POINTS
from actors.analytics.rules.state import StateWriter
from actors.rule_specs import ObjectRule
from tests.actors.rule_scenes import at, scene, sighting

CORNERS = ((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8))


def life(seen: list[Sighting], **fields: object) -> list[Occurrence]:
    """What an object rule with a summary says of one track, seen so and then lost."""
    rule = make_rule(ObjectRule.model_validate({"name": "object", "summary": True, **fields}))
    found = [o for each in seen for o in rule.update(scene(each, t_s=each.at.t_s))]
    return found + rule.update(scene(t_s=seen[-1].at.t_s + 2, ended=(1,)))


def test_an_end_tells_the_path_the_times_and_the_classes_and_a_begin_does_not() -> None:
    names = ["car"] * 6 + ["truck"] * 3 + ["car"]
    seen = [sighting(100 + 10 * n, 250, n / 10, name=name) for n, name in enumerate(names)]
    begin, end = life(seen)
    assert (begin.phase, end.phase) == (Phase.BEGIN, Phase.END)
    assert set(begin.data) == {"dwell_s"}
    assert end.data == {
        "dwell_s": 0.9,
        "first_seen": 1_000_000_000,
        "last_seen": 1_000_000_900,
        "path": [[100.0 + 10 * n, 250.0, n / 10] for n in range(10)],
        "classes": {"car": 7, "truck": 3},
        "reason": "track_lost",
    }


@pytest.mark.parametrize("num", [1, 2, 32, 33, 34, 66, 100, 1000, 5000])
def test_a_path_has_a_bounded_number_of_points_evenly_spaced_and_both_ends(num: int) -> None:
    _, end = life([sighting(n / 10, 250, n / 10) for n in range(num)])
    path = end.data["path"]
    assert min(num, MAX_POINTS // 2) <= len(path) <= MAX_POINTS
    assert path[0] == [0.0, 250.0, 0.0]
    assert path[-1] == [round((num - 1) / 10, 1), 250.0, round((num - 1) / 10, 3)]
    steps = [b[2] - a[2] for a, b in itertools.pairwise(path[:-1])]
    assert steps == pytest.approx([steps[0]] * len(steps)) if steps else num <= 2


def test_a_path_begins_where_the_track_was_seen_before_it_was_confirmed() -> None:
    first = sighting(80, 250, 0.0)
    late = [sighting(100 + 10 * n, 250, 0.2 + n / 10) for n in range(5)]
    late[0] = Sighting(1, "car", 0.9, late[0].box, at(0.2), first)
    _, end = life(late)
    assert end.data["path"][:2] == [[80.0, 250.0, 0.0], [100.0, 250.0, 0.2]]
    assert end.data["classes"] == {"car": 6}


def test_who_comes_back_into_a_zone_begins_a_new_way() -> None:
    xs = [400.0] * 10 + [900.0] * 10 + [600.0] * 10
    found = life([sighting(x, 250, n / 10) for n, x in enumerate(xs)], points=CORNERS)
    ends = [o for o in found if o.phase is Phase.END]
    assert [{x for x, _, _ in end.data["path"]} for end in ends] == [{400.0}, {600.0}]


def test_without_a_summary_nothing_is_kept() -> None:
    rule = make_rule(ObjectRule(name="object"))
    for n in range(10):
        rule.update(scene(sighting(100, 250, n / 10), t_s=n / 10))
    writer = StateWriter()
    rule.save(writer)
    assert writer.columns.arrays[-1].shape == (0, 3)
    (end,) = rule.close("stream_closed")
    assert set(end.data) == {"dwell_s", "reason"}
