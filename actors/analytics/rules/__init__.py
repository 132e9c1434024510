"""Rules: small state machines over the tracked objects of a stream, one file a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.analytics.rules.clearance import Clearance
from actors.analytics.rules.crowd import Overcrowding
from actors.analytics.rules.journey import Appearance
from actors.analytics.rules.line import LineCrossing
from actors.analytics.rules.parking import IllegalParking
from actors.analytics.rules.rule import Rule
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.scheduled import Scheduled
from actors.analytics.rules.speed import Speed
from actors.analytics.rules.stay import Stay
from actors.analytics.rules.whereabouts import Whereabouts
from actors.analytics.rules.wrong_way import WrongWay
from actors.analytics.rules.zone import ZonePresence
from actors.rule_specs import AnyRule

__all__ = [
    "RULES",
    "Clearance",
    "Moment",
    "Occurrence",
    "Rule",
    "Scene",
    "Sighting",
    "Whereabouts",
    "make_rule",
]

RULES: dict[str, Callable[[Any], Rule]] = {
    "line": LineCrossing,
    "zone": ZonePresence,
    "loitering": Stay,
    "illegal_parking": IllegalParking,
    "wrong_way": WrongWay,
    "overcrowding": Overcrowding,
    "speed": Speed,
    "object": Appearance,
}


def make_rule(spec: AnyRule) -> Rule:
    """A fresh rule of the kind that the spec names, on at the hours of its schedule."""
    rule = RULES[spec.kind](spec)
    return rule if spec.schedule is None else Scheduled(rule, spec.schedule)
