"""The use cases of the API: checks that a request makes sense, then asks the registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from actors.errors import SourceError
from actors.source_policy import SourcePolicy
from actors.specs import StreamSpec
from cluster.api.admission import require_admissible
from cluster.api.checks import require_allowed
from cluster.api.rule_checks import require_still_told, require_told
from cluster.config.pipelines import NAME_PATTERN, PipelineSpec, model_paths
from cluster.errors import FieldFault, InvalidError, NotFoundError, StaleError
from cluster.redaction import PLACEHOLDER, redacted, redacted_url
from cluster.registry import PipelineRecord, Registry, StreamRecord
from cluster.validation import faults_of
from engines.errors import ModelError

Probe = Callable[[str], object]
CheckModel = Callable[[PipelineSpec], object]

_NUM_ATTEMPTS = 5
_Model = TypeVar("_Model", bound=BaseModel)


def validated(model: type[_Model], value: Any) -> _Model:
    """The value as a model.

    Raises:
        InvalidError: with every fault.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidError(faults_of(error, model)) from None


class StreamService:
    """Stream jobs: create, replace, patch, delete.

    Args:
        registry: Where they are kept.
        probe: Opens a ``file://`` URL and raises SourceError where it holds no video.
        allowed: Which sources may be opened.
    """

    def __init__(self, registry: Registry, probe: Probe, allowed: SourcePolicy) -> None:
        self._registry = registry
        self._probe = probe
        self._allowed = allowed

    def create(self, body: Any) -> StreamRecord:
        """Add a stream.

        Raises:
            InvalidError: The body is not a stream job that can run.
            CapacityError: The slots cannot hold its floor.
            ConflictError: The id is taken.
        """
        return self._registry.streams.create(self._checked(body, None))

    def replace(
        self, stream: str, body: Any, if_match: frozenset[int] | None
    ) -> tuple[StreamRecord, bool]:
        """Put a stream in place of what is there, or add it; tells whether it was added.

        Raises:
            InvalidError: The body is not a stream job that can run.
            CapacityError: The slots cannot hold its floor.
            StaleError: ``if_match`` is given and names another generation.
        """
        body = {"id": stream, **body} if isinstance(body, dict) else body
        try:
            before = self._registry.streams.get(stream)
        except NotFoundError:
            if if_match is not None:
                raise StaleError(f"there is no stream '{stream}' to replace") from None
            return self._registry.streams.create(self._checked(body, None, stream)), True
        expected = _expected(before, if_match)
        spec = self._checked(body, before.spec, stream)
        return self._registry.streams.replace(spec, expected), False

    def patch(
        self, stream: str, patch: Any, if_match: frozenset[int] | None = None
    ) -> StreamRecord:
        """Change parts of a stream (RFC 7396); what came between is merged with, not lost.

        Raises:
            InvalidError: The result would not be a stream job that can run.
            CapacityError: The slots cannot hold its floor.
            NotFoundError: There is no such stream.
            StaleError: ``if_match`` names another generation, or others write without end.
        """
        for attempt in range(_NUM_ATTEMPTS):
            before = self._registry.streams.get(stream)
            _expected(before, if_match)
            merged = merge_patch(before.spec.model_dump(mode="json", by_alias=True), patch)
            spec = self._checked(merged, before.spec, stream)
            if spec == before.spec:
                return before
            try:
                return self._registry.streams.replace(spec, before.generation)
            except StaleError:
                if if_match is not None or attempt == _NUM_ATTEMPTS - 1:
                    raise
        raise AssertionError("the loop above ends in an answer or an error")

    def delete(self, stream: str, if_match: frozenset[int] | None) -> None:
        """Remove a stream.

        Raises:
            NotFoundError: There is no such stream.
            StaleError: ``if_match`` names another generation.
        """
        expected = None
        if if_match is not None:
            expected = _expected(self._registry.streams.get(stream), if_match)
        self._registry.streams.delete(stream, expected)

    def _checked(
        self, body: Any, before: StreamSpec | None, stream: str | None = None
    ) -> StreamSpec:
        spec = validated(StreamSpec, _with_real_url(body, before))
        if stream is not None and spec.id != stream:
            message = f"is not the id of the path, '{stream}'"
            raise _invalid("id", message, "leave it out; an id cannot be changed", spec.id)
        if before is None or before.pipeline != spec.pipeline:
            self._require_pipeline(spec.pipeline)
        if before is None or before.url != spec.url:
            require_allowed(spec.url, self._allowed)
            self._require_video(spec.url)
        if before is None or _asks_of_models(before) != _asks_of_models(spec):
            require_told(spec, self._registry.pipelines.all()[spec.pipeline].spec)
        require_admissible(self._registry, spec, before)
        return spec

    def _require_pipeline(self, name: str) -> None:
        known = self._registry.pipelines.all()
        if name not in known:
            remedy = f"choose one of {', '.join(known) or '(none yet)'}, or PUT it first"
            raise _invalid("pipeline", "there is no such pipeline", remedy, name)

    def _require_video(self, url: str) -> None:
        if not url.startswith("file:"):
            return
        try:
            self._probe(url)
        except SourceError as error:
            message, _, remedy = error.message.partition(": ")
            raise _invalid("url", message, remedy or "give a file with video in it") from None


class PipelineService:
    """Pipelines: show and put.

    Args:
        registry: Where they are kept.
        check_model: Raises ModelError where the model of a pipeline cannot be used.
    """

    def __init__(self, registry: Registry, check_model: CheckModel) -> None:
        self._registry = registry
        self._check_model = check_model

    def put(
        self, name: str, body: Any, if_match: frozenset[int] | None
    ) -> tuple[PipelineRecord, bool]:
        """Add or change a pipeline; tells whether it was added.

        Raises:
            InvalidError: The body is not a pipeline, or its model cannot be used.
            InUseError: Streams ask for what its secondary models would no longer give.
            StaleError: ``if_match`` names another generation.
        """
        spec = validated(PipelineSpec, body)
        _require_name(name)
        before = self._registry.pipelines.all().get(name)
        if before is None and if_match is not None:
            raise StaleError(f"there is no pipeline '{name}' to replace")
        expected = _expected(before, if_match) if before else None
        self._require_model(spec)
        if before is not None:
            require_still_told(self._running_on(name), before.spec, spec)
        return self._registry.pipelines.put(name, spec, expected), before is None

    def _running_on(self, name: str) -> list[StreamSpec]:
        specs = [record.spec for record in self._registry.streams.all().values()]
        return [spec for spec in specs if spec.enabled and spec.pipeline == name]

    def _require_model(self, spec: PipelineSpec) -> None:
        for field, path in model_paths(spec).items():
            if not path.startswith("/"):
                remedy = "begin it with '/'" + (", or give 'builtin'" if field == "model" else "")
                raise _invalid(field, "is not an absolute path", remedy)
        try:
            self._check_model(spec)
        except ModelError as error:
            if error.field.startswith("secondaries"):
                raise _invalid(error.field, error.message, error.remedy) from None
            where = "" if error.field == "path" else f"{error.field}: "
            raise _invalid("model", where + error.message, error.remedy, spec.model) from None


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396, section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _asks_of_models(spec: StreamSpec) -> tuple[object, ...]:
    """What the models of its pipeline must be able to tell, once it runs."""
    return spec.pipeline, spec.rules, spec.tracker, spec.enabled


def _expected(before: StreamRecord | PipelineRecord, if_match: frozenset[int] | None) -> int | None:
    """The generation that a write must find; an empty set stands for any that exists."""
    if not if_match:
        return None
    if before.generation not in if_match:
        raise StaleError(
            f'it has the ETag "{before.generation}" by now: read it again, then repeat the change'
        )
    return before.generation


def _with_real_url(body: Any, before: StreamSpec | None) -> Any:
    """Who sends back what the API showed means the URL that is stored."""
    if not isinstance(body, dict) or PLACEHOLDER not in str(body.get("url")):
        return body
    if before is not None and body["url"] == redacted_url(before.url):
        return {**body, "url": before.url}
    raise _invalid(
        "url", f"holds the placeholder {PLACEHOLDER}", "write the camera's user and password"
    )


def _require_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise _invalid(
            "name", "is not a valid name", "use letters, digits, '.', '_' and '-', at most 64"
        )


def _invalid(field: str, message: str, remedy: str, value: str | None = None) -> InvalidError:
    return InvalidError([FieldFault(field, redacted(message), redacted(remedy), value)])
