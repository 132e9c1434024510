"""The desired state: streams and pipelines that users asked for, with their generations."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from actors.specs import StreamSpec
from cluster.config.pipelines import PipelineSpec
from cluster.errors import ConflictError, NotFoundError, StaleError, UnavailableError
from cluster.registry import scripts
from cluster.registry.index import Index, need_text
from cluster.registry.records import PipelineRecord, StreamRecord
from cluster.registry.store import Store

_LOG = logging.getLogger(__name__)
_MAX_PIPELINES = 256
_Record = TypeVar("_Record", bound=BaseModel)


class _Table(Generic[_Record]):
    """A hash of records; each write is one atomic step that bumps the revision and wakes slots."""

    def __init__(
        self, store: Store, key: str, kind: str, record: type[_Record], max_entries: int
    ) -> None:
        self._store = store
        self._index = Index(store)
        self._name = key
        self._key = store.key(key)
        self._kind = kind
        self._record = record
        self._max_entries = max_entries

    def get(self, name: str) -> _Record:
        """One record.

        Raises:
            NotFoundError: There is none of that name.
            UnavailableError: Redis does not answer, or the record cannot be read.
        """
        text = self._store.command("HGET", self._key, name)
        if text is None:
            raise NotFoundError(f"there is no {self._kind} '{name}'")
        record = _parsed(self._record, text)
        if record is None:
            raise UnavailableError(
                f"the {self._kind} '{name}' was stored by another version: delete it, add it again"
            )
        return record

    def some(self, names: Iterable[str]) -> dict[str, _Record]:
        """Those of these that there are and that can be read."""
        wanted = list(names)
        if not wanted:
            return {}
        texts = zip(wanted, self._store.command("HMGET", self._key, *wanted), strict=True)
        parsed = {name: _parsed(self._record, text) for name, text in texts if text is not None}
        return {name: record for name, record in parsed.items() if record is not None}

    def all(self) -> dict[str, _Record]:
        """All records by name, in order of their names; those that cannot be read are left out."""
        pairs = self._store.command("HGETALL", self._key)
        parsed = {name: _parsed(self._record, text) for name, text in sorted(_items(pairs))}
        return {name: record for name, record in parsed.items() if record is not None}

    def count(self) -> int:
        """How many there are."""
        return int(self._store.command("HLEN", self._key))

    def delete(self, name: str, expected: int | None = None) -> None:
        """Remove a record.

        Args:
            name: Which one.
            expected: Generation that it must have; None for any.

        Raises:
            NotFoundError: There is none of that name.
            StaleError: It has another generation.
        """
        self._write(scripts.DELETE, name, _text(expected))

    def _create(self, name: str, spec: BaseModel) -> _Record:
        args = (_json(spec), _need(spec), str(self._max_entries))
        return self._record.model_validate_json(self._write(scripts.CREATE, name, *args))

    def _replace(self, name: str, spec: BaseModel, expected: int | None) -> _Record:
        args = (_json(spec), _need(spec), _text(expected))
        return self._record.model_validate_json(self._write(scripts.REPLACE, name, *args))

    def _write(self, script: str, name: str, *args: str) -> str:
        answer = self._index.run(script, [self._name, name, *args])
        if isinstance(answer, list):
            return str(answer[0])
        raise self._refusal(str(answer), name)

    def _refusal(self, answer: str, name: str) -> NotFoundError | ConflictError:
        if answer == "missing":
            return NotFoundError(f"there is no {self._kind} '{name}'")
        if answer == "stale":
            return StaleError(f"the {self._kind} '{name}' was changed since: read it again")
        if answer == "full":
            return ConflictError(
                f"there are {self._max_entries} {self._kind}s already, the most allowed: delete one"
            )
        return ConflictError(
            f"there is a {self._kind} '{name}' already: choose another name, or change that one"
        )


class DesiredStreams(_Table[StreamRecord]):
    """The streams that should run."""

    def __init__(self, store: Store, max_streams: int) -> None:
        super().__init__(store, "streams", "stream", StreamRecord, max_streams)

    def create(self, spec: StreamSpec) -> StreamRecord:
        """Add a stream.

        Raises:
            ConflictError: The id is taken, or there are too many streams.
        """
        return self._create(spec.id, spec)

    def replace(self, spec: StreamSpec, expected: int | None = None) -> StreamRecord:
        """Change a stream; with ``expected`` only if it still has that generation.

        Raises:
            NotFoundError: There is no such stream.
            StaleError: It has another generation.
        """
        return self._replace(spec.id, spec, expected)

    def put(self, spec: StreamSpec) -> StreamRecord:
        """Add or change a stream; one that is the same already stays untouched.

        Raises:
            ConflictError: There are too many streams.
        """
        try:
            record = self.get(spec.id)
        except NotFoundError:
            return self.create(spec)
        return record if record.spec == spec else self.replace(spec)


class Pipelines(_Table[PipelineRecord]):
    """The pipelines that slots can serve."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "pipelines", "pipeline", PipelineRecord, _MAX_PIPELINES)

    def put(self, name: str, spec: PipelineSpec, expected: int | None = None) -> PipelineRecord:
        """Add or change a pipeline; one that is the same already stays untouched.

        Raises:
            NotFoundError: ``expected`` is given and there is no such pipeline.
            StaleError: It has another generation than ``expected``.
            ConflictError: There are too many pipelines.
        """
        if expected is not None:
            return self._replace(name, spec, expected)
        try:
            record = self.get(name)
        except NotFoundError:
            return self._create(name, spec)
        return record if record.spec == spec else self._replace(name, spec, None)


def _parsed(record: type[_Record], text: str) -> _Record | None:
    return cast("_Record | None", _parsed_once(record, text))


@lru_cache(maxsize=32768)
def _parsed_once(record: type[BaseModel], text: str) -> BaseModel | None:
    """Slots and metrics read all records again and again, and few of them have changed."""
    try:
        return record.model_validate_json(text)
    except ValidationError as error:
        _LOG.warning("a stored %s cannot be read: %d faults", record.__name__, error.error_count())
        return None


def _json(spec: BaseModel) -> str:
    return spec.model_dump_json(by_alias=True)


def _need(spec: BaseModel) -> str:
    return need_text(spec) if isinstance(spec, StreamSpec) else ""


def _text(generation: int | None) -> str:
    return "" if generation is None else str(generation)


def _items(answer: Any) -> list[tuple[str, str]]:
    """HGETALL answers with a dict, or with names and values in turn, as the client likes."""
    if isinstance(answer, dict):
        return list(answer.items())
    return list(zip(answer[::2], answer[1::2], strict=True))
