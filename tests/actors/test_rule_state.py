"""A stream that goes on in another process says what it would have said here, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.events import Event
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.rules import Rule, Scene, make_rule
from actors.analytics.rules.state import StateWriter
from actors.analytics.state_bytes import StateBytes, to_bytes
from tests.actors.rule_scenes import EVERY_KIND, scene, sighting

CONTEXT = EventContext("gate", "slot", "toy", {})


def drives(seed: int, num_frames: int = 80) -> list[Scene]:
    """Objects that drive, stop, turn, jitter and vanish, at ten frames a second."""
    rng = np.random.default_rng(seed)
    x, speed = rng.uniform(100, 900, 4), rng.uniform(-200, 200, 4)
    scenes = []
    for n in range(num_frames):
        changes = rng.random(4) < 0.06
        speed[changes] = rng.choice([0.0, 0.0, -150.0, 60.0, 150.0], 4)[changes]
        x = np.clip(x + speed / 10 + rng.normal(0, 0.4, 4), 0, 1000)
        seen = [
            sighting(float(x[i]), 200 + 30 * i, n / 10, track=i + 1)
            for i in range(4)
            if rng.random() > 0.1 and not (i == 3 and n > num_frames // 2)
        ]
        ended = (4,) if n == 3 * num_frames // 4 else ()
        scenes.append(scene(*seen, t_s=n / 10, ended=ended))
    return scenes


def events(rule: Rule, life: EventLifeCycle, scenes: list[Scene]) -> list[Event]:
    return [life.record(o, CONTEXT) for each in scenes for o in rule.update(each)]


def state_of(rule: Rule, life: EventLifeCycle) -> bytes:
    writer = StateWriter()
    rule.save(writer)
    life.save(writer)
    return to_bytes(None, writer.columns)


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.kind)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 80))
def test_going_on_from_a_state_gives_the_events_of_going_through(spec, seed, cut):
    scenes = drives(seed)
    rule, life = make_rule(spec), EventLifeCycle("1@0")
    whole = events(rule, life, scenes)
    whole += [life.record(o, CONTEXT) for o in rule.close("stream_closed")]

    rule, life = make_rule(spec), EventLifeCycle("1@0")
    parts = events(rule, life, scenes[:cut])
    saved = StateBytes(state_of(rule, life)).reader()
    rule = make_rule(spec)
    rule.restore(saved)
    life = EventLifeCycle.restored(saved)
    parts += events(rule, life, scenes[cut:])
    parts += [life.record(o, CONTEXT) for o in rule.close("stream_closed")]

    assert [e.to_json() for e in parts] == [e.to_json() for e in whole]


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.kind)
def test_the_drives_of_these_tests_make_every_kind_speak(spec):
    num = sum(len(events(make_rule(spec), EventLifeCycle("1"), drives(seed))) for seed in range(8))
    assert num >= 8


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.kind)
def test_the_state_of_twenty_objects_is_small(spec):
    rule = make_rule(spec)
    for n in range(40):
        seen = [sighting(310.3 + 9.7 * i + n, 200, n / 10, track=i) for i in range(20)]
        rule.update(scene(*seen, t_s=n / 10))
    assert len(state_of(rule, EventLifeCycle("1"))) < 10_000
