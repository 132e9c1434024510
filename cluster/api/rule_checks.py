"""Whether the rules of a stream can be kept by the model that sees it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from actors.rule_specs import AnyRule
from cluster.config.pipelines import PipelineSpec
from cluster.errors import FieldFault, InvalidError
from cluster.models import resolve_model
from engines.errors import ModelError


def labels_of(pipeline: PipelineSpec) -> tuple[str, ...]:
    """The classes of a pipeline's model; none where that cannot be told from here."""
    try:
        return resolve_model(pipeline).labels
    except (ModelError, OSError):
        return ()


def require_known_classes(rules: Sequence[AnyRule], labels: Sequence[str]) -> None:
    """Refuse rules for classes that the model does not have; without labels nothing is refused.

    Raises:
        InvalidError: It names each rule's classes and those that there are.
    """
    faults = [
        FieldFault(
            f"rules.{number}.classes", "the model has no such class", _remedy(name, labels), name
        )
        for number, rule in enumerate(rules)
        for name in rule.classes
        if labels and name not in labels
    ]
    if faults:
        raise InvalidError(faults)


def _remedy(name: str, labels: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, labels, n=1, cutoff=0.6)
    known = f"choose from {', '.join(labels[:12])}{', ...' if len(labels) > 12 else ''}"
    return f"did you mean '{near[0]}'? Or {known}" if near else known
