"""Rules that look only at who may be on another side say what they say when they look at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.rules import Clearance, Scene, Whereabouts, make_rule
from tests.actors.rule_scenes import EVERY_KIND, scene, sighting

NUM_OBJECTS = 6
FPS = 10


def walks(seed: int, num_frames: int = 80) -> list[Scene]:
    """Objects that go about at all speeds, are taken for something else at times, and vanish."""
    rng = np.random.default_rng(seed)
    place = rng.uniform((200, 80), (800, 420), (NUM_OBJECTS, 2))
    speed = rng.normal(0, 1, (NUM_OBJECTS, 2)) * rng.choice([0.0, 20.0, 200.0], (NUM_OBJECTS, 1))
    scenes = []
    for n in range(num_frames):
        turns = rng.random(NUM_OBJECTS) < 0.05
        speed[turns] *= -1
        place += speed / FPS + rng.normal(0, 0.3, place.shape)
        seen = [
            sighting(*place[i], n / FPS, track=i + 1, name="car" if rng.random() < 0.8 else "truck")
            for i in range(NUM_OBJECTS)
            if rng.random() > 0.1 and not (i == 0 and n > num_frames // 2)
        ]
        ended = (1,) if n == 3 * num_frames // 4 else ()
        scenes.append(scene(*seen, t_s=n / FPS, ended=ended))
    return scenes


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.kind)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_rules_that_share_a_clearance_say_what_each_says_alone(spec, seed):
    scenes, clearance = walks(seed), Clearance()
    alone, together, other = make_rule(spec), make_rule(spec), make_rule(EVERY_KIND[0])
    for each in scenes:
        shared = replace(each, clearance=clearance)
        Scene.narrow([shared])
        other.update(shared)
        assert together.update(shared) == alone.update(each)
        clearance.forget(each.ended)
    assert together.close("stream_closed") == alone.close("stream_closed")


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.kind)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), begin=st.integers(0, 60))
def test_a_rule_that_joins_others_later_says_what_it_says_alone(spec, seed, begin):
    clearance, whereabouts = Clearance(), Whereabouts()
    alone, joining, other = make_rule(spec), make_rule(spec), make_rule(EVERY_KIND[0])
    joining.share(whereabouts)
    other.share(whereabouts)
    for n, each in enumerate(walks(seed)):
        shared = replace(each, clearance=clearance)
        Scene.narrow([shared])
        other.update(shared)
        if n >= begin:
            assert joining.update(shared) == alone.update(each)
        clearance.forget(each.ended)
        whereabouts.forget(*each.ended)
    assert joining.close("stream_closed") == alone.close("stream_closed")


def test_streams_that_are_asked_together_have_each_its_own_objects_near():
    alone, together = [Clearance(), Clearance()], [Clearance(), Clearance()]
    for scenes in zip(walks(1), walks(2), strict=True):
        apart = [replace(each, clearance=own) for each, own in zip(scenes, alone, strict=True)]
        joint = [replace(each, clearance=own) for each, own in zip(scenes, together, strict=True)]
        for each in apart:
            Scene.narrow([each])
        Scene.narrow(joint)
        assert [list(each.near) for each in joint] == [list(each.near) for each in apart]
        for each in (*apart, *joint):
            for number in each.near:
                each.clearance.limit(each.tracks[number], 20.0)
            each.clearance.forget(each.ended)


def test_few_objects_that_are_far_from_a_border_are_looked_at_again():
    clearance, rule, num_near = Clearance(), make_rule(EVERY_KIND[0]), 0
    for n in range(100):
        each = scene(sighting(100 + 2 * n, 250, n / FPS), sighting(300, 250, n / FPS, 2), t_s=n)
        shared = replace(each, clearance=clearance)
        Scene.narrow([shared])
        rule.update(shared)
        num_near += len(shared.near)
    assert num_near < 10
