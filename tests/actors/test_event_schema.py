"""The published schema: it is that of the code, and all that rules and states make keeps to it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from actors.analytics.event_schema import DATA, event_schema
from actors.analytics.events import SCHEMA, Event, EventType, Phase
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.rules import make_rule
from actors.analytics.stream_state import StateChange, state_event
from actors.messages import DegradeStep, StreamState
from actors.rule_specs import RULE_MODELS, AnyRule
from tests.actors.builders import event
from tests.actors.rule_scenes import EVERY_KIND
from tests.actors.test_rule_state import drives

PUBLISHED = Path(__file__).parents[2] / "docs" / "event.schema.json"
CONTEXT = EventContext("gate", "slot-1", "toy", {"site": "north"})


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(PUBLISHED.read_text()))


def as_json(made: Event) -> Any:
    return json.loads(made.to_json())


def of_rule(spec: AnyRule) -> list[Event]:
    """What a rule says while objects drive about, and when it is closed."""
    found = []
    for seed in range(8):
        rule, life = make_rule(spec), EventLifeCycle(f"{seed}@0")
        said = [o for scene in drives(seed) for o in rule.update(scene)]
        found += [life.record(o, CONTEXT) for o in [*said, *rule.close("stream_closed")]]
    return found


def test_what_is_published_is_what_the_code_says() -> None:
    assert json.loads(PUBLISHED.read_text()) == event_schema(), (
        "write it anew: .venv/bin/sightline events schema > docs/event.schema.json"
    )


def test_it_is_a_schema_of_its_dialect_and_names_the_fields_in_their_order() -> None:
    schema = event_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == schema["required"] == list(event().to_dict())
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["$defs"]["EventType"]["enum"] == [type_.value for type_ in EventType]


def test_the_rules_of_these_tests_are_of_every_kind() -> None:
    assert {type(rule) for rule in EVERY_KIND} == set(RULE_MODELS)


@pytest.mark.parametrize("spec", EVERY_KIND, ids=lambda spec: spec.name)
def test_what_rules_say_keeps_to_the_schema_and_says_nothing_that_is_not_in_it(
    spec: AnyRule, validator: Draft202012Validator
) -> None:
    found = of_rule(spec)
    assert found
    for made in found:
        assert [error.message for error in validator.iter_errors(as_json(made))] == []
        model, phases = DATA[made.type]
        assert set(made.data) <= set(model.model_fields)
        assert made.phase in phases


def test_every_change_of_a_stream_keeps_to_the_schema(validator: Draft202012Validator) -> None:
    states = itertools.product([*StreamState], DegradeStep, [None, *StreamState])
    for state, step, previous in states:
        before = None if previous is None else DegradeStep.NONE
        change = StateChange("gate", "1@5", 5.0, state, "ok", "all is well", step, previous, before)
        made = state_event(change, CONTEXT)
        assert [error.message for error in validator.iter_errors(as_json(made))] == []
        assert set(made.data) == set(DATA[EventType.STREAM_STATE][0].model_fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "5"},
        {"type": "lunch"},
        {"phase": "begin"},
        {"data": {}},
        {"data": {"direction": "up", "counts": {"forward": 1, "backward": 0}}},
        {"box": [1, 2, 3]},
        {"confidence": 1.5},
        {"ts": "now"},
        {"token": 3},
        {"schema": 2},
    ],
    ids=str,
)
def test_what_is_no_event_does_not_pass(
    wrong: dict[str, Any], validator: Draft202012Validator
) -> None:
    counts = {"forward": 1, "backward": 0}
    right = as_json(event(data={"direction": "forward", "counts": counts}))
    assert validator.is_valid(right)
    assert not validator.is_valid({**right, **wrong})


def test_what_goes_on_must_say_what_had_begun(validator: Draft202012Validator) -> None:
    begin = event(type=EventType.LOITERING, phase=Phase.BEGIN, data={"dwell_s": 1.0})
    end = replace(begin, phase=Phase.END)
    assert validator.is_valid(as_json(begin))
    assert not validator.is_valid(as_json(end))
    whole = replace(end, data={"dwell_s": 1.0, "begin_id": begin.id, "duration_s": 2.0})
    assert validator.is_valid(as_json(whole))
