"""What the guide to events shows is what the code writes and understands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from actors.analytics.event_schema import DATA, ObjectData, event_schema
from actors.analytics.events import Event, EventType
from actors.sinks.formats import to_deepstream
from cluster.config import SightlineConfig

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "events.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


def example() -> Any:
    return json.loads(blocks("json")[0])


def test_the_event_that_is_shown_keeps_to_the_schema() -> None:
    Draft202012Validator(event_schema()).validate(example())


def test_the_summary_that_is_shown_has_the_fields_of_one() -> None:
    assert set(json.loads(blocks("json")[1])) == set(ObjectData.model_fields)


def test_the_message_of_deepstream_is_that_of_the_event_that_is_shown() -> None:
    assert json.loads(blocks("json")[2]) == to_deepstream(Event.from_dict(example()))


@pytest.mark.parametrize("block", blocks("yaml"))
def test_the_sinks_that_are_shown_are_understood(block: str) -> None:
    assert SightlineConfig.model_validate(yaml.safe_load(block)).sinks


@pytest.mark.parametrize("type_", DATA, ids=lambda type_: type_.value)
def test_each_type_is_listed_with_its_phases_and_fields(type_: EventType) -> None:
    model, phases = DATA[type_]
    row = re.search(rf"(?m)^\| `{type_.value}` \| (.*?) \| (.*) \|$", GUIDE)
    assert row, "it is not in the table"
    assert row[1] == ", ".join(f"`{phase.value}`" for phase in phases)
    own = set(model.model_fields) & set(model.__annotations__)
    told = row[2] + (" ".join(blocks("json")) if type_ is EventType.OBJECT else "")
    assert [name for name in own if name not in told] == []


def test_what_it_links_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", GUIDE)
    assert targets
    assert [target for target in targets if not (DOCS / target).exists()] == []
