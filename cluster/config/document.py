"""Read YAML into plain values and remember where each of them stood."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from cluster.config.environment import SubstitutionError, substituted
from cluster.errors import FieldFault
from cluster.validation import Path, dotted

_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A YAML document as values, with the marks of all of them.

    Attributes:
        value: Plain Python values.
        marks: Where each key, or list item, begins.
        from_environment: Paths whose text came from a variable and must not be shown.
        faults: What could not be read.
    """

    value: Any = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    from_environment: set[Path] = field(default_factory=set)
    faults: list[FieldFault] = field(default_factory=list)

    def mark(self, path: Path) -> Mark:
        """The mark of a path, or of the nearest that stands in the file around it."""
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))

    def complain(self, path: Path, message: str, remedy: str) -> None:
        """Note a fault at a path."""
        mark = self.mark(path)
        self.faults.append(
            FieldFault(dotted(path), message, remedy, line=mark.line, column=mark.column)
        )


def read_document(text: str, variables: Mapping[str, str]) -> Document:
    """Parse YAML text and fill in variables; what is wrong is in ``faults``."""
    document = Document()
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reader(document, loader, variables).read(node, ())
    except yaml.YAMLError as error:
        document.faults.append(_syntax_fault(error))
    finally:
        loader.dispose()
    return document


class _Reader:
    def __init__(
        self, document: Document, loader: yaml.SafeLoader, variables: Mapping[str, str]
    ) -> None:
        self._document = document
        self._loader = loader
        self._variables = variables
        self._flattened: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._document.marks.setdefault(path, _mark(node))
        if len(path) > _MAX_DEPTH:
            self._document.complain(path, "is nested too deeply", "write it flat")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._flatten(node, path)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            place = (*path, key)
            self._document.marks[place] = _mark(key_node)
            values[key] = self.read(value_node, place)
        return values

    def _flatten(self, node: yaml.MappingNode, path: Path) -> None:
        """Refuse keys that are given twice, resolve ``<<``; once a node, which aliases share."""
        if id(node) in self._flattened:
            return
        self._flattened.add(id(node))
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self._key(key_node)
            if key in seen:
                place = (*path, key)
                self._document.marks[place] = _mark(key_node)
                self._document.complain(place, "is given twice", "keep one of the two")
            seen.add(key)
        self._loader.flatten_mapping(node)

    def _key(self, node: yaml.Node) -> str:
        """As written: YAML would read the key ``on`` as true."""
        return str(node.value) if isinstance(node, yaml.ScalarNode) else "?"

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if "${" not in node.value:
            value = self._loader.construct_object(node, deep=True)
            return value if isinstance(value, Hashable) else None
        try:
            self._document.from_environment.add(path)
            return substituted(node.value, self._variables)
        except SubstitutionError as error:
            self._document.complain(path, error.message, error.remedy)
            return None


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_fault(error: yaml.YAMLError) -> FieldFault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return FieldFault(
        "",
        f"this is not YAML: {problem}",
        "look for a missing colon, quote or indentation on this line or the one before",
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
    )
