"""Comings and goings: an object may be told from the first bit of it until it shows in full."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cluster.demo.world.showing import TELL_PX, slack_s
from cluster.demo.world.truth import EventType, FrameTruth, Phase, TruthEvent

LORRY = 1
ME = 7


def film(shown: Sequence[tuple[float, float] | None]) -> list[FrameTruth]:
    """A frame a second with one lorry: its visible share and height, None where it is away."""
    return [_frame(t_s, [] if look is None else [look]) for t_s, look in enumerate(shown)]


def _frame(t_s: int, looks: Sequence[tuple[float, float]]) -> FrameTruth:
    num = len(looks)
    return FrameTruth(
        index=t_s,
        t_s=float(t_s),
        xyxy=np.array([(0, 0, 60, tall) for _, tall in looks], np.float32).reshape(-1, 4),
        class_id=np.full(num, LORRY, np.int32),
        identity=np.full(num, ME, np.int32),
        visible=np.array([share for share, _ in looks], np.float32),
        ignore=np.zeros(num, bool),
    )


def event(phase: Phase, t_s: float, type_: EventType = "object") -> TruthEvent:
    return TruthEvent(type_, phase, "lorries", ME, LORRY, t_s)


DRIVES_BY = film([None, (0.1, 60), (0.5, 60), (0.8, 60), (1, 60), (1, 60), (0.6, 60), (0.2, 60)])


def test_one_that_drives_in_comes_from_its_first_bit_until_it_is_whole() -> None:
    assert slack_s(event("begin", 2.0), DRIVES_BY) == (1.0, 2.0)


def test_one_that_drives_out_goes_from_its_last_whole_moment_until_its_last_bit() -> None:
    assert slack_s(event("end", 6.5), DRIVES_BY) == (1.5, 0.5)


def test_a_speck_far_away_comes_until_it_is_tall_enough_to_tell_what_it_is() -> None:
    heights_px = (8, 12, 20, TELL_PX, 40)
    assert slack_s(event("begin", 1.0), film([(1, px) for px in heights_px])) == (1.0, 2.0)
    assert slack_s(event("end", 3.0), film([(1, px) for px in heights_px[::-1]])) == (2.0, 1.0)


def test_one_that_never_shows_in_full_comes_until_it_shows_as_well_as_it_ever_will() -> None:
    half_hidden = film([(0.2, 60), (0.4, 60), (0.6, 60), (0.5, 60)])
    assert slack_s(event("begin", 1.0), half_hidden) == (1.0, 1.0)


def test_what_was_there_before_it_was_away_is_another_coming() -> None:
    twice = film([(1, 60), None, (0.3, 60), (1, 60)])
    assert slack_s(event("begin", 2.0), twice) == (0.0, 1.0)


@pytest.mark.parametrize("type_", ["line_cross", "zone_enter", "illegal_parking"])
def test_what_happens_at_a_moment_has_no_slack(type_: EventType) -> None:
    assert slack_s(event("begin", 2.0, type_), DRIVES_BY) == (0.0, 0.0)
