"""A rule that is on at some hours only."""

from __future__ import annotations

from actors.analytics.rules.rule import Rule
from actors.analytics.rules.scene import Occurrence, Scene
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.whereabouts import Whereabouts
from actors.rule_specs import AnyRule
from actors.schedule import Schedule


class Scheduled:
    """Shows a rule the scenes of its hours; when they are over, what is open ends."""

    def __init__(self, rule: Rule, schedule: Schedule) -> None:
        self._rule, self._schedule = rule, schedule
        self._minute: int | None = None
        self._is_on = False

    @property
    def spec(self) -> AnyRule:
        """What the user asked for."""
        return self._rule.spec

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen; schedules change with the minutes."""
        minute, was_on = int(scene.at.ts // 60), self._is_on
        if minute != self._minute:
            self._minute, self._is_on = minute, self._schedule.is_on(scene.at.ts)
        if self._is_on:
            return self._rule.update(scene)
        return self._rule.close("off_schedule") if was_on else []

    def close(self, reason: str) -> list[Occurrence]:
        """End what is open."""
        return self._rule.close(reason)

    def share(self, whereabouts: Whereabouts) -> None:
        """Let the rule note where objects are together with others."""
        self._rule.share(whereabouts)

    def save(self, to: StateWriter) -> None:
        """Write down all that it and the rule know."""
        to.value([self._minute, self._is_on])
        self._rule.save(to)

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        self._minute, self._is_on = saved.value()
        self._rule.restore(saved)
