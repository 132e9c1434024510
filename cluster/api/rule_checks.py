"""Whether what a stream asks for can be told by the models of its pipeline."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from actors.analytics.secondaries import embedder_of, values_of
from actors.crop_messages import SecondaryModel
from actors.rule_specs import AnyRule
from actors.specs import StreamSpec
from cluster.config.pipelines import PipelineSpec
from cluster.errors import FieldFault, InUseError, InvalidError
from cluster.models import resolve_model, resolve_secondaries
from engines.errors import ModelError

_DEEPSORT = "deepsort"
_MAX_LISTED = 10


def require_told(spec: StreamSpec, pipeline: PipelineSpec) -> None:
    """Refuse classes, attributes and a tracker that the models of a pipeline cannot serve.

    Models that cannot be read from here refuse nothing.

    Raises:
        InvalidError: It names what is not told, and what is.
    """
    if any(rule.classes for rule in spec.rules):
        require_known_classes(spec.rules, labels_of(pipeline))
    if _asks_of_secondaries(spec):
        _require_told_by(_secondaries_of(pipeline), spec)


def require_still_told(
    streams: Iterable[StreamSpec], before: PipelineSpec, after: PipelineSpec
) -> None:
    """Refuse a pipeline without what streams that run on it ask of its secondary models.

    Who asks in vain already refuses nothing, nor do models that cannot be read from here.

    Args:
        streams: Those that run on the pipeline.
        before: The pipeline as it is.
        after: As it is to be.

    Raises:
        InUseError: It names the streams, and what each asks for.
    """
    asking = [spec for spec in streams if _asks_of_secondaries(spec)]
    if not asking or before.secondaries == after.secondaries:
        return
    old, new = _secondaries_of(before), _secondaries_of(after)
    if old is None:
        return
    lost = {spec.id: what for spec in asking if (what := _untold(new, spec))}
    faults = [
        FieldFault(
            "secondaries",
            f"stream '{spec.id}' asks for {', '.join(lost[spec.id])}",
            "keep the model that gives it, or first change that stream: its rules' attributes, "
            "its tracker, or its pipeline",
            spec.id,
        )
        for spec in asking
        if spec.id in lost and not _untold(old, spec)
    ]
    if faults:
        names = [str(fault.value) for fault in faults[:_MAX_LISTED]]
        more = f" and {len(faults) - len(names)} more" if len(faults) > len(names) else ""
        raise InUseError(
            f"the secondary models would no longer give what streams ask for: {', '.join(names)}"
            f"{more}; keep these models, or change the streams first",
            faults[:_MAX_LISTED],
        )


def _asks_of_secondaries(spec: StreamSpec) -> bool:
    return any(rule.attributes for rule in spec.rules) or spec.tracker == _DEEPSORT


def _untold(models: Sequence[SecondaryModel] | None, spec: StreamSpec) -> list[str]:
    """What a stream asks of secondary models in vain, in words."""
    try:
        _require_told_by(models, spec)
    except InvalidError as error:
        return [f"{fault.field} '{fault.value}'" for fault in error.faults]
    return []


def _require_told_by(models: Sequence[SecondaryModel] | None, spec: StreamSpec) -> None:
    if models is not None:
        require_known_attributes(spec.rules, attributes_of(models))
        if spec.tracker == _DEEPSORT:
            _require_embeddings(models)


def labels_of(pipeline: PipelineSpec) -> tuple[str, ...]:
    """The classes of a pipeline's model; none where that cannot be told from here."""
    try:
        return resolve_model(pipeline).labels
    except (ModelError, OSError):
        return ()


def attributes_of(models: Sequence[SecondaryModel]) -> dict[str, set[str] | None]:
    """What secondary models can settle on: values by name; None where any text may be one."""
    found: dict[str, set[str] | None] = {}
    for one in models:
        for name, values in values_of(one.model).items():
            known = found.setdefault(name, set())
            found[name] = None if values is None or known is None else known | set(values)
    return found


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


def require_known_attributes(
    rules: Sequence[AnyRule], known: Mapping[str, set[str] | None]
) -> None:
    """Refuse rules for attributes, or values of them, that no secondary model gives.

    Raises:
        InvalidError: It names each rule's attributes and those that there are.
    """
    faults = [
        fault
        for number, rule in enumerate(rules)
        for name, values in rule.attributes.items()
        for fault in _attribute_faults(f"rules.{number}.attributes", name, values, known)
    ]
    if faults:
        raise InvalidError(faults)


def _attribute_faults(
    field: str, name: str, values: Sequence[str], known: Mapping[str, set[str] | None]
) -> Iterator[FieldFault]:
    if name not in known:
        message = "no secondary model of the pipeline gives such an attribute"
        yield FieldFault(field, message, _remedy(name, sorted(known)), name)
    elif (choice := known[name]) is not None:
        for value in values:
            if value not in choice:
                message, remedy = "the attribute has no such value", _remedy(value, sorted(choice))
                yield FieldFault(f"{field}.{name}", message, remedy, value)


def _require_embeddings(models: Sequence[SecondaryModel]) -> None:
    if embedder_of(models) is None:
        raise InvalidError(
            [
                FieldFault(
                    "tracker",
                    "the pipeline has no secondary model that gives embeddings of tracks",
                    "add one to the pipeline's secondaries, or choose bytetrack, sort or ocsort",
                    _DEEPSORT,
                )
            ]
        )


def _secondaries_of(pipeline: PipelineSpec) -> tuple[SecondaryModel, ...] | None:
    """None where they cannot be read from here."""
    try:
        return resolve_secondaries(pipeline, resolve_model(pipeline))
    except (ModelError, OSError):
        return None


def _remedy(name: str, known: Collection[str]) -> str:
    if not known:
        return "leave it out, or add such a model to the pipeline's secondaries"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    listed = f"choose from {', '.join(list(known)[:12])}{', ...' if len(known) > 12 else ''}"
    return f"did you mean '{near[0]}'? Or {listed}" if near else listed
