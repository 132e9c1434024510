"""Turn pydantic's errors into faults that people can act on, without showing credentials."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cluster.errors import FieldFault
from cluster.redaction import redacted, redacted_url, shown_value

Path = tuple[str | int, ...]

_MAX_SHOWN = 80
_SECRET = re.compile(r"(?i)url|pass|pwd|secret|token|user|auth|credential")
_NAME_RULE = "use letters, digits, '.', '_' and '-', at most 64, and begin with a letter or digit"
_NUMBER = ("is not a number", "give a number, such as 5")
_WHOLE = ("is not a whole number", "give a whole number, such as 5")
_BOOLEAN = ("is neither true nor false", "write true or false")
_LIST = ("is not a list", "give a list of values")
_OBJECT = ("is not a group of named values", "give names with values")
_CHOICE = ("is not one of the choices", "choose {expected}")
_WORDS: dict[str, tuple[str, str]] = {
    "missing": ("is missing", "add it"),
    "greater_than": ("is too small", "give more than {gt:g}"),
    "greater_than_equal": ("is too small", "give at least {ge:g}"),
    "less_than": ("is too large", "give less than {lt:g}"),
    "less_than_equal": ("is too large", "give at most {le:g}"),
    "finite_number": ("is not a finite number", "give a finite number"),
    "string_type": ("is not text", "give text, in quotes"),
    "string_unicode": ("is not valid Unicode text", "write it in UTF-8"),
    "string_too_long": ("is too long", "use at most {max_length} characters"),
    "string_too_short": ("is too short", "use at least {min_length} characters"),
    "string_pattern_mismatch": ("is not written as it must be", "match {pattern}"),
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "union_tag_invalid": _CHOICE,
    "union_tag_not_found": ("is missing", "add it"),
    "too_short": ("has {actual_length} items", "give at least {min_length}"),
    "too_long": ("has {actual_length} items", "give at most {max_length}"),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}


@dataclass(frozen=True, slots=True)
class LocatedFault:
    """A fault and the place of its value, for those who know lines in files."""

    path: Path
    fault: FieldFault


def faults_of(error: ValidationError, model: type[BaseModel]) -> tuple[FieldFault, ...]:
    """All faults that pydantic found in values for a model."""
    return tuple(located.fault for located in located_faults(error, model))


def located_faults(error: ValidationError, model: type[BaseModel]) -> Iterator[LocatedFault]:
    """All faults, each with the path of its value."""
    for details in error.errors(include_url=False):
        yield _located(details, _Place.root(model))


def dotted(path: Path) -> str:
    """The path as people write it: ``rules.0.points``."""
    return ".".join(redacted_url(str(part)) for part in path)[:_MAX_SHOWN]


def shown(path: Path, value: object) -> str | None:
    """The given value for a message; None for what is secret, long-winded or not there."""
    if any(_SECRET.search(str(part)) for part in path):
        return None
    if value is not None and not isinstance(value, str | int | float):
        return None
    text = json.dumps(value)
    safe = shown_value(text[1:-1] if isinstance(value, str) else text)
    return None if safe is None else safe[:_MAX_SHOWN]


@dataclass(slots=True)
class _Place:
    """A place in a model's JSON schema, found by following a pydantic location.

    pydantic also puts the tags of unions into locations, which are no part of the user's text.
    """

    schema: Mapping[str, Any]
    node: Mapping[str, Any]
    path: list[str | int] = field(default_factory=list)
    keys: tuple[str, ...] = ()

    @classmethod
    def root(cls, model: type[BaseModel]) -> _Place:
        schema = _schema_of(model)
        return cls(schema, schema)

    def descend(self, part: str | int) -> None:
        node = self._resolved(self.node)
        tags = node.get("discriminator", {}).get("mapping", {})
        if part in tags:
            self.node = {"$ref": tags[part]}
            return
        self.keys = tuple(node.get("properties", ()))
        if part != "[key]":
            self.path.append(part)
        self.node = _child(node, part)

    def choices(self) -> str:
        """The tags that are possible here."""
        return ", ".join(self._resolved(self.node).get("discriminator", {}).get("mapping", ()))

    def properties(self) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self._resolved(self.node).get("properties", {})
        return properties

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow references, and the one branch of an optional value that is not null."""
        while True:
            branches = [b for b in node.get("anyOf", ()) if b.get("type") != "null"]
            if "$ref" in node:
                node = self.schema["$defs"][node["$ref"].rpartition("/")[2]]
            elif len(branches) == 1:
                node = branches[0]
            else:
                return node


def _child(node: Mapping[str, Any], part: str | int) -> Mapping[str, Any]:
    if isinstance(part, int):
        items = node.get("prefixItems", ())
        child = items[part] if part < len(items) else node.get("items")
    else:
        child = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return child if isinstance(child, Mapping) else {}


@lru_cache(maxsize=32)
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _located(details: ErrorDetails, place: _Place) -> LocatedFault:
    for part in details["loc"]:
        place.descend(part)
    if details["type"] == "extra_forbidden":
        return _unknown_key(place)
    if details["type"] == "value_error":
        return _own_words(details, place)
    context = dict(details.get("ctx", {}))
    value = details["input"]
    if details["type"].startswith("union_tag"):
        place.path.append(str(context["discriminator"]).strip("'"))
        context["expected"] = place.choices()
        value = context.get("tag")
    message, remedy = _words(details, context)
    missing = details["type"] in ("missing", "union_tag_not_found")
    if missing and place.choices():
        remedy = f"add it: one of {place.choices()}"
    given = None if missing else shown(tuple(place.path), value)
    return _fault(place, message, remedy, given)


def _words(details: ErrorDetails, context: Mapping[str, Any]) -> tuple[str, str]:
    if "A-Za-z0-9" in str(context.get("pattern")):
        return "is not a valid name", _NAME_RULE
    if details["type"] not in _WORDS:
        return f"is not acceptable ({details['type'].replace('_', ' ')})", "correct it"
    message, remedy = _WORDS[details["type"]]
    return message.format_map(context), remedy.format_map(context)


def _unknown_key(place: _Place) -> LocatedFault:
    key = str(place.path[-1])
    near = difflib.get_close_matches(key, place.keys, n=1, cutoff=0.6)
    known = ", ".join(sorted(place.keys))
    remedy = f"did you mean '{near[0]}'?" if near else f"remove it; known are {known}"
    return _fault(place, "is not a known key", remedy, None)


def _own_words(details: ErrorDetails, place: _Place) -> LocatedFault:
    """Validators of this project write ``[field: ]what is wrong: what to do``."""
    text = str(details.get("ctx", {}).get("error", details["msg"]))
    head, colon, rest = text.partition(": ")
    if colon and head in place.properties():
        place.path.append(head)
        text = rest
    if any(_SECRET.search(str(part)) for part in place.path):
        text = re.sub(r" \(.*\)", "", text)  # the library's own words quote the value
    message, _, remedy = text.rpartition(": ")
    if not message:
        message, remedy = remedy, ""
    return _fault(place, message, remedy, shown(tuple(place.path), details["input"]))


def _fault(place: _Place, message: str, remedy: str, value: str | None) -> LocatedFault:
    path = tuple(place.path)
    return LocatedFault(path, FieldFault(dotted(path), redacted(message), redacted(remedy), value))
