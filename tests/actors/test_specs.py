"""What users ask of a stream is checked, with a message and a remedy; defaults come by class."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from actors.rule_specs import LineRule, RuleSpec, ZoneRule
from actors.specs import (
    CLASS_DEFAULTS,
    SCHEMES,
    QosClass,
    QosSpec,
    StreamSpec,
)
from cluster.validation import faults_of

GOOD = {"id": "gate", "url": "rtsp://10.0.0.1/main"}
LINE = {"kind": "line", "name": "in", "points": [[0, 0.5], [1, 0.5]]}
ZONE = {"kind": "zone", "name": "yard", "points": [[0, 0], [1, 0], [1, 1]]}
BAD_NAMES = ["", " ", "a b", "-x", ".x", "_x", "x" * 65, "a/b", "a\n", "é", "a:b", "a#b"]


def stream(**fields: Any) -> StreamSpec:
    return StreamSpec.model_validate({**GOOD, **fields})


def fault(**fields: Any) -> tuple[str, str]:
    """Field and words of the one fault."""
    with pytest.raises(ValidationError) as caught:
        stream(**fields)
    (only,) = faults_of(caught.value, StreamSpec)
    assert only.message
    assert only.remedy
    return only.field, f"{only.message}: {only.remedy}"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.1",
        "rtsp://user:p%40ss@camera.example:8554/a/b?channel=1",
        "rtsps://camera.example/main",
        "http://camera.example/stream.m3u8",
        "https://camera.example/stream.m3u8",
        "rtsp://[2001:db8::1]:554/main",
        "file:///clips/a%20b.mp4",
    ],
)
def test_a_url_of_a_known_scheme_is_taken_as_it_is(url: str) -> None:
    assert stream(url=url).url == url


@pytest.mark.parametrize("url", ["ftp://h/x", "10.0.0.1/main", "//h/x", "", "rtmp://h/x", "h:554"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(url: str) -> None:
    field, words = fault(url=url)
    assert field == "url"
    assert "no known scheme" in words
    assert all(f"{scheme}://" in words for scheme in SCHEMES)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp:///main", "names no host: write it as rtsp://host:554/path"),
        ("rtsp://:554/main", "names no host"),
        ("https://", "names no host"),
        ("file://", "absolute path: file:///folder/clip.mp4"),
        ("file://clip.mp4", "absolute path: file:///folder/clip.mp4"),
        ("rtsp://h:port/x", "is not a URL: write it as rtsp://host:554/path"),
        ("rtsp://h:70000/x", "is not a URL"),
        ("rtsp://[::1/x", "is not a URL"),
        ("rtsp://h/" + "x" * 2048, "at most 2048 characters"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_with_its_remedy(url: str, words: str) -> None:
    field, said = fault(url=url)
    assert field == "url"
    assert words in said


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("field", ["id", "pipeline"])
def test_names_are_plain(field: str, name: str) -> None:
    where, words = fault(**{field: name})
    assert where == field
    assert "letters, digits" in words


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("rule", [LINE, ZONE])
def test_names_of_rules_are_plain_too(rule: dict[str, Any], name: str) -> None:
    where, words = fault(rules=[{**rule, "name": name}])
    assert where == "rules.0.name"
    assert "letters, digits" in words


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        ({"name": "a", "points": []}, "rules.0.kind", "illegal_parking, line"),
        ({**LINE, "kind": "lane"}, "rules.0.kind", "illegal_parking, line"),
        ({**LINE, "points": [[0, 0]]}, "rules.0.points.1", "add it"),
        (
            {**LINE, "points": [[0.5, 0.5], [0.5, 0.5]]},
            "rules.0.points",
            "give two different points",
        ),
        ({**LINE, "points": [[0, 0], [0, 1.01]]}, "rules.0.points", "give at most 1"),
        ({**LINE, "points": [[-0.1, 0], [0, 1]]}, "rules.0.points.0.0", "at least 0"),
        ({**LINE, "points": [[0, float("nan")], [0, 1]]}, "rules.0.points.0.1", "finite"),
        ({**LINE, "direction": "up"}, "rules.0.direction", "'both', 'forward' or 'backward'"),
        ({**LINE, "classes": "car"}, "rules.0.classes", "a list"),
        ({**LINE, "colour": "red"}, "rules.0.colour", "known are"),
        ({**ZONE, "points": [[0, 0], [1, 1]]}, "rules.0.points", "at least 3"),
        ({**ZONE, "points": [[0, 0]] * 65}, "rules.0.points", "at most 64"),
        ({**ZONE, "direction": "both"}, "rules.0.direction", "remove it"),
    ],
)
def test_a_wrong_rule_is_named_with_its_remedy(
    rule: dict[str, Any], field: str, words: str
) -> None:
    where, said = fault(rules=[rule])
    assert where == field
    assert words in said


def test_two_rules_of_one_name_are_refused() -> None:
    field, words = fault(rules=[LINE, {**ZONE, "name": "in"}, {**ZONE, "name": "x"}])
    assert field == "rules"
    assert "the name in is used twice: give each rule its own" in words


def test_a_stream_has_at_most_64_rules() -> None:
    rules = [{**LINE, "name": f"r{number}"} for number in range(65)]
    assert len(stream(rules=rules[:64]).rules) == 64
    assert fault(rules=rules)[0] == "rules"


@pytest.mark.parametrize(
    ("qos", "field", "words"),
    [
        ({"class": "urgent"}, "qos.class", "'critical', 'high', 'normal' or 'low'"),
        ({"weight": 0}, "qos.weight", "more than 0"),
        ({"weight": -1}, "qos.weight", "more than 0"),
        ({"weight": float("inf")}, "qos.weight", "finite"),
        ({"deadline_ms": 0}, "qos.deadline_ms", "more than 0"),
        ({"min_fps": -0.1}, "qos.min_fps", "at least 0"),
        ({"min_fps": "often"}, "qos.min_fps", "a number"),
        ({"deadline": 5}, "qos.deadline", "did you mean 'deadline_ms'?"),
    ],
)
def test_a_wrong_quality_of_service_is_named_with_its_remedy(
    qos: dict[str, Any], field: str, words: str
) -> None:
    where, said = fault(qos=qos)
    assert where == field
    assert words in said


@pytest.mark.parametrize("max_fps", [0, -1, 1001, float("nan")])
def test_a_rate_that_cannot_be_is_refused(max_fps: float) -> None:
    assert fault(max_fps=max_fps)[0] == "max_fps"


def test_each_class_is_less_demanding_than_the_one_before() -> None:
    assert list(CLASS_DEFAULTS) == list(QosClass)
    resolved = [QosSpec(class_name=name).resolved() for name in QosClass]
    assert resolved == list(CLASS_DEFAULTS.values())
    for higher, lower in itertools.pairwise(resolved):
        assert higher.weight > lower.weight
        assert higher.deadline_ms < lower.deadline_ms
        assert higher.min_fps > lower.min_fps


@pytest.mark.parametrize("field", ["weight", "deadline_ms", "min_fps"])
def test_a_stream_may_override_one_value_of_its_class(field: str) -> None:
    given = QosSpec.model_validate({"class": "high", field: 7.5}).resolved().model_dump()
    assert given == {**CLASS_DEFAULTS[QosClass.HIGH].model_dump(), field: 7.5}


def test_a_floor_of_zero_is_kept_and_not_taken_for_none() -> None:
    assert QosSpec(class_name=QosClass.CRITICAL, min_fps=0).resolved().min_fps == 0


def test_without_words_on_it_a_stream_has_the_ordinary_values() -> None:
    spec = stream()
    assert (spec.qos.class_name, spec.enabled, spec.pipeline) == (QosClass.NORMAL, True, "default")
    assert (spec.rules, spec.max_fps, spec.transport, spec.loop) == ((), None, "auto", False)


def test_a_rule_is_read_by_its_kind() -> None:
    line, zone = stream(rules=[LINE, {**ZONE, "classes": ["car"]}]).rules
    assert isinstance(line, LineRule)
    assert line.direction == "both"
    assert isinstance(zone, ZoneRule)
    assert zone.classes == ("car",)
    assert TypeAdapter[Any](RuleSpec).validate_python(LINE) == line


heights = st.floats(0.2, 1)
zones = st.tuples(heights, heights).map(
    lambda h: [(0.0, 0.1), (1.0, 0.1), (1.0, h[0]), (0.0, h[1])]
)
specs = st.builds(
    lambda qos, rules, max_fps, labels: stream(
        qos=qos,
        rules=[{"kind": "zone", "name": f"z{i}", "points": p} for i, p in enumerate(rules)],
        max_fps=max_fps,
        labels=labels,
    ),
    st.fixed_dictionaries(
        {"class": st.sampled_from(QosClass)},
        optional={"weight": st.floats(0.1, 100), "min_fps": st.floats(0, 100)},
    ),
    st.lists(zones, max_size=3),
    st.none() | st.floats(0.1, 1000),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@given(specs)
def test_a_stream_reads_what_it_wrote(spec: StreamSpec) -> None:
    written = spec.model_dump_json(by_alias=True)
    assert json.loads(written)["qos"]["class"] == spec.qos.class_name.value
    assert "class_name" not in written
    assert StreamSpec.model_validate_json(written) == spec
    assert StreamSpec.model_validate(spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("fields", "floor_fps"),
    [
        ({}, 1),
        ({"qos": {"class": "critical"}}, 5),
        ({"qos": {"class": "critical", "min_fps": 0}}, 0),
        ({"qos": {"min_fps": 8}, "max_fps": 5}, 5),
        ({"qos": {"min_fps": 8}, "max_fps": 10}, 8),
    ],
)
def test_a_floor_comes_from_stream_or_class_and_is_no_more_than_max_fps(
    fields: dict[str, Any], floor_fps: float
) -> None:
    assert stream(**fields).floor_fps == floor_fps
