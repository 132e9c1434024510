"""Events and states in words for people."""

from __future__ import annotations

from typing import Any

import pytest
from rich.text import Text

from actors.analytics.events import EventType
from cluster.registry import ShownState
from cluster.wording import describe_event, state_style


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {
                "type": "line_cross",
                "rule": "north",
                "class": "car",
                "track": 7,
                "data": {"direction": "forward"},
            },
            "line_cross north car #7 forward",
        ),
        ({"type": "zone_enter", "rule": "bay", "class": "", "track": 0}, "zone_enter bay #0"),
        ({"type": "zone_exit", "rule": "bay", "track": None, "data": {}}, "zone_exit bay"),
        ({"type": "zone_exit", "rule": "bay", "track": "", "data": None}, "zone_exit bay"),
        ({"type": "object", "rule": "", "class": "car", "track": "-1"}, "object car"),
        (
            {"type": "stream_state", "rule": "", "class": "", "data": {"state": "running"}},
            "stream_state running",
        ),
        (
            {"type": "stream_state", "data": {"state": "running", "degrade_step": "none"}},
            "stream_state running",
        ),
        (
            {"type": "stream_state", "data": {"state": "running", "degrade_step": "paused"}},
            "stream_state running paused",
        ),
    ],
)
def test_an_event_is_told_in_a_few_words(event: dict[str, Any], words: str) -> None:
    assert " ".join(describe_event(event).split()) == words


@pytest.mark.parametrize("kind", list(EventType))
def test_an_event_of_any_type_can_be_told(kind: EventType) -> None:
    assert describe_event({"type": kind.value}) == kind.value


def test_states_that_need_no_attention_do_not_look_like_those_that_do() -> None:
    styles = {state: state_style(state.value) for state in ShownState}
    assert styles[ShownState.RUNNING] not in {styles[ShownState.FAILED], styles[ShownState.PENDING]}
    assert styles[ShownState.RECONNECTING] == styles[ShownState.PENDING]
    for style in styles.values():
        assert Text.from_markup(f"[{style}]x[/]").spans
